"""LAMOST low-resolution catalogues: the A, F, G, K stars and the M stars, in one table.

Column names are those of the DR10 v2.0 catalogues, with the spellings of earlier releases as aliases.  The M
catalogue gives [M/H] (`m_h`) where the other gives [Fe/H] (`feh`); `feh_source` keeps them apart.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.models import Lamost
from starglot.errors import StarglotError
from starglot.glossary import ATMOSPHERE, SNR_BANDS
from starglot.surveys.catalog_file import open_catalog
from starglot.surveys.columns import Column, floats, label_pair, table_of

log = logging.getLogger(__name__)

#: A spectral type of the five classes: dwarf, giant or subdwarf mark, letter, subtype, luminosity, peculiarity.
#: Matched as a whole, so that white dwarfs ('DA', 'WD'), 'AGN', 'Carbon', 'DoubleStar' or 'EM' have no letter.
_SPECTRAL_TYPE = re.compile(
    r"(?:d|g|(?:e|u)?sd:?)?([AFGKM])(?:\d(?:\.\d)?)?[:+]?\s?(?:0|I[abV]{0,3}|II|III|V)*[emnps]?"
)

_COMMON = (
    Column("obsid", ("obsid",), "int"),
    Column("gaia_source_id", ("gaia_source_id", "gaia_sourceid"), "gaia", needed=False),
    Column("uid", ("uid",), "text", needed=False),
    Column("gp_id", ("gp_id", "gpid"), "text", needed=False),
    Column("ra", ("ra", "ra_obs", "objra")),
    Column("dec", ("dec", "dec_obs", "objdec")),
    Column("obsdate", ("obsdate", "obs_date"), "text"),
    Column("lmjd", ("lmjd",), "int"),
    Column("planid", ("planid", "plan_id"), "text"),
    Column("spid", ("spid", "sp_id"), "int"),
    Column("fiberid", ("fiberid", "fiber_id"), "int"),
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


def read_catalog(settings: Lamost) -> pa.Table:
    """Both LAMOST catalogues as one table, AFGK rows first, each in its file's order.

    Columns: obsid int64; gaia_source_id, uid, gp_id string; ra, dec (deg, as the catalogue has them); obsdate
    'YYYY-MM-DD'; lmjd int32; planid string; spid, fiberid int16; shard '{lmjd}-{planid}'; class (letter A F G K M,
    null for anything else) and subclass; snr_u ... snr_z; z; rv, rv_err (km/s); teff (K), logg, feh (dex) and
    their errors; feh_source 'feh' or 'm_h'.  What is missing is null; no row is left out except second entries of
    an obsid, which are counted in the log.

    S/N columns are needed for the bands of ``settings.snr_min`` and taken where they are for the others.

    Raises StarglotError for a catalogue that cannot be read or lacks a needed column.
    """
    parts = [_read_part(Path(settings.stellar), ("feh", "fe_h"), settings)]
    if settings.mstellar is not None:
        parts.append(_read_part(Path(settings.mstellar), ("feh", "fe_h", "m_h", "mh"), settings))
    table = pa.concat_tables(parts)
    keep = _first_of_each(table["obsid"].to_numpy())
    if not keep.all():
        log.warning("%d second entries of an obsid left out (the first is kept)", int((~keep).sum()))
        table = table.filter(pa.array(keep))
    counts = {row["values"]: row["counts"] for row in pc.value_counts(table["class"]).to_pylist()}
    log.info("LAMOST %s: %d rows, by class %s", settings.release, len(table), counts)
    return table


def class_letter(subclass: str | None) -> str | None:
    """The letter A, F, G, K or M of a LAMOST subclass; None for every other kind of object.

    'G5' -> G, 'A1V' -> A, 'dM2' and 'gM0' and 'sdM1' -> M, 'sd:F' -> F; 'Non', 'O', 'B6', 'WD', 'DA', 'CV',
    'Carbon', 'DoubleStar' -> None.
    """
    matched = _SPECTRAL_TYPE.fullmatch(subclass.strip()) if subclass else None
    return matched.group(1) if matched else None


def spectrum_file(obsdate: str, planid: str, lmjd: int, spid: int, fiberid: int) -> str:
    """Path of a spectrum relative to the root of the spectra, without '.gz'.

    ('2013-11-23', 'HD001', 56619, 3, 7) -> '20131123/HD001/spec-56619-HD001_sp03-007.fits'
    """
    return f"{obsdate.replace('-', '')}/{planid}/spec-{lmjd:05d}-{planid}_sp{spid:02d}-{fiberid:03d}.fits"


def _read_part(path: Path, metallicity: tuple[str, ...], settings: Lamost) -> pa.Table:
    snr = [
        Column(f"snr_{band}", (f"snr{band}", f"snr_{band}", f"sn_{band}"), needed=band in settings.snr_min)
        for band in SNR_BANDS
    ]
    with open_catalog(path, [*_COMMON, *snr]) as catalog:
        # The error must be of the same quantity, so its name follows the one that is found.
        actual = catalog.find(metallicity) or metallicity[0]
        columns = [
            *_COMMON,
            *snr,
            Column("feh", (actual, *(name for name in metallicity if name != actual))),
            Column("feh_err", (f"{actual}_err",), needed=False),
        ]
        raw = table_of(catalog, columns)
    lost = raw["obsid"].null_count
    if lost:
        raise StarglotError(
            f"{lost} rows have no obsid", where=path, todo="every spectrum needs one; check the catalogue's obsid"
        )
    return _finish(raw, "m_h" if actual.lower() in ("m_h", "mh") else "feh")


def _finish(raw: pa.Table, feh_source: str) -> pa.Table:
    """The raw columns of one file in the project's types, letters and shards added."""
    labels: dict[str, pa.Array] = {}
    for label in ATMOSPHERE:
        labels[label.name], labels[label.error] = label_pair(floats(raw[label.name]), floats(raw[label.error]), label)
    rows = len(raw)
    source = pc.if_else(pc.is_valid(labels["feh"]), pa.scalar(feh_source, pa.string()), pa.scalar(None, pa.string()))
    shard = pc.binary_join_element_wise(pc.cast(raw["lmjd"], pa.string()), raw["planid"], "-")
    is_star = (
        pc.fill_null(pc.equal(pc.utf8_upper(raw["survey_class"]), "STAR"), False)
        if raw["survey_class"].null_count < rows
        else pa.array(np.ones(rows, bool))
    )
    rv_err = raw["rv_err"]
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "obsid": raw["obsid"],
        "gaia_source_id": raw["gaia_source_id"],
        "uid": _not_zero(raw["uid"]),
        "gp_id": _not_zero(raw["gp_id"]),
        "ra": raw["ra"],
        "dec": raw["dec"],
        "obsdate": _iso_dates(raw["obsdate"]),
        "lmjd": raw["lmjd"].cast(pa.int32()),
        "planid": raw["planid"],
        "spid": raw["spid"].cast(pa.int16()),
        "fiberid": raw["fiberid"].cast(pa.int16()),
        "shard": shard,
        "class": pc.if_else(is_star, _letters(raw["subclass"]), pa.scalar(None, pa.string())),
        "subclass": raw["subclass"],
        **{f"snr_{band}": raw[f"snr_{band}"] for band in SNR_BANDS},
        "z": raw["z"],
        "rv": raw["rv"],
        "rv_err": pc.if_else(pc.greater(rv_err, 0.0), rv_err, pa.scalar(None, pa.float64())),
        **{name: labels[name] for label in ATMOSPHERE for name in (label.name, label.error)},
        "feh_source": source,
    }
    return pa.table(columns)


