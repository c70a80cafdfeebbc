"""Which rows are one star, over all surveys: Gaia's id, else the survey's own, else the position."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.spatial import cKDTree

from starglot.formats.columns import floats
from starglot.formats.counts import Counts, tally
from starglot.samples.sphere import chord, separation, unit_vectors

log = logging.getLogger(__name__)

#: Rows without any id within this of each other are one star (arcsec; fibres are 3.3 wide).
SAME_STAR_ARCSEC = 3.0
#: Rows of one id that are further apart than this (arcsec) are not of one star: Barnard's takes 29 years for it.
ONE_ID_ARCSEC = 300.0


def star_ids(
    catalog: pa.Table,
    counts: Counts | None = None,
    survey: str = "lamost",
    own_ids: Sequence[str] = ("gp_id", "uid"),
    gaia_release: str = "dr3",
) -> pa.Array:
    """A star id (string) for each row of a survey's catalogue, the same for every visit of a star.

    own_ids: columns with the survey's own names of a star, the best first; gaia_release: that its Gaia ids are of.

    - 'gaia:<gaia_source_id>' where the row has one of DR3, or another row of the same own id has: a visit that missed
      its Gaia id must not become a star of its own, and land in another split.  Every survey calls the star so, and
      one split holds it in all of them; an id of another release names another star: 'gaia-dr2:<id>';
    - '<survey>:<own id>' where only the survey's is there;
    - else by position: the id of the nearest star with an id within 3 arcsec, or 'pos:<ra><dec>' of the first row
      (by obsid) of those within 3 arcsec; '<survey>:obs:<obsid>' for a row with no position either.

    An id that rows minutes of arc apart have in common is nobody's: those rows go by what else they have.  They are
    counted in ``counts``.

    Depends on the set of rows, not on their order; rows with later obsids leave the ids of earlier ones alone.
    """
    gaia, own = _own_ids(catalog, counts or Counts(), own_ids)
    named = pc.coalesce(
        pc.binary_join_element_wise(gaia_prefix(gaia_release), gaia, ""),
        pc.binary_join_element_wise(f"{survey}:", own, ""),
    )
    nameless = pc.is_null(named).to_numpy(zero_copy_only=False)
    if not nameless.any():
        return named
    ids = named.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(nameless)
    ids[rows] = _position_ids(catalog, ids, rows, survey)
    log.info("%d of %d rows have no Gaia id or other: named by position", len(rows), len(ids))
    return pa.array(ids, pa.string())


def gaia_prefix(release: str | None) -> str:
    """What stands before the Gaia id in a star's id: 'gaia:' for DR3, whose ids all surveys share."""
    return "gaia:" if release in ("dr3", None) else f"gaia-{release}:"


def _own_ids(catalog: pa.Table, counts: Counts, own_ids: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """(Gaia id, own id) by row, each null where not known; Gaia ids are shared within an own id."""
    ra, dec = floats(catalog["ra"]), floats(catalog["dec"])
    gaia, *named = (_at_one_place(catalog, name, ra, dec, counts) for name in ("gaia_source_id", *own_ids))
    own = pc.coalesce(*named) if named else pa.nulls(len(catalog), pa.string())
    pairs = pa.table({"own": own, "gaia": gaia}).drop_null()
    # An own id with several Gaia ids is a close pair; its rows without one take the first.
    shared = pairs.group_by("own").aggregate([("gaia", "min")])
    at = pc.index_in(own, value_set=shared["own"].combine_chunks())
    borrowed = shared["gaia_min"].combine_chunks().take(at)
    return pc.coalesce(gaia, pc.if_else(pc.is_valid(own), borrowed, pa.scalar(None, pa.string()))), own


def _at_one_place(catalog: pa.Table, name: str, ra: np.ndarray, dec: np.ndarray, counts: Counts) -> pa.Array:
    """The ids of a column, null where one is at two places: a rounded number, 'unknown', the name of a plate."""
    ids = catalog[name].combine_chunks()
    encoded = ids.dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
    rows = np.flatnonzero((codes >= 0) & np.isfinite(ra) & np.isfinite(dec))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    if not len(rows):
        return ids
    starts = np.flatnonzero(np.r_[True, codes[rows][1:] != codes[rows][:-1]])
    first = np.repeat(rows[starts], np.diff(np.r_[starts, len(rows)]))
    apart = separation(unit_vectors(ra[rows], dec[rows]), unit_vectors(ra[first], dec[first]))
    scattered = np.zeros(len(encoded.dictionary) + 1, bool)
    scattered[codes[rows[apart > ONE_ID_ARCSEC]]] = True
    bad = scattered[codes]
    if not bad.any():
        return ids
    valid = len(ids) - ids.null_count - int(bad.sum())
    counts.read(f"star_id by {name}", len(ids), valid, {"id_at_two_places": tally(bad, ids)}, "the catalogue")
    return pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), ids)


