"""DESI's Milky Way Survey: the catalogue ``mwsall-pix-{fuji,iron}.fits`` (Koposov et al. 2024, 2025).

Five tables of the same rows: RVTAB (RVSpecFit), SPTAB (FERRE), FIBERMAP, SCORES (quality of the spectra) and GAIA
(DR3).  A row is a target in one survey and program; of a target that has several, PRIMARY marks the best.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.surveys.common import Survey
from starglot.config.surveys.desi import Desi
from starglot.errors import StarglotError
from starglot.formats.catalog import Column
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import flags, floats, table_of
from starglot.formats.counts import Counts
from starglot.labels import LABELS
from starglot.surveys.label_values import label_pair

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = Desi

#: Names of the labels in both pipelines' tables.
_NAMES = {"teff": "TEFF", "logg": "LOGG", "feh": "FEH", "alpha_fe": "ALPHAFE"}
#: Place of each label's variance in SPTAB's COVAR, 5 x 5 for ([Fe/H], [alpha/Fe], log10 micro, Teff, log g).
_VARIANCE = {"feh": 0, "alpha_fe": 6, "teff": 18, "logg": 24}
#: The bands that stand for the arms.
_ARMS = {"g": "B", "r": "R", "z": "Z"}

_TARGETS = (
    Column("targetid", ("TARGETID",), "int"),
    Column("ra", ("TARGET_RA",), limits=(0, 360)),
    Column("dec", ("TARGET_DEC",), limits=(-90, 90)),
    Column("survey", ("SURVEY",), "text"),
    Column("program", ("PROGRAM",), "text"),
    Column("healpix", ("HEALPIX",), "int"),
    Column("spectype", ("RR_SPECTYPE",), "text"),
    Column("rvs_warn", ("RVS_WARN",), "flag"),
    Column("primary", ("PRIMARY",), "flag"),
    Column("rv", ("VRAD",), needed=False),
)
_SCORES = (
    Column("targetid", ("TARGETID",), "int", needed=False),
    *(Column(f"snr_{band}", (f"MEDIAN_COADD_SNR_{arm}",)) for band, arm in _ARMS.items()),
)
_GAIA = (Column("gaia_source_id", ("SOURCE_ID",), "gaia", gaia_release="dr3"),)


def read_catalog(settings: Desi, counts: Counts | None = None) -> pa.Table:
    """One row per star: its primary spectrum.

    Columns: obsid (TARGETID), targetid string, shard, gaia_source_id string|null (DR3), ra, dec (deg), snr_g, snr_r,
    snr_z (median of the coadd in arms B, R, Z), rv (RVSpecFit's, km/s), teff, logg, feh, alpha_fe with errors (K,
    dex).

    Left out and counted: sky fibres and others without a target, rows that are not PRIMARY, that Redrock does not
    call a star, or that RVSpecFit warns of, as both papers on transfer to DESI do.  Labels of ``sp`` are null where
    FERRE did not succeed.  [alpha/Fe] is the pipelines' own scaling of the alpha elements.

    Raises StarglotError for a file without the tables, or whose tables do not have the same rows.
    """
    counts = counts or Counts()
    path = Path(settings.catalog)
    raw = _joined(path, settings, counts)
    raw = raw.filter(pa.array(_chosen(raw, counts)))
    out: dict[str, Any] = {
        "obsid": raw["targetid"],
        "targetid": raw["targetid"].cast(pa.string()),
        "shard": _shards(raw, path),
        **{name: raw[name] for name in ("gaia_source_id", "ra", "dec", "snr_g", "snr_r", "snr_z", "rv")},
    }
    failed = flags(raw["success"]) == 0
    for name in settings.brings:
        value, error = floats(raw[name]), _error(raw, name)
        undefined = np.zeros(len(raw), bool)
        if name == "feh" and settings.labels == "sp" and settings.calibrated:
            value = calibrated_feh(floats(raw["teff"]), floats(raw["logg"]), value)
            undefined = np.isnan(value) & ~np.isnan(floats(raw["feh"]))
            value = np.where(undefined, floats(raw["feh"]), value)
        out[name], out[LABELS[name].error] = label_pair(
            value, error, LABELS[name], counts, {"flagged": failed, "outside_calibration": undefined}
        )
    counts.close(len(raw))
    log.info("DESI %s: %d primary spectra of stars", settings.release, len(raw))
    return pa.table(out)


def calibrated_feh(teff: np.ndarray, logg: np.ndarray, feh: np.ndarray) -> np.ndarray:
    """[Fe/H] of FERRE on the scale of the DR1 catalogue's paper (Koposov et al. 2025); (n,) arrays, K and dex.

    A parabola in log10(Teff/5000)/0.1 is subtracted, one for log g below 3.6 and one above.  NaN outside of
    4000 <= Teff < 6700 and 0 <= log g < 5.4, where there is none.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.log10(teff / 5000.0) / 0.1
        giant = logg < 3.6
        shift = np.where(giant, 0.112 + 0.195 * x - 0.162 * x**2, 0.041 - 0.095 * x - 0.117 * x**2)
        inside = (teff >= 4000) & (teff < 6700) & (logg >= 0) & (logg < 5.4)
    return np.asarray(np.where(inside, feh - shift, np.nan))