def _letters(subclass: pa.ChunkedArray) -> pa.Array:
    """Class letter of each subclass; a catalogue of millions of rows has some hundred different ones."""
    encoded = subclass.combine_chunks().dictionary_encode()
    kinds = encoded.dictionary.to_pylist()
    letters = pa.array([class_letter(kind) for kind in kinds], pa.string())
    without = [kind for kind in kinds if class_letter(kind) is None]
    if without:
        log.info("subclasses without a letter: %s", ", ".join(sorted(without)[:40]))
    return letters.take(encoded.indices)


def _not_zero(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids with '0' as missing: it would make one star of all the rows that have none."""
    return pc.if_else(pc.equal(ids, "0"), pa.scalar(None, pa.string()), ids)


def _iso_dates(dates: pa.ChunkedArray) -> pa.ChunkedArray:
    """'2013-11-23', '20131123' or '2013-11-23T...' as '2013-11-23'; null where there is no date."""
    iso = pc.replace_substring_regex(dates, r"^(\d{4})-?(\d{2})-?(\d{2})\D?.*$", r"\1-\2-\3")
    return pc.if_else(pc.match_substring_regex(iso, r"^\d{4}-\d{2}-\d{2}$"), iso, pa.scalar(None, pa.string()))


def _first_of_each(ids: np.ndarray) -> np.ndarray:
    """True at the first row of each id."""
    keep = np.zeros(len(ids), bool)
    keep[np.unique(ids, return_index=True)[1]] = True
    return keep
