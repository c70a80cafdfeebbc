"""Gaia-ESO DR5: external validation; A(X) turned into [X/Fe] on a named solar scale (paper 5.2)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.surveys.common import Survey
from starglot.config.surveys.registry import GaiaEso
from starglot.errors import StarglotError
from starglot.formats.catalog import Column, missing_columns
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import flags, floats, table_of
from starglot.formats.counts import Counts
from starglot.formats.values import is_placeholder
from starglot.labels import ATMOSPHERE, LABELS, Label
from starglot.surveys.label_values import combined_error, label_pair, within
from starglot.surveys.solar import solar_abundance

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = GaiaEso

#: Positions are J2000 (CNAME is made of them).
POSITION_EPOCH = 2000.0

#: Names of A(X) by label: element and ionisation stage, or the molecule that it was measured from.
ABUNDANCE_COLUMNS: dict[str, tuple[str, ...]] = {
    "c_fe": ("C1", "C_C2"),
    "n_fe": ("N_CN", "N1"),
    "o_fe": ("O1",),
    "mg_fe": ("MG1",),
    "al_fe": ("AL1",),
    "si_fe": ("SI1",),
    "s_fe": ("S1",),
    "mn_fe": ("MN1",),
    "ni_fe": ("NI1",),
    "ca_fe": ("CA1",),
    "na_fe": ("NA1",),
    "k_fe": ("K1",),
    "ti_fe": ("TI1",),
    "tiii_fe": ("TI2",),
    "cr_fe": ("CR1",),
    "co_fe": ("CO1",),
    "cu_fe": ("CU1",),
    "v_fe": ("V1",),
    "ce_fe": ("CE2", "CE1"),
}

#: Flags that a value is a limit, by the name of its column: in the survey's FITS files, its archive and VizieR.
_LIMITS = ("UPPER_COMBINED_{}", "UPPER_{}", "LIM_{}", "UL_{}", "L_{}", "UPPERCOMBINED{}", "UPPER{}", "LIM{}")


def _measured(label: str, names: tuple[str, ...]) -> tuple[Column, Column, Column]:
    """A value's column, its error's and its limit flag's, which follow the value's name."""
    errors = (*(f"E_{name}" for name in names), *(f"{name}_ERR" for name in names), *(f"{name}ERR" for name in names))
    return (
        Column(label, names),
        Column(f"{label}_err", errors, needed=False),
        Column(
            f"{label}_limit", tuple(flag.format(name) for flag in _LIMITS for name in names), "limit", needed=False
        ),
    )


_STAR = (
    Column("source_id", ("CNAME",), "id"),
    Column(
        "gaia_source_id",
        ("GAIA_SOURCE_ID", "GAIADR3_SOURCE_ID", "GAIAEDR3_SOURCE_ID"),
        "gaia",
        needed=False,
        gaia_release="dr3",
    ),
    Column("ra", ("RA", "RAJ2000", "RA_J2000"), needed=False, limits=(0, 360)),
    Column("dec", ("DEC", "DECLINATION", "DECJ2000", "DEJ2000"), needed=False, limits=(-90, 90)),
    Column("pmra", ("PMRA",), needed=False),
    Column("pmdec", ("PMDEC",), needed=False),
    Column("snr", ("SNR",), needed=False),
    *_measured("teff", ("TEFF",)),
    *_measured("logg", ("LOGG",)),
    *_measured("feh", ("FEH", "FE_H")),
)

_CNAME = re.compile(r"(\d{2})(\d{2})(\d{2})(\d{2})([+-])(\d{2})(\d{2})(\d{2})(\d)")


def read_catalog(settings: GaiaEso, counts: Counts | None = None) -> pa.Table:
    """Gaia-ESO stars with labels in the project's names, one row per CNAME (the best S/N).

    Columns: source_id (CNAME) string, gaia_source_id string|null, gaia_release 'dr3'|null; ra, dec (deg, ``epoch``
    in years; read out of CNAME, to 0.15 arcsec, where the file has no position); pmra, pmdec (mas/yr); snr; teff,
    logg, feh and 19 abundances with errors (K, dex): [X/Fe] = A(X) - A_sun(X) - [Fe/H] on
    ``settings.solar_scale``, its error that of A(X) and [Fe/H] in quadrature.  An element that the file lacks is
    null and named in the log; no quality cuts are made (paper 5.2), but a limit is no measurement: where the flag
    beside a value says so (UPPER_COMBINED_X 1 or 3, UPPER_X 1, LIM_TEFF 1, '<' in VizieR's l_X) it is null.  The
    survey's archive takes a missing flag (-1) for a detection, and so does this.  An error is null where one of its
    two parts is none.  ``counts``, if given, takes the account of rows and values.

    Raises StarglotError for a file that cannot be read, lacks a needed column, or has none of the elements.
    """
    counts = counts or Counts()
    path = Path(settings.catalog)
    with open_catalog(path, _STAR) as catalog:
        # The columns of error and limit follow the name that A(X) is found under.
        actual = {label: catalog.find(names) for label, names in ABUNDANCE_COLUMNS.items()}
        absent = [label for label, name in actual.items() if name is None]
        if len(absent) == len(actual):
            raise missing_columns(catalog.where, catalog.names, {label: ABUNDANCE_COLUMNS[label] for label in absent})
        abundances = [c for label, name in actual.items() if name is not None for c in _measured(label, (name,))]
        raw = table_of(catalog, [*_STAR, *abundances], counts)
    if absent:
        log.warning("%s has no %s: null for every star", path, ", ".join(absent))
    raw = raw.take(pa.array(_one_row_per_star(raw, counts)))
    ra, dec = _positions(raw, path)
    has_gaia = raw["gaia_source_id"].null_count < len(raw)
    out: dict[str, Any] = {
        "source_id": raw["source_id"],
        "gaia_source_id": raw["gaia_source_id"],
        "gaia_release": pa.array(["dr3" if has_gaia else None] * len(raw), pa.string()),
        "ra": pa.array(ra, from_pandas=True),
        "dec": pa.array(dec, from_pandas=True),
        **{name: raw[name] for name in ("pmra", "pmdec")},
        "epoch": pa.array(np.full(len(raw), POSITION_EPOCH)),
        "snr": raw["snr"],
    }
    for label in ATMOSPHERE:
        value, error = floats(raw[label.name]), floats(raw[label.error])
        out[label.name], out[label.error] = label_pair(
            value, error, label, counts, _refused(raw, label, value, value)
        )
    feh, feh_err = floats(out["feh"]), floats(out["feh_err"])
    for name in ABUNDANCE_COLUMNS:
        label = LABELS[name]
        if actual[name] is None:
            out[name], out[label.error] = pa.nulls(len(raw), pa.float64()), pa.nulls(len(raw), pa.float64())
            continue
        abundance = floats(raw[name])
        value = abundance - solar_abundance(name, settings.solar_scale) - feh
        error = combined_error(floats(raw[label.error]), label, feh_err, LABELS["feh"])
        out[name], out[label.error] = label_pair(value, error, label, counts, _refused(raw, label, abundance, value))
    counts.close(len(raw))
    log.info("Gaia-ESO %s: %d stars, solar scale %s", settings.release, len(raw), settings.solar_scale)
    return pa.table(out)


def _refused(raw: pa.Table, label: Label, written: np.ndarray, value: np.ndarray) -> dict[str, np.ndarray]:
    """Rows (n,) whose ``written`` value is none: a placeholder (its error's, or no star's value), or a limit."""
    with np.errstate(invalid="ignore"):
        repeated = (written <= 0) & (written == floats(raw[label.error]))
    flag = flags(pc.fill_null(raw[f"{label.name}_limit"], 0))
    return {
        "placeholder": repeated | (~within(value, label) & is_placeholder(written)),
        "upper_limit": (flag > 0) & (flag % 2 == 1),
    }


def position_of(cname: str) -> tuple[float, float] | None:
    """(ra, dec) in degrees out of a CNAME: hours, minutes, hundredths of seconds; degrees ... tenths of arcseconds.

    '10240000-5930000' -> (156.0, -59.5); None for any other text.
    """
    matched = _CNAME.fullmatch(cname.strip())
    if not matched:
        return None
    hours, minutes, seconds, hundredths, sign, degrees, arcmin, arcsec, tenths = matched.groups()
    ra = 15 * (int(hours) + int(minutes) / 60 + (int(seconds) + int(hundredths) / 100) / 3600)
    dec = int(degrees) + int(arcmin) / 60 + (int(arcsec) + int(tenths) / 10) / 3600
    return ra, -dec if sign == "-" else dec


def _positions(raw: pa.Table, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """ra, dec of the file, and of CNAME where it has none."""
    ra, dec = floats(raw["ra"]).copy(), floats(raw["dec"]).copy()
    names = raw["source_id"].to_pylist()
    unplaced = np.flatnonzero(~np.isfinite(ra + dec))
    for row in unplaced:
        ra[row], dec[row] = position_of(names[row]) or (np.nan, np.nan)
    if len(ra) and not np.isfinite(ra).any():
        raise StarglotError(
            "no star has a position: there is no RA and DEC, and CNAME is not of the form hhmmssss-ddmmsss",
            where=path,
            todo="add RA and DEC (degrees) to the catalogue",
        )
    return ra, dec


def _one_row_per_star(raw: pa.Table, counts: Counts) -> np.ndarray:
    """Row numbers to keep, in the file's order: of each CNAME the one with the best S/N."""
    names = pc.fill_null(raw["source_id"], "").to_numpy(zero_copy_only=False).astype(str)
    snr = np.nan_to_num(floats(raw["snr"]), nan=-np.inf)
    order = np.lexsort((np.arange(len(names)), -snr, names))
    first = np.ones(len(names), bool)
    first[1:] = names[order][1:] != names[order][:-1]
    unique = np.sort(order[first & (names[order] != "")])
    nameless = np.flatnonzero(names == "")
    repeats = np.setdiff1d(np.flatnonzero(names != ""), unique, assume_unique=True)
    counts.leave_out("no_id", len(nameless), f"row {nameless[0] + 1}, without CNAME" if len(nameless) else "")
    counts.leave_out("repeat_of_star", len(repeats), str(names[repeats[0]]) if len(repeats) else "")
    return unique
