"""GALAH DR4 allstar: external validation, one row a star (paper 5.2; Buder et al. 2025)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from starglot.config.models import Galah
from starglot.glossary import ATMOSPHERE, LABELS, Label
from starglot.surveys.catalog import missing_columns
from starglot.surveys.catalog_file import open_catalog
from starglot.surveys.columns import Column, flags, floats, label_pair, table_of

log = logging.getLogger(__name__)

#: Positions are Gaia DR3's.
POSITION_EPOCH = 2016.0

#: GALAH's name of each abundance that it shares with the glossary (it has no P and no S).
ABUNDANCE_COLUMNS: dict[str, str] = {
    **{name: name for name in ("c_fe", "n_fe", "o_fe", "mg_fe", "al_fe", "si_fe", "mn_fe", "ni_fe", "ca_fe")},
    **{name: name for name in ("na_fe", "k_fe", "ti_fe", "cr_fe", "co_fe", "cu_fe", "v_fe", "ce_fe")},
}

_STAR = (
    Column("source_id", ("sobject_id",), "int"),
    Column("gaia_source_id", ("gaiadr3_source_id", "dr3_source_id"), "gaia"),
    Column("ra", ("ra",)),
    Column("dec", ("dec",)),
    Column("pmra", ("pmra",), needed=False),
    Column("pmdec", ("pmdec",), needed=False),
    Column("snr", ("snr_px_ccd3",)),
    Column("flag_sp", ("flag_sp",), "int"),
    Column("teff", ("teff",)),
    Column("teff_err", ("e_teff",), needed=False),
    Column("logg", ("logg",)),
    Column("logg_err", ("e_logg",), needed=False),
    Column("feh", ("fe_h",)),
    Column("feh_err", ("e_fe_h",), needed=False),
)


def read_catalog(settings: Galah) -> pa.Table:
    """GALAH stars with labels in the project's names.

    Columns: source_id (sobject_id) string, gaia_source_id string|null, gaia_release 'dr3'; ra, dec (deg, ``epoch``
    in years), pmra, pmdec (mas/yr, null in DR4); snr (per pixel, CCD 3), flag_sp; teff, logg, feh and 17 abundances
    with errors (K, dex).

    Labels are null where snr_px_ccd3 <= ``settings.snr_min`` or flag_sp != 0, abundances also where their own
    flag is not 0 (paper 5.2; its snr_lpx_ccd3 does not exist).  flag_fe_h is documented as broken and not used.
    An element that the file lacks is null and named in the log.

    Raises StarglotError for a file that cannot be read or lacks a needed column, or has none of the elements.
    """
    path = Path(settings.catalog)
    with open_catalog(path, _STAR) as catalog:
        catalog.resolve(_STAR)
        present = [label for label, name in ABUNDANCE_COLUMNS.items() if catalog.find((name,)) is not None]
        if not present:
            raise missing_columns(
                catalog.where, catalog.names, {label: (name,) for label, name in ABUNDANCE_COLUMNS.items()}
            )
        raw = table_of(catalog, [*_STAR, *(column for label in present for column in _abundance(label))])
    absent = [label for label in ABUNDANCE_COLUMNS if label not in present]
    if absent:
        log.warning("%s has no %s: null for every star", path, ", ".join(absent))
    snr = floats(raw["snr"])
    with np.errstate(invalid="ignore"):
        good = (snr > settings.snr_min) & (flags(raw["flag_sp"]) == 0)
    out: dict[str, Any] = {
        "source_id": raw["source_id"].cast(pa.string()),
        "gaia_source_id": raw["gaia_source_id"],
        "gaia_release": pa.array(["dr3"] * len(raw), pa.string()),
        **{name: raw[name] for name in ("ra", "dec", "pmra", "pmdec")},
        "epoch": pa.array(np.full(len(raw), POSITION_EPOCH)),
        "snr": raw["snr"],
        "flag_sp": raw["flag_sp"],
    }
    for label in ATMOSPHERE:
        out[label.name], out[label.error] = _labels(raw, label, good)
    for name in ABUNDANCE_COLUMNS:
        unflagged = good & (flags(raw[f"{name}_flag"]) == 0) if name in present else np.zeros(len(raw), bool)
        out[name], out[LABELS[name].error] = _labels(raw, LABELS[name], unflagged)
    log.info("GALAH %s: %d stars, %d pass the cuts", settings.release, len(raw), int(good.sum()))
    return pa.table(out)


def _abundance(label: str) -> tuple[Column, Column, Column]:
    name = ABUNDANCE_COLUMNS[label]
    return (
        Column(label, (name,)),
        Column(f"{label}_err", (f"e_{name}",), needed=False),
        Column(f"{label}_flag", (f"flag_{name}",), "int"),
    )


def _labels(raw: pa.Table, label: Label, keep: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """A label and its error, null where not ``keep`` and where the file has no such column."""
    if label.name not in raw.column_names:
        nothing = pa.nulls(len(raw), pa.float64())
        return nothing, nothing
    return label_pair(np.where(keep, floats(raw[label.name]), np.nan), floats(raw[label.error]), label)