def _position_ids(catalog: pa.Table, ids: np.ndarray, rows: np.ndarray, survey: str) -> np.ndarray:
    """Star ids of the id-less ``rows``, in their order."""
    obsid = catalog["obsid"].to_numpy()
    ra, dec = floats(catalog["ra"]), floats(catalog["dec"])
    placed = np.isfinite(ra) & np.isfinite(dec)
    rows_by_obsid = rows[np.argsort(obsid[rows], kind="stable")]
    found = {int(row): f"{survey}:obs:{obsid[row]}" for row in rows_by_obsid[~placed[rows_by_obsid]]}
    free = rows_by_obsid[placed[rows_by_obsid]]
    known = np.setdiff1d(np.flatnonzero(placed), rows, assume_unique=True)
    free = free[~_join_known(free, known, ids, ra, dec, found)]
    for row, anchor in zip(free, free[_anchors(ra[free], dec[free])], strict=True):
        found[row] = f"pos:{ra[anchor]:.5f}{dec[anchor]:+.5f}"
    return np.array([found[row] for row in rows], dtype=object)


def _join_known(
    free: np.ndarray, known: np.ndarray, ids: np.ndarray, ra: np.ndarray, dec: np.ndarray, found: dict[int, str]
) -> np.ndarray:
    """Give each ``free`` row the id of the nearest ``known`` one within reach; True where that was done."""
    if not len(known) or not len(free):
        return np.zeros(len(free), bool)
    reach = float(chord(SAME_STAR_ARCSEC))
    places = unit_vectors(ra[free], dec[free])
    # Few rows have no id, so the search is among them, and only their neighbours' ids are looked at.
    near, _ = cKDTree(places).query(unit_vectors(ra[known], dec[known]), distance_upper_bound=reach)
    known = known[np.isfinite(near)]
    # Equal distances are decided by the id, not by the order of rows.
    known = known[np.argsort(ids[known].astype(str), kind="stable")]
    if not len(known):
        return np.zeros(len(free), bool)
    distance, nearest = cKDTree(unit_vectors(ra[known], dec[known])).query(places, distance_upper_bound=reach)
    joined = np.isfinite(distance)
    for row, at in zip(free[joined], nearest[joined], strict=True):
        found[row] = ids[known[at]]
    return np.asarray(joined)


def _anchors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """For each row, the earlier row that its group is named after, or itself.

    A row joins the nearest earlier anchor within 3 arcsec, else it is an anchor.  Unlike linking friends of
    friends, chains in crowded fields do not run together, and a later row changes no earlier group.
    """
    anchor = np.arange(len(ra))
    if len(ra) < 2:
        return anchor
    vectors = unit_vectors(ra, dec)
    pairs = cKDTree(vectors).query_pairs(float(chord(SAME_STAR_ARCSEC)), output_type="ndarray")
    if not len(pairs):
        return anchor
    earlier, later = pairs.min(axis=1), pairs.max(axis=1)
    distance = np.linalg.norm(vectors[earlier] - vectors[later], axis=1)
    taken = np.zeros(len(ra), bool)
    for at in np.lexsort((earlier, distance, later)):
        if not taken[later[at]] and anchor[earlier[at]] == earlier[at]:
            anchor[later[at]] = earlier[at]
            taken[later[at]] = True
    return anchor
