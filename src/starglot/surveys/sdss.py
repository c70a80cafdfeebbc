"""SDSS's specObj catalogue: redshifts of galaxies, quasars and stars, one row a spectrum.

Columns as in the data model of specObj (DR16); a CasJobs table with the same names, in any case, is read as well.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.surveys.common import Survey
from starglot.config.surveys.sdss import Sdss
from starglot.errors import StarglotError
from starglot.formats.bits import bits_set
from starglot.formats.catalog import Column
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import flags, floats, table_of
from starglot.formats.counts import Counts
from starglot.labels import LABELS
from starglot.surveys.common_columns import HELD_OUT_PREFIX
from starglot.surveys.label_values import label_pair

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = Sdss

_COLUMNS = (
    Column("plate", ("PLATE",), "int", limits=(1, 99_999)),
    Column("mjd", ("MJD",), "int", limits=(40_000, 99_999)),
    Column("fiberid", ("FIBERID", "FIBER"), "int", limits=(1, 9999)),
    Column("run2d", ("RUN2D",), "text", needed=False),
    Column("specobjid", ("SPECOBJID",), "text", needed=False),
    Column("ra", ("PLUG_RA", "RA"), limits=(0, 360)),
    Column("dec", ("PLUG_DEC", "DEC"), limits=(-90, 90)),
    Column("object_class", ("CLASS",), "text"),
    Column("subclass", ("SUBCLASS",), "text", needed=False),
    Column("z", ("Z",)),
    Column("z_err", ("Z_ERR", "ZERR"), needed=False),
    Column("zwarning", ("ZWARNING",), "flag"),
    Column("z_noqso", ("Z_NOQSO",), needed=False),
    Column("z_err_noqso", ("Z_ERR_NOQSO",), needed=False),
    Column("zwarning_noqso", ("ZWARNING_NOQSO",), "flag", needed=False),
    Column("class_noqso", ("CLASS_NOQSO",), "text", needed=False),
    Column("snr", ("SN_MEDIAN_ALL", "SNMEDIAN"), needed=False),
)
_PHOTOMETRY = (
    Column("specobjid", ("SPECOBJID",), "text", needed=False),
    Column("plate", ("PLATE",), "int", needed=False),
    Column("mjd", ("MJD",), "int", needed=False),
    Column("fiberid", ("FIBERID", "FIBER"), "int", needed=False),
    Column("type", ("TYPE", "OBJC_TYPE"), "int"),
    Column("dered_i", ("DERED_I",), needed=False),
    Column("magnitude", ("MODELMAG_I", "CMODELMAG_I"), needed=False),
    Column("extinction", ("EXTINCTION_I",), needed=False),
)
_EPOCH = np.datetime64("1858-11-17")  # MJD 0


def read_catalog(settings: Sdss, counts: Counts | None = None) -> pa.Table:
    """One row per spectrum: obsid, shard, plate, mjd, fiberid, run2d, position, class of the pipeline, redshift.

    Columns: obsid int64 (plate, mjd and fiberid in decimal places, as SPECOBJID does not fit for BOSS plates); shard
    (the plate, four digits); ra, dec (deg); gaia_source_id (null: a galaxy is known by its position); obsdate;
    object_class (GALAXY, QSO, STAR), subclass; zwarning int64; snr_r (median S/N per pixel of the whole spectrum);
    redshift and redshift_err; held_out_redshift and held_out_redshift_err, the same of held-out plates.

    A redshift is null where the class is none of ``settings.classes``, the plate is held out, a bit of
    ``settings.zwarning_bits`` is set, it lies outside ``settings.redshift``, or the galaxy does not pass the
    photometric cut.  Of galaxies, Z_NOQSO with its error and warning counts where the file has it filled (BOSS and
    later); legacy rows have 0 there.  Of rows with the same plate, mjd and fiber the first is kept.

    Raises StarglotError for a file that cannot be read or lacks a needed column.
    """
    counts = counts or Counts()
    path = Path(settings.catalog)
    with open_catalog(path, _COLUMNS) as catalog:
        raw = table_of(catalog, _COLUMNS, counts)
    raw = _named_once(raw, counts)
    filled = pc.and_(
        pc.greater(pc.utf8_length(pc.fill_null(raw["class_noqso"], "")), 0), pc.equal(raw["object_class"], "GALAXY")
    )
    best = pc.fill_null(filled, False)
    value = pc.if_else(best, raw["z_noqso"], raw["z"])
    error = pc.if_else(best, raw["z_err_noqso"], raw["z_err"])
    warning = flags(pc.if_else(best, raw["zwarning_noqso"], raw["zwarning"]))
    z = floats(value)
    with np.errstate(invalid="ignore"):
        outside = ~((z > settings.redshift[0]) & (z < settings.redshift[1]))
    cuts = {
        "class": ~pc.fill_null(pc.is_in(raw["object_class"], pa.array(settings.classes)), False).to_numpy(),
        "held-out plates": np.isin(raw["plate"].to_numpy(), settings.held_out),
        "ZWARNING": bits_set(warning, settings.zwarning_bits),
        "range of redshifts": outside & np.isfinite(z),
    }
    if settings.photometry is not None:
        cuts["photometry"] = ~_bright(raw, settings, counts)
    refused, other = np.zeros(len(raw), bool), ~cuts["held-out plates"]
    for name, rows in cuts.items():
        log.info("SDSS: %d of %d rows are left out by %s", int((rows & ~refused).sum()), len(raw), name)
        refused |= rows
        other = other if name == "held-out plates" else other | rows
    label = LABELS["redshift"]
    redshift, redshift_err = label_pair(z, floats(error), label, counts, {"flagged": refused})
    held_out, held_out_err = label_pair(z, floats(error), label, Counts(), {"flagged": other})
    dates = _EPOCH + raw["mjd"].to_numpy().astype("timedelta64[D]")
    table = raw.select(
        ["obsid", "shard", "plate", "mjd", "fiberid", "run2d", "ra", "dec", "object_class", "subclass"]
    )
    counts.close(len(raw))
    log.info("SDSS %s: %d rows, %d with a redshift", settings.release, len(raw), len(raw) - redshift.null_count)
    for name, column in {
        "gaia_source_id": pa.nulls(len(raw), pa.string()),
        "obsdate": pa.array(np.datetime_as_string(dates, "D").tolist(), pa.string()),
        "zwarning": pa.array(warning),
        "snr_r": raw["snr"],
        label.name: redshift,
        label.error: redshift_err,
        f"{HELD_OUT_PREFIX}{label.name}": held_out,
        f"{HELD_OUT_PREFIX}{label.error}": held_out_err,
    }.items():
        table = table.append_column(name, column)
    return table


def spectrum_id(plate: np.ndarray, mjd: np.ndarray, fiberid: np.ndarray) -> np.ndarray:
    """(n,) int64: 266, 51602, 31 is 266516020031."""
    return np.asarray(plate, np.int64) * 10**9 + np.asarray(mjd, np.int64) * 10**4 + np.asarray(fiberid, np.int64)


def _named_once(raw: pa.Table, counts: Counts) -> pa.Table:
    """The rows that name a spectrum, the first of each, with obsid and shard."""
    named = pc.is_valid(raw["plate"])
    for name in ("mjd", "fiberid"):
        named = pc.and_(named, pc.is_valid(raw[name]))
    nameless = int(len(raw) - pc.sum(named).as_py()) if len(raw) else 0
    first = pc.index(named, False).as_py()
    counts.leave_out("no_id", nameless, f"row {first + 1}, without plate, mjd or fiberid")
    raw = raw.filter(named)
    obsid = spectrum_id(*(raw[name].to_numpy() for name in ("plate", "mjd", "fiberid")))
    once = np.zeros(len(raw), bool)
    once[np.unique(obsid, return_index=True)[1]] = True
    again = np.flatnonzero(~once)
    counts.leave_out("second_entry", len(again), f"spectrum {obsid[again[0]]}" if len(again) else "")
    raw = raw.append_column("obsid", pa.array(obsid)).filter(pa.array(once))
    plate = pc.utf8_lpad(raw["plate"].cast(pa.string()), 4, "0")
    return raw.append_column("shard", plate).combine_chunks()


def _bright(raw: pa.Table, settings: Sdss, counts: Counts) -> np.ndarray:
    """(rows,) whether the table of magnitudes has the spectrum, as bright and of the type that is wanted."""
    path = Path(settings.photometry or "")
    with open_catalog(path, _PHOTOMETRY) as catalog:
        by_id = catalog.find(("SPECOBJID",)) is not None
        lacking = [] if by_id else [name for name in ("PLATE", "MJD", "FIBERID") if catalog.find((name,)) is None]
        if catalog.find(("DERED_I",)) is None:
            pair = (("MODELMAG_I", "CMODELMAG_I"), ("EXTINCTION_I",))
            lacking += ["dered_i"] if any(catalog.find(names) is None for names in pair) else []
        if lacking or (by_id and raw["specobjid"].null_count == len(raw)):
            raise StarglotError(
                f"the table of magnitudes lacks {', '.join(lacking) or 'plate, mjd, fiberid'}",
                where=path,
                allowed="specobjid (where the catalogue has it, too) or plate, mjd and fiberid; type; dered_i, or "
                "modelmag_i and extinction_i",
                todo="ask CasJobs for these columns, or set surveys.sdss.photometry to null",
            )
        table = table_of(catalog, _PHOTOMETRY, Counts())
    magnitude = pc.coalesce(table["dered_i"], pc.subtract(table["magnitude"], table["extinction"]))
    good = pc.and_(pc.less(magnitude, settings.faintest_i), pc.equal(table["type"], settings.photometric_type))
    chosen = table.filter(pc.fill_null(good, False))
    if by_id:
        own, theirs = raw["specobjid"], chosen["specobjid"]
    else:
        columns = (chosen[name].fill_null(0).to_numpy() for name in ("plate", "mjd", "fiberid"))
        own, theirs = raw["obsid"], pa.chunked_array([pa.array(spectrum_id(*columns))])
    found: np.ndarray = pc.fill_null(pc.is_in(own, value_set=theirs.combine_chunks()), False).to_numpy()
    return found
