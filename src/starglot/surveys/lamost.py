"""LAMOST low-resolution catalogues: the A, F, G, K stars and the M stars, in one table.

Column names are those of the DR10 v2.0 catalogues, with the spellings of earlier releases as aliases.  The M
catalogue gives [M/H] (`m_h`) where the other gives [Fe/H] (`feh`); `feh_source` keeps them apart.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.surveys.common import Survey
from starglot.config.surveys.registry import Lamost
from starglot.errors import StarglotError
from starglot.formats.catalog import Column
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import floats, table_of
from starglot.formats.counts import VALUE_REASONS, Counts
from starglot.labels import ATMOSPHERE, LABELS
from starglot.surveys.label_values import label_pair, within
from starglot.surveys.shard_names import shard_names
from starglot.surveys.spectral_types import class_letter as class_letter
from starglot.surveys.spectral_types import read_type

log = logging.getLogger(__name__)

#: Bands of the S/N per pixel.
SNR_BANDS: tuple[str, ...] = ("u", "g", "r", "i", "z")

SETTINGS: type[Survey] = Lamost

_COMMON = (
    Column("obsid", ("obsid",), "int"),
    Column("uid", ("uid",), "id", needed=False),
    Column("gp_id", ("gp_id", "gpid"), "id", needed=False),
    Column("ra", ("ra", "ra_obs", "objra"), limits=(0, 360)),
    Column("dec", ("dec", "dec_obs", "objdec"), limits=(-90, 90)),
    Column("obsdate", ("obsdate", "obs_date"), "date"),
    Column("lmjd", ("lmjd",), "int", limits=(0, 99999)),
    Column("planid", ("planid", "plan_id"), "text"),
    Column("spid", ("spid", "sp_id"), "int", limits=(0, 99)),
    Column("fiberid", ("fiberid", "fiber_id"), "int", limits=(0, 9999)),
    Column("survey_class", ("class", "objclass"), "text", needed=False),
    Column("subclass", ("subclass",), "text"),
    Column("z", ("z", "redshift"), needed=False),
    Column("rv", ("rv",), needed=False),
    Column("rv_err", ("rv_err",), needed=False),
    Column("teff", ("teff",)),
    Column("teff_err", ("teff_err",), needed=False),
    Column("logg", ("logg",)),
    Column("logg_err", ("logg_err",), needed=False),
)


def read_catalog(settings: Lamost, counts: Counts | None = None) -> pa.Table:
    """Both LAMOST catalogues as one table, AFGK rows first, each in its file's order.

    Columns: obsid int64; gaia_source_id (of ``settings.gaia_release``), uid, gp_id string; ra, dec (deg, as the
    catalogue has them); obsdate 'YYYY-MM-DD'; lmjd int32; planid string; spid, fiberid int16; shard (of
    :mod:`starglot.surveys.shard_names`); class (letter A F G K M, null for anything else) and subclass; snr_u ...
    snr_z; z; rv, rv_err (km/s); teff (K), logg, feh (dex) and their errors; feh_source 'feh' or 'm_h'.  What is
    missing is null; no row is left out except those without an obsid and second entries of one.  ``counts``, if
    given, takes the account of rows and values.

    S/N columns are needed for the bands of ``settings.snr_min`` and taken where they are for the others.

    Raises StarglotError for a catalogue that cannot be read, lacks a needed column, or has no obsid at all.
    """
    counts = counts or Counts()
    parts = [_read_part(Path(settings.stellar), ("feh", "fe_h"), settings, counts)]
    if settings.mstellar is not None:
        parts.append(_read_part(Path(settings.mstellar), ("feh", "fe_h", "m_h", "mh"), settings, counts))
    table = pa.concat_tables(parts)
    obsid = table["obsid"].to_numpy()
    keep = _first_of_each(obsid)
    if not keep.all():
        counts.leave_out("second_entry", int((~keep).sum()), f"obsid {obsid[~keep][0]}")
        table = table.filter(pa.array(keep))
    counts.close(len(table))
    classes = {row["values"]: row["counts"] for row in pc.value_counts(table["class"]).to_pylist()}
    log.info("LAMOST %s: %d rows, by class %s", settings.release, len(table), classes)
    return table


def _read_part(path: Path, metallicity: tuple[str, ...], settings: Lamost, counts: Counts) -> pa.Table:
    snr = [
        Column(f"snr_{band}", (f"snr{band}", f"snr_{band}", f"sn_{band}"), needed=band in settings.snr_min)
        for band in SNR_BANDS
    ]
    release = settings.gaia_release
    gaia = Column("gaia_source_id", ("gaia_source_id", "gaia_sourceid"), "gaia", needed=False, gaia_release=release)
    with open_catalog(path, [*_COMMON, *snr]) as catalog:
        # The error must be of the same quantity, so its name follows the one that is found.
        actual = catalog.find(metallicity) or metallicity[0]
        columns = [
            *_COMMON,
            gaia,
            *snr,
            Column("feh", (actual, *(name for name in metallicity if name != actual))),
            Column("feh_err", (f"{actual}_err",), needed=False),
        ]
        raw = table_of(catalog, columns, counts)
    raw = _with_obsid(raw, path, counts)
    _doubt_degrees(raw, path)
    return _finish(raw, "m_h" if actual.lower() in ("m_h", "mh") else "feh", counts)


def _with_obsid(raw: pa.Table, path: Path, counts: Counts) -> pa.Table:
    """The rows that have an obsid; a negative one has overflowed on its way into the file."""
    keep = pc.fill_null(pc.greater_equal(raw["obsid"], 0), False).to_numpy()
    if keep.all():
        return raw
    first = int(np.flatnonzero(~keep)[0])
    example = f"row {first + 1} of {path.name}, obsid {raw['obsid'][first].as_py()}"
    if not keep.any():
        raise StarglotError(
            f"no row has an obsid that is 0 or above; first: {example}",
            where=path,
            todo="give every spectrum one of its own; check the catalogue's obsid",
        )
    counts.leave_out("no_id", int((~keep).sum()), example)
    return raw.filter(pa.array(keep))


def _doubt_degrees(raw: pa.Table, path: Path) -> None:
    """Say so where right ascensions look like hours: a wrong position matches nothing, and silently."""
    ra = floats(raw["ra"])
    ra = ra[np.isfinite(ra)]
    # Enough rows, all below 24 and over more than half of that: a narrow field in degrees can be there, too.
    if len(ra) >= 20 and ra.max() < 24 and np.ptp(ra) > 12:
        log.warning(
            "%s: every ra is below 24 (%g to %g): are these hours?  Degrees are expected", path, *np.sort(ra)[[0, -1]]
        )


def _finish(raw: pa.Table, feh_source: str, counts: Counts) -> pa.Table:
    """The raw columns of one file in the project's types, letters and shards added."""
    labels: dict[str, pa.Array] = {}
    teff = floats(raw["teff"])
    no_teff = np.where(within(teff, LABELS["teff"]), np.nan, teff)
    for label in ATMOSPHERE:
        value, error = floats(raw[label.name]), floats(raw[label.error])
        # What stands for a missing Teff, -1 for one, is no log g or [Fe/H] either.
        refused = {"placeholder": value == no_teff} if label.name != "teff" else {}
        labels[label.name], labels[label.error] = label_pair(value, error, label, counts, refused)
    source = pc.if_else(pc.is_valid(labels["feh"]), pa.scalar(feh_source, pa.string()), pa.scalar(None, pa.string()))
    shard = shard_names(raw["lmjd"], raw["planid"])
    rv_err = raw["rv_err"]
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "obsid": raw["obsid"],
        "gaia_source_id": raw["gaia_source_id"],
        "uid": raw["uid"],
        "gp_id": raw["gp_id"],
        "ra": raw["ra"],
        "dec": raw["dec"],
        "obsdate": raw["obsdate"],
        "lmjd": raw["lmjd"].cast(pa.int32()),
        "planid": raw["planid"],
        "spid": raw["spid"].cast(pa.int16()),
        "fiberid": raw["fiberid"].cast(pa.int16()),
        "shard": shard,
        "class": _letters(raw, counts),
        "subclass": raw["subclass"],
        **{f"snr_{band}": raw[f"snr_{band}"] for band in SNR_BANDS},
        "z": raw["z"],
        "rv": raw["rv"],
        "rv_err": pc.if_else(pc.greater(rv_err, 0.0), rv_err, pa.scalar(None, pa.float64())),
        **{name: labels[name] for label in ATMOSPHERE for name in (label.name, label.error)},
        "feh_source": source,
    }
    return pa.table(columns)


