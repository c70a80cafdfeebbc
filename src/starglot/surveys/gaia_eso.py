"""Gaia-ESO DR5: external validation; A(X) turned into [X/Fe] on a named solar scale (paper 5.2)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.models import GaiaEso
from starglot.errors import StarglotError
from starglot.glossary import ATMOSPHERE, LABELS
from starglot.surveys.catalog import missing_columns
from starglot.surveys.catalog_file import open_catalog
from starglot.surveys.columns import Column, floats, label_pair, table_of
from starglot.surveys.solar import solar_abundance

log = logging.getLogger(__name__)

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

_STAR = (
    Column("source_id", ("CNAME",), "text"),
    Column("gaia_source_id", ("GAIA_SOURCE_ID", "GAIADR3_SOURCE_ID", "GAIAEDR3_SOURCE_ID"), "gaia", needed=False),
    Column("ra", ("RA", "RAJ2000", "RA_J2000"), needed=False),
    Column("dec", ("DEC", "DECLINATION", "DECJ2000", "DEJ2000"), needed=False),
    Column("pmra", ("PMRA",), needed=False),
    Column("pmdec", ("PMDEC",), needed=False),
    Column("snr", ("SNR",), needed=False),
    Column("teff", ("TEFF",)),
    Column("teff_err", ("E_TEFF", "TEFF_ERR"), needed=False),
    Column("logg", ("LOGG",)),
    Column("logg_err", ("E_LOGG", "LOGG_ERR"), needed=False),
    Column("feh", ("FEH", "FE_H")),
    Column("feh_err", ("E_FEH", "E_FE_H", "FEH_ERR"), needed=False),
)

_CNAME = re.compile(r"(\d{2})(\d{2})(\d{2})(\d{2})([+-])(\d{2})(\d{2})(\d{2})(\d)")


def read_catalog(settings: GaiaEso) -> pa.Table:
    """Gaia-ESO stars with labels in the project's names, one row per CNAME (the best S/N).

    Columns: source_id (CNAME) string, gaia_source_id string|null, gaia_release 'dr3'|null; ra, dec (deg, ``epoch``
    in years; read out of CNAME, to 0.15 arcsec, where the file has no position); pmra, pmdec (mas/yr); snr; teff,
    logg, feh and 19 abundances with errors (K, dex): [X/Fe] = A(X) - A_sun(X) - [Fe/H] on
    ``settings.solar_scale``, its error that of A(X) and [Fe/H] in quadrature.  An element that the file lacks is
    null and named in the log; no quality cuts are made (paper 5.2).

    Raises StarglotError for a file that cannot be read, lacks a needed column, or has none of the elements.
    """
    path = Path(settings.catalog)
    with open_catalog(path, _STAR) as catalog:
        # The error column follows the name that A(X) is found under.
        actual = {label: catalog.find(names) for label, names in ABUNDANCE_COLUMNS.items()}
        absent = [label for label, name in actual.items() if name is None]
        if len(absent) == len(actual):
            raise missing_columns(catalog.where, catalog.names, {label: ABUNDANCE_COLUMNS[label] for label in absent})
        abundances = [
            column
            for label, name in actual.items()
            if name is not None
            for column in (Column(label, (name,)), Column(f"{label}_err", (f"E_{name}", f"{name}_ERR"), needed=False))
        ]
        raw = table_of(catalog, [*_STAR, *abundances])
    if absent:
        log.warning("%s has no %s: null for every star", path, ", ".join(absent))
    raw = raw.take(pa.array(_one_row_per_star(raw)))
    ra, dec = _positions(raw, path)
    nothing = np.full(len(raw), np.nan)
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
        out[label.name], out[label.error] = label_pair(floats(raw[label.name]), floats(raw[label.error]), label)
    feh, feh_err = floats(raw["feh"]), floats(raw["feh_err"])
    for name in ABUNDANCE_COLUMNS:
        label = LABELS[name]
        value, error = nothing, nothing
        if actual[name] is not None:
            value = floats(raw[name]) - solar_abundance(name, settings.solar_scale) - feh
            error = np.hypot(floats(raw[label.error]), feh_err)
        out[name], out[label.error] = label_pair(value, error, label)
    log.info("Gaia-ESO %s: %d stars, solar scale %s", settings.release, len(raw), settings.solar_scale)
    return pa.table(out)


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


def _one_row_per_star(raw: pa.Table) -> np.ndarray:
    names = pc.fill_null(raw["source_id"], "").to_numpy(zero_copy_only=False).astype(str)
    snr = np.nan_to_num(floats(raw["snr"]), nan=-np.inf)
    order = np.lexsort((np.arange(len(names)), -snr, names))
    first = np.ones(len(names), bool)
    first[1:] = names[order][1:] != names[order][:-1]
    kept = np.sort(order[first & (names[order] != "")])
    if len(kept) < len(names):
        log.info("%d rows: %d repeats or rows without CNAME left out", len(names), len(names) - len(kept))
    return kept