def _joined(path: Path, settings: Desi, counts: Counts) -> pa.Table:
    """What is needed of the five tables, side by side."""
    if settings.labels == "sp":
        labels = _read(path, [Column("targetid", ("TARGETID",), "int"), *_sp_columns()], counts)
        targets = _read(path, _TARGETS, counts)
    else:
        targets = _read(path, (*_TARGETS, *_rv_columns()), counts)
        labels = targets.select(["targetid", "success", *_NAMES, *(f"{name}_err" for name in _NAMES)])
        targets = targets.select([column.name for column in _TARGETS])
    scores, gaia = _read(path, _SCORES, counts), _read(path, _GAIA, counts)
    for name, table in (("labels", labels), ("SCORES", scores), ("GAIA", gaia)):
        ids = table["targetid"] if "targetid" in table.column_names else targets["targetid"]
        other = ids.null_count < len(ids) and not ids.equals(targets["targetid"])  # SCORES need not name them
        if len(table) != len(targets) or other:
            raise StarglotError(
                f"the tables do not have the same rows: {len(targets)} of RVTAB, {len(table)} of {name}",
                where=path,
                allowed="RVTAB, SPTAB, SCORES and GAIA with one row each for the same targets",
                todo="use an unmodified file of the release",
            )
    for table in (labels, scores, gaia):
        for name in table.column_names:
            if name != "targetid":
                targets = targets.append_column(name, table[name])
    counts.rows = len(targets)  # of the file; its tables were counted one by one
    return targets


def _read(path: Path, columns: Any, counts: Counts) -> pa.Table:
    with open_catalog(path, columns) as catalog:
        return table_of(catalog, columns, counts)


def _sp_columns() -> list[Column]:
    """BESTGRID is asked for because no other table has it."""
    return [
        Column("grid", ("BESTGRID",), "text"),
        Column("success", ("SUCCESS",), "flag"),
        Column("covariance", ("COVAR",), "float_vector", needed=False),
        *(Column(name, (there,)) for name, there in _NAMES.items()),
    ]


def _rv_columns() -> list[Column]:
    return [
        Column("success", ("SUCCESS",), "flag"),
        *(Column(name, (there,)) for name, there in _NAMES.items()),
        *(Column(f"{name}_err", (f"{there}_ERR",), needed=False) for name, there in _NAMES.items()),
    ]


def _error(raw: pa.Table, name: str) -> np.ndarray:
    """1-sigma errors of a label, NaN where there are none."""
    if f"{name}_err" in raw.column_names:
        return floats(raw[f"{name}_err"])
    if raw["covariance"].null_count == len(raw):
        return np.full(len(raw), np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(floats(pc.list_element(raw["covariance"], _VARIANCE[name]))))


def _chosen(raw: pa.Table, counts: Counts) -> np.ndarray:
    """Which rows are the primary spectra of stars; the others are counted, each with the first reason."""
    ids = np.asarray(pc.fill_null(raw["targetid"], 0).to_numpy())
    types = np.array([str(kind or "").strip().upper() for kind in raw["spectype"].to_pylist()])
    left = np.ones(len(ids), bool)
    for reason, bad in (
        ("no_id", ids <= 0),
        ("repeat_of_star", flags(raw["primary"]) != 1),
        ("not_a_star", types != "STAR"),
        ("warned", flags(raw["rvs_warn"]) != 0),
    ):
        rows = np.flatnonzero(left & bad)
        counts.leave_out(reason, len(rows), f"TARGETID {ids[rows[0]]}" if len(rows) else "")
        left &= ~bad
    first = np.zeros(len(ids), bool)
    places = np.flatnonzero(left)
    first[places[np.unique(ids[places], return_index=True)[1]]] = True
    again = np.flatnonzero(left & ~first)
    counts.leave_out("second_entry", len(again), f"TARGETID {ids[again[0]]}" if len(again) else "")
    return first


def _shards(raw: pa.Table, path: Path) -> pa.Array:
    """{survey}-{program}-{healpix}: one coadd file."""
    parts = [pc.utf8_trim_whitespace(pc.utf8_lower(raw[name])) for name in ("survey", "program")]
    shards = pc.binary_join_element_wise(*parts, raw["healpix"].cast(pa.string()), "-")
    bad = pc.invert(pc.fill_null(pc.match_substring_regex(shards, "^[a-z0-9]+-[a-z0-9]+-[0-9]+$"), False))
    if pc.any(bad).as_py():
        at = int(np.flatnonzero(bad.to_numpy(zero_copy_only=False))[0])
        row = raw.slice(at, 1).to_pylist()[0]
        raise StarglotError(
            f"{pc.sum(bad).as_py()} rows name no coadd file; the first has survey {row['survey']!r}, "
            f"program {row['program']!r}, healpix {row['healpix']}",
            where=path,
            allowed="letters and digits, as in main, dark, 27247",
            todo="use an unmodified file of the release",
        )
    return shards
