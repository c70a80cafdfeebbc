"""Stars of a survey in another one, one to one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.spatial import cKDTree

from starglot.errors import StarglotError
from starglot.formats.columns import floats
from starglot.labels import LABELS
from starglot.samples.sphere import chord, moved, separation, unit_vectors
from starglot.samples.star_ids import ONE_ID_ARCSEC, gaia_prefix

log = logging.getLogger(__name__)

#: Columns of the other survey that serve the match and are not carried on.
_MATCHING = ("gaia_source_id", "gaia_release", "ra", "dec", "pmra", "pmdec", "epoch")

#: Epoch (yr) of a row without an observing date: the middle of the survey, and Gaia DR3's.
DEFAULT_EPOCH = 2016.0


def match(
    catalog: pa.Table, other: pa.Table, other_id: str, gaia_release: str | None, radius_arcsec: float
) -> pa.Table:
    """Rows of a survey whose star is in another survey, with that survey's labels, errors and flags.

    catalog: obsid, star_id, ra, dec, obsdate; other: ``other_id``, gaia_source_id, gaia_release, ra, dec (deg at
    ``epoch``, yr), pmra, pmdec (mas/yr), and its labels.

    First by Gaia id, where both are of one Gaia release.  Then by position, for stars that are left and do not
    both have an id of that release (two ids are two stars): within ``radius_arcsec``, closest pairs first, each
    star used once.  For it the other survey's star is moved to the date of the star's first visit; LAMOST
    gives no epoch with its positions, but a fibre that collected light stood where the star was that night.

    Returns obsid, star_id, ``other_id``, separation (arcsec, null without positions), method ('gaia' or
    'position') and the columns of ``other`` that are not for matching; a row for every visit of a matched star,
    sorted by obsid.  Independent of the order of rows.
    """
    stars = _Stars(catalog)
    targets = other.filter(pc.is_valid(other[other_id])).sort_by(other_id).combine_chunks()
    names = targets[other_id].to_pylist()
    if len(set(names)) < len(names):
        raise StarglotError(
            f"{other_id} is not unique in the other survey",
            where=f"first: {next(b for a, b in enumerate(names[1:]) if b == names[a])}",
            allowed="one row per star",
            todo="keep one row per star there",
        )
    star_of, same_release = _by_gaia(stars, targets, gaia_release)
    n_gaia = int((star_of >= 0).sum())
    target, star = _by_position(stars, targets, star_of, same_release, radius_arcsec)
    star_of[target] = star
    log.info(
        "%d of %d stars of the other survey matched: %d by Gaia id, %d by position",
        *(int((star_of >= 0).sum()), len(targets), n_gaia, len(target)),
    )
    return _rows(catalog, stars, targets, other_id, star_of, by_position=target)


def one_row_a_star(catalog: pa.Table, labels: Sequence[str], gaia_release: str | None) -> pa.Table:
    """A survey with spectra as one that others are matched to: of each star's visits the first with most labels.

    Its name of the star is ``other_star_id``: the survey that it is matched to has a star_id of its own.
    """
    held = sum((pc.cast(pc.is_valid(catalog[name]), pa.int8()).to_numpy() for name in labels), np.zeros(len(catalog)))
    order = np.lexsort((catalog["obsid"].to_numpy(), -held))
    rows = catalog.take(pa.array(order))
    first = np.unique(rows["star_id"].to_numpy(zero_copy_only=False).astype(str), return_index=True)[1]
    rows = rows.take(pa.array(first))
    columns = {name: rows[name] for label in labels for name in (label, LABELS[label].error)}
    none = pa.nulls(len(rows), pa.float64())
    return pa.table(
        {
            "other_star_id": rows["star_id"],
            **{name: rows[name] for name in ("gaia_source_id", "ra", "dec")},
            "gaia_release": pa.array([gaia_release] * len(rows), pa.string()),
            **dict.fromkeys(("pmra", "pmdec", "epoch"), none),
            **columns,
        }
    )


class _Stars:
    """One entry per star: its id, and the position and date of its first visit (lowest obsid)."""

    def __init__(self, catalog: pa.Table):
        encoded = catalog["star_id"].combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        order = np.argsort(catalog["obsid"].to_numpy(), kind="stable")
        unique, first = np.unique(codes[order], return_index=True)
        rows = order[first]  # unique is 0 .. n-1, so that entry k is the star with code k
        self.codes, self.ids = codes, encoded.dictionary.take(pa.array(unique))
        at = catalog.select(["ra", "dec", "obsdate"]).take(pa.array(rows))
        self.ra, self.dec = floats(at["ra"]), floats(at["dec"])
        self.epoch = _decimal_years(at["obsdate"])

    def __len__(self) -> int:
        return len(self.ids)


def _decimal_years(dates: pa.ChunkedArray) -> np.ndarray:
    days = dates.cast(pa.date32()).cast(pa.int32())
    since_2000 = floats(days.cast(pa.float64())) - 10957.0  # 2000-01-01 in days of 1970
    return np.nan_to_num(2000.0 + since_2000 / 365.25, nan=DEFAULT_EPOCH)


def _by_gaia(stars: _Stars, targets: pa.Table, release: str | None) -> tuple[np.ndarray, np.ndarray]:
    """(star of each target or -1, whether the target's Gaia id is of the survey's release)."""
    same = pc.fill_null(pc.equal(targets["gaia_release"], pa.scalar(release, pa.string())), False)
    same_release = pc.and_(same, pc.is_valid(targets["gaia_source_id"])).to_numpy(zero_copy_only=False).copy()
    keys = pc.binary_join_element_wise(gaia_prefix(release), targets["gaia_source_id"], "")
    at = pc.fill_null(pc.index_in(keys, value_set=stars.ids), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    at = np.where(same_release, at, -1)
    # Two targets with one Gaia id: the first by name has it.
    hit = np.flatnonzero(at >= 0)
    once = hit[np.unique(at[hit], return_index=True)[1]]
    star_of = np.full(len(targets), -1, np.int64)
    star_of[once] = at[once]
    apart = np.nan_to_num(_separations(stars, targets, star_of))
    far = np.flatnonzero(apart > ONE_ID_ARCSEC)
    if len(far):
        log.warning(
            "%d of %d pairs with one Gaia id are minutes of arc apart; first: %s, %.0f arcsec",
            *(len(far), len(once), targets["gaia_source_id"][int(far[0])].as_py(), apart[far[0]]),
        )
    return star_of, same_release


def _by_position(
    stars: _Stars, targets: pa.Table, star_of: np.ndarray, same_release: np.ndarray, radius_arcsec: float
) -> tuple[np.ndarray, np.ndarray]:
    """(targets, their stars) that are matched by position."""
    has_gaia = pc.starts_with(stars.ids, "gaia").to_numpy(zero_copy_only=False)
    free_star = np.isfinite(stars.ra) & np.isfinite(stars.dec)
    free_star[star_of[star_of >= 0]] = False
    ra, dec, pmra, pmdec, epoch = (floats(targets[name]) for name in ("ra", "dec", "pmra", "pmdec", "epoch"))
    free_target = (star_of < 0) & np.isfinite(ra) & np.isfinite(dec)
    star, target = np.flatnonzero(free_star), np.flatnonzero(free_target)
    if not len(star) or not len(target):
        return np.empty(0, np.int64), np.empty(0, np.int64)

    # Candidates at the middle of the dates, with room for what each target moves from there to either end; the
    # separation that counts is then taken at each star's own date.
    middle = (stars.epoch[star].min() + stars.epoch[star].max()) / 2
    half_span = (stars.epoch[star].max() - stars.epoch[star].min()) / 2
    years = middle - np.where(np.isfinite(epoch[target]), epoch[target], middle)
    at_middle = moved(ra[target], dec[target], pmra[target], pmdec[target], years)
    room = np.nan_to_num(np.hypot(pmra[target], pmdec[target])) * 1e-3 * half_span  # mas to arcsec
    star_vectors = unit_vectors(stars.ra[star], stars.dec[star])
    # A milliarcsecond more, for rounding.
    lists = cKDTree(star_vectors).query_ball_point(at_middle, chord(radius_arcsec + room + 1e-3))
    t = np.repeat(np.arange(len(target)), [len(found) for found in lists])
    s = np.concatenate([np.asarray(found, np.int64) for found in lists]) if len(t) else np.empty(0, np.int64)
    two_ids = same_release[target[t]] & has_gaia[star[s]]
    years = stars.epoch[star[s]] - np.where(np.isfinite(epoch[target[t]]), epoch[target[t]], stars.epoch[star[s]])
    there = moved(ra[target[t]], dec[target[t]], pmra[target[t]], pmdec[target[t]], years)
    apart = separation(there, star_vectors[s])
    close = apart <= radius_arcsec
    _doubt_ids(int((close & two_ids).sum()), int((star_of >= 0).sum()))
    close &= ~two_ids
    t, s, apart = t[close], s[close], apart[close]
    names = np.asarray(stars.ids.take(pa.array(star[s])).to_pylist(), dtype=str)
    used_t, used_s, pairs = set(), set(), []
    for at in np.lexsort((names, t, apart)):  # closest first; ties by names, never by the order of rows
        if t[at] not in used_t and s[at] not in used_s:
            used_t.add(t[at])
            used_s.add(s[at])
            pairs.append((target[t[at]], star[s[at]]))
    found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _doubt_ids(contradicted: int, matched: int) -> None:
    """Say so where neighbours with two ids are no exception: the ids of one catalogue are not what they should be."""
    if contradicted > max(matched, 2):
        log.warning(
            "%d pairs of stars at one position have two Gaia ids, and are not matched; %d have the same id: are both "
            "catalogues' ids of the release that they are taken for (gaia_release of the survey)?",
            *(contradicted, matched),
        )


def _rows(
    catalog: pa.Table, stars: _Stars, targets: pa.Table, other_id: str, star_of: np.ndarray, by_position: np.ndarray
) -> pa.Table:
    """A row for every visit of a matched star."""
    matched = np.flatnonzero(star_of >= 0)
    target_of = np.full(len(stars), -1, np.int64)
    target_of[star_of[matched]] = matched
    row_target = target_of[stars.codes]
    obsid = catalog["obsid"].to_numpy()
    rows = np.flatnonzero(row_target >= 0)
    rows = rows[np.argsort(obsid[rows], kind="stable")]
    chosen = row_target[rows]
    method = np.full(len(targets), "gaia", dtype=object)
    method[by_position] = "position"
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "obsid": pa.array(obsid[rows]),
        "star_id": catalog["star_id"].take(pa.array(rows)),
        other_id: targets[other_id].take(pa.array(chosen)),
        "separation": pa.array(_separations(stars, targets, star_of)[chosen], from_pandas=True),
        "method": pa.array(method[chosen], pa.string()),
    }
    for name in targets.column_names:
        if name != other_id and name not in _MATCHING:
            columns[name] = targets[name].take(pa.array(chosen))
    return pa.table(columns)


def _separations(stars: _Stars, targets: pa.Table, star_of: np.ndarray) -> np.ndarray:
    """Separation of each matched target from its star at the star's date (arcsec, NaN without positions)."""
    apart = np.full(len(targets), np.nan)
    matched = np.flatnonzero(star_of >= 0)
    star = star_of[matched]
    ra, dec, pmra, pmdec, epoch = (floats(targets[name])[matched] for name in ("ra", "dec", "pmra", "pmdec", "epoch"))
    years = np.nan_to_num(stars.epoch[star] - epoch)
    apart[matched] = separation(moved(ra, dec, pmra, pmdec, years), unit_vectors(stars.ra[star], stars.dec[star]))
    return apart