def _letters(raw: pa.Table, counts: Counts) -> pa.Array:
    """Class letter of each row; a catalogue of millions of rows has some hundred different types."""
    encoded = raw["subclass"].combine_chunks().dictionary_encode()
    kinds: list[str] = encoded.dictionary.to_pylist()
    read = [read_type(kind) for kind in kinds]
    codes = np.asarray(encoded.indices.fill_null(len(kinds)).to_numpy(zero_copy_only=False))
    stars = np.ones(len(raw), bool)
    if raw["survey_class"].null_count < len(raw):
        stars = pc.fill_null(pc.equal(pc.utf8_upper(raw["survey_class"]), "STAR"), False).to_numpy()
    of_kind = np.array([*(letter for letter, _ in read), None], object)
    letters = np.where(stars, of_kind[codes], None)
    refused = {"not_a_star": (codes < len(kinds)) & ~stars}
    for reason in ("two_types", "unknown_type", "other_type"):
        bad = [problem == reason for _, problem in read]
        refused[reason] = np.take(np.array([*bad, False]), codes)
        if any(bad):
            listed = [kind for kind, is_bad in zip(kinds, bad, strict=True) if is_bad]
            level = logging.WARNING if VALUE_REASONS[reason].look else logging.INFO
            log.log(level, "subclass, %s: %s", VALUE_REASONS[reason].text, ", ".join(sorted(listed)[:40]))
    valid = np.array([letter is not None for letter in letters], bool)
    counts.made("class", np.array([*kinds, None], object)[codes], valid, refused)
    return pa.array(letters, pa.string())


def _first_of_each(ids: np.ndarray) -> np.ndarray:
    """True at the first row of each id."""
    keep = np.zeros(len(ids), bool)
    keep[np.unique(ids, return_index=True)[1]] = True
    return keep
