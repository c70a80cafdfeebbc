"""GALAH DR4 allstar: external validation, one row a star (paper 5.2; Buder et al. 2025)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from starglot.config.surveys.common import Survey
from starglot.config.surveys.registry import Galah
from starglot.formats.catalog import Column, missing_columns
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import flags, floats, table_of
from starglot.formats.counts import Counts
from starglot.labels import ATMOSPHERE, LABELS, Label
from starglot.surveys.label_values import label_pair

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = Galah

#: Positions are Gaia DR3's.
POSITION_EPOCH = 2016.0

#: GALAH's name of each abundance of the project that it has (it has no P and no S).
ABUNDANCE_COLUMNS: dict[str, str] = {
    **{name: name for name in ("c_fe", "n_fe", "o_fe", "mg_fe", "al_fe", "si_fe", "mn_fe", "ni_fe", "ca_fe")},
    **{name: name for name in ("na_fe", "k_fe", "ti_fe", "cr_fe", "co_fe", "cu_fe", "v_fe", "ce_fe")},
}

_STAR = (
    Column("source_id", ("sobject_id",), "int"),
    Column("gaia_source_id", ("gaiadr3_source_id", "dr3_source_id"), "gaia", gaia_release="dr3"),
    Column("ra", ("ra",), limits=(0, 360)),
    Column("dec", ("dec",), limits=(-90, 90)),
    Column("pmra", ("pmra",), needed=False),
    Column("pmdec", ("pmdec",), needed=False),
    Column("snr", ("snr_px_ccd3",)),
    Column("flag_sp", ("flag_sp",), "flag"),
    Column("teff", ("teff",)),
    Column("teff_err", ("e_teff",), needed=False),
    Column("logg", ("logg",)),
    Column("logg_err", ("e_logg",), needed=False),
    Column("feh", ("fe_h",)),
    Column("feh_err", ("e_fe_h",), needed=False),
)


def read_catalog(settings: Galah, counts: Counts | None = None) -> pa.Table:
    """GALAH stars with labels in the project's names.

    Columns: source_id (sobject_id) string, gaia_source_id string|null, gaia_release 'dr3'; ra, dec (deg, ``epoch``
    in years), pmra, pmdec (mas/yr, null in DR4); snr (per pixel, CCD 3), flag_sp; teff, logg, feh and 17 abundances
    with errors (K, dex).

    Labels are null where snr_px_ccd3 <= ``settings.snr_min`` or flag_sp != 0, abundances also where their own
    flag is not 0 (paper 5.2; its snr_lpx_ccd3 does not exist), which upper limits have set, too.  flag_fe_h is
    documented as broken and not used.  Of rows with the same sobject_id the first is kept, rows without one are left
    out; ``counts``, if given, takes the account of rows and values.
    An element that the file lacks is null and named in the log.

    Raises StarglotError for a file that cannot be read or lacks a needed column, or has none of the elements.
    """
    counts = counts or Counts()
    path = Path(settings.catalog)
    with open_catalog(path, _STAR) as catalog:
        catalog.resolve(_STAR)
        present = [label for label, name in ABUNDANCE_COLUMNS.items() if catalog.find((name,)) is not None]
        if not present:
            wanted = {label: (name,) for label, name in ABUNDANCE_COLUMNS.items()}
            raise missing_columns(catalog.where, catalog.names, wanted)
        raw = table_of(catalog, [*_STAR, *(column for label in present for column in _abundance(label))], counts)
    raw = raw.take(pa.array(_one_row_per_id(raw, counts)))
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
        out[label.name], out[label.error] = _labels(raw, label, good, counts)
    for name in ABUNDANCE_COLUMNS:
        unflagged = good & (flags(raw[f"{name}_flag"]) == 0) if name in present else np.zeros(len(raw), bool)
        out[name], out[LABELS[name].error] = _labels(raw, LABELS[name], unflagged, counts)
    counts.close(len(raw))
    log.info("GALAH %s: %d stars, %d pass the cuts", settings.release, len(raw), int(good.sum()))
    return pa.table(out)


def _abundance(label: str) -> tuple[Column, Column, Column]:
    name = ABUNDANCE_COLUMNS[label]
    return (
        Column(label, (name,)),
        Column(f"{label}_err", (f"e_{name}",), needed=False),
        Column(f"{label}_flag", (f"flag_{name}",), "flag"),
    )


def _one_row_per_id(raw: pa.Table, counts: Counts) -> np.ndarray:
    """Row numbers to keep: the first of every sobject_id, in the file's order."""
    ids = raw["source_id"].fill_null(0).to_numpy()
    first = np.zeros(len(ids), bool)
    first[np.unique(ids, return_index=True)[1]] = True
    nameless, again = np.flatnonzero(ids <= 0), np.flatnonzero((ids > 0) & ~first)
    counts.leave_out("no_id", len(nameless), f"row {nameless[0] + 1}, without sobject_id" if len(nameless) else "")
    counts.leave_out("second_entry", len(again), f"sobject_id {ids[again[0]]}" if len(again) else "")
    return np.flatnonzero((ids > 0) & first)


def _labels(raw: pa.Table, label: Label, keep: np.ndarray, counts: Counts) -> tuple[pa.Array, pa.Array]:
    """A label and its error, null where not ``keep`` and where the file has no such column."""
    if label.name not in raw.column_names:
        nothing = pa.nulls(len(raw), pa.float64())
        return nothing, nothing
    return label_pair(floats(raw[label.name]), floats(raw[label.error]), label, counts, {"flagged": ~keep})
