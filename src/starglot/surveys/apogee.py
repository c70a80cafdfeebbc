"""APOGEE allStar: abundances and their flags, one row a star.

Named columns are preferred (DR14 and later: X_FE, X_FE_ERR, X_FE_FLAG).  Where a release lacks one, [X/Fe] is
made of [X/H] - [Fe/H], from named columns (DR12) or from the array column X_H, whose order is read from the
file's ELEM_SYMBOL (HDU3), never assumed.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.surveys.common import Survey
from starglot.config.surveys.registry import Apogee
from starglot.errors import StarglotError
from starglot.formats.bits import ASPCAPFLAG, EXTRATARG_DUPLICATE, bits_set, count_bits
from starglot.formats.catalog import Column, missing_columns
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import flags, floats, table_of
from starglot.formats.counts import Counts
from starglot.labels import ABUNDANCES, ALPHA_FE, ATMOSPHERE, LABELS, Label
from starglot.surveys.label_values import combined_error, label_pair, within

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = Apogee

#: The Gaia release of each release's ids (DR12 is older than Gaia).
GAIA_RELEASE: dict[str, str | None] = {"dr12": None, "dr16": "dr2", "dr17": "dr3"}

#: Epoch of the positions: 2MASS, observed from 1997 to 2001.
POSITION_EPOCH = 2000.0

#: Abundances that a release may lack; elsewhere a missing one is an error, not a column of nulls.
_MAY_LACK: dict[str, frozenset[str]] = {
    "dr12": frozenset({"ci_fe", "p_fe", "tiii_fe", "cr_fe", "co_fe", "cu_fe", "ce_fe"}),
    "dr16": frozenset(),
    "dr17": frozenset({"p_fe", "cu_fe"}),
}

#: Fitted quantities that are no label and decide no abundance: their PARAMFLAG rejects no star.  Slow rotators
#: sit at the edge of the grid in v sin i by nature.
_NUISANCE = frozenset({"LOGVMICRO", "LOG10VDOP", "VMICRO", "LGVSINI", "VSINI", "PARAM_O", "O"})

_STAR = (
    Column("apogee_id", ("APOGEE_ID",), "id"),
    Column("ra", ("RA",), limits=(0, 360)),
    Column("dec", ("DEC",), limits=(-90, 90)),
    Column("pmra", ("GAIAEDR3_PMRA", "GAIA_PMRA", "PMRA"), needed=False),
    Column("pmdec", ("GAIAEDR3_PMDEC", "GAIA_PMDEC", "PMDEC"), needed=False),
    Column("snr", ("SNR",)),
    Column("extratarg", ("EXTRATARG",), "flag"),
    Column("starflag", ("STARFLAG",), "flag", needed=False),
    Column("aspcapflag", ("ASPCAPFLAG",), "flag"),
    Column("paramflag", ("PARAMFLAG",), "int_vector"),
    Column("teff", ("TEFF",)),
    Column("teff_err", ("TEFF_ERR",), needed=False),
    Column("logg", ("LOGG",)),
    Column("logg_err", ("LOGG_ERR",), needed=False),
    Column("feh", ("FE_H",)),
    Column("feh_err", ("FE_H_ERR",), needed=False),
    Column("feh_flag", ("FE_H_FLAG",), "flag"),
    Column("m_h", ("M_H", "PARAM_M_H"), needed=False),
    Column("m_h_err", ("M_H_ERR", "PARAM_M_H_ERR"), needed=False),
    Column("alpha_m", ("ALPHA_M", "PARAM_ALPHA_M"), needed=False),
    Column("alpha_m_err", ("ALPHA_M_ERR", "PARAM_ALPHA_M_ERR"), needed=False),
)


def read_catalog(settings: Apogee, counts: Counts | None = None) -> pa.Table:
    """One row per star of an allStar file.

    Columns: apogee_id, gaia_source_id string|null and the gaia_release ('dr2', 'dr3', null) that it is of; ra, dec
    (deg, epoch ``epoch`` in years); pmra, pmdec (mas/yr); snr; starflag, aspcapflag int64; paramflag_bad; teff,
    logg, feh, alpha_fe and the 21 abundances with their errors (K, dex).  [alpha/Fe] = [alpha/M] + [M/H] - [Fe/H].

    Flags (paper 2.2): a star with a configured ASPCAPFLAG bit, or a configured PARAMFLAG bit in a parameter that
    matters for labels, keeps its row and has no labels; an abundance with a configured bit in its own flag is
    null.  Of several rows of a star, those that are no duplicates by EXTRATARG come first, then the best S/N.
    ``counts``, if given, takes the account of rows and values.

    Raises StarglotError for a file that cannot be read or lacks a needed column.
    """
    counts = counts or Counts()
    path, release = Path(settings.catalog), GAIA_RELEASE[settings.release]
    with open_catalog(path, _STAR) as catalog:
        ids = Column(
            "gaia_source_id",
            _gaia_aliases(settings.release),
            "gaia",
            needed=release is not None,
            gaia_release=release,
        )
        recipes, columns = _abundance_columns(catalog, settings.release)
        raw = table_of(catalog, [*_STAR, ids, *columns], counts)
        elements = catalog.element_order("ELEM_SYMBOL") or []
        parameters = catalog.element_order("PARAM_SYMBOL")
    raw = raw.take(pa.array(_one_row_per_star(raw, counts)))
    rejected, paramflag_bad = _star_flags(raw, settings, parameters)
    out: dict[str, Any] = {
        "apogee_id": raw["apogee_id"],
        "gaia_source_id": raw["gaia_source_id"] if release else pa.nulls(len(raw), pa.string()),
        "gaia_release": pa.array([release] * len(raw), pa.string()),
        **{name: raw[name] for name in ("ra", "dec", "pmra", "pmdec")},
        "epoch": pa.array(np.full(len(raw), POSITION_EPOCH)),
        **{name: raw[name] for name in ("snr", "starflag", "aspcapflag")},
        "paramflag_bad": pa.array(paramflag_bad),
    }
    feh_bad = bits_set(flags(raw["feh_flag"]), settings.elemflag_bits)
    for label in ATMOSPHERE:
        bad = rejected | feh_bad if label.name == "feh" else rejected
        value, error = floats(raw[label.name]), floats(raw[label.error])
        out[label.name], out[label.error] = label_pair(value, error, label, counts, {"flagged": bad})
    value, error = _alpha_over_iron(raw)
    out["alpha_fe"], out["alpha_fe_err"] = label_pair(value, error, ALPHA_FE, counts, {"flagged": rejected | feh_bad})
    for label in ABUNDANCES:
        value, error, flag = recipes[label.name](raw, elements)
        bad = rejected | bits_set(flag, settings.elemflag_bits)
        out[label.name], out[label.error] = label_pair(value, error, label, counts, {"flagged": bad})
    counts.close(len(raw))
    log.info("APOGEE %s: %d stars, %d with labels", settings.release, len(raw), int((~rejected).sum()))
    return pa.table(out)


def _gaia_aliases(release: str) -> tuple[str, ...]:
    """Ids are taken from the release's own column only: those of another Gaia release name other stars."""
    return ("GAIAEDR3_SOURCE_ID", "GAIADR3_SOURCE_ID") if release == "dr17" else ("GAIA_SOURCE_ID",)


# ---------------------------------------------------------------- abundances


class _Named:
    """[X/Fe] from X_FE, X_FE_ERR, X_FE_FLAG."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, raw: pa.Table, elements: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        error = floats(raw[f"{self.name}_err"])
        return floats(raw[self.name]), error, flags(raw[f"{self.name}_flag"])


class _FromHydrogen(_Named):
    """[X/Fe] = [X/H] - [Fe/H] from X_H, X_H_ERR, X_H_FLAG."""

    def __call__(self, raw: pa.Table, elements: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        value, error, flag = super().__call__(raw, elements)
        return _minus_iron(value, error, flag, raw, LABELS[self.name])


class _FromArray:
    """[X/Fe] from the array column X_H and ELEMFLAG, at the element's place in ELEM_SYMBOL."""

    def __init__(self, symbol: str, label: Label):
        self.symbol, self.label = symbol, label

    def __call__(self, raw: pa.Table, elements: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = elements.index(self.symbol)
        value, error = (floats(pc.list_element(raw[name], place)) for name in ("x_h", "x_h_err"))
        return _minus_iron(value, error, flags(pc.list_element(raw["elemflag"], place)), raw, self.label)


class _Absent:
    """An element that the release does not have."""

    def __call__(self, raw: pa.Table, elements: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        nothing = np.full(len(raw), np.nan)
        return nothing, nothing, np.zeros(len(raw), np.int64)


_Recipe = _Named | _FromArray | _Absent


def _minus_iron(
    value: np.ndarray, error: np.ndarray, flag: np.ndarray, raw: pa.Table, label: Label
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[X/H] made [X/Fe]: errors in quadrature (they are correlated: an upper bound), flags of both joined."""
    iron = floats(raw["feh"])
    iron = np.where(within(iron, LABELS["feh"]), iron, np.nan)
    error = combined_error(error, label, floats(raw["feh_err"]), LABELS["feh"])
    return value - iron, error, flag | flags(raw["feh_flag"])


def _alpha_over_iron(raw: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """[alpha/Fe] and its error, in quadrature; NaN where [alpha/M], [M/H] or [Fe/H] is missing or a placeholder.

    ALPHA_M is the fitted scaling of O, Mg, Si, S, Ca and Ti relative to M_H, which follows them, not iron.
    """
    parts = [
        np.where(within(floats(raw[name]), label), floats(raw[name]), np.nan)
        for name, label in (("alpha_m", ALPHA_FE), ("m_h", LABELS["feh"]), ("feh", LABELS["feh"]))
    ]
    error = combined_error(floats(raw["alpha_m_err"]), ALPHA_FE, floats(raw["m_h_err"]), LABELS["feh"])
    error = combined_error(error, ALPHA_FE, floats(raw["feh_err"]), LABELS["feh"])
    return parts[0] + parts[1] - parts[2], error


def _abundance_columns(catalog: Any, release: str) -> tuple[dict[str, _Recipe], list[Column]]:
    """How each abundance is read from this file, and the columns that this takes."""
    elements = catalog.element_order("ELEM_SYMBOL") or []
    has_arrays = catalog.find(("X_H",)) is not None and catalog.find(("ELEMFLAG",)) is not None
    recipes: dict[str, _Recipe] = {}
    columns: list[Column] = []
    missing: dict[str, tuple[str, ...]] = {}
    for label in ABUNDANCES:
        symbol = label.apogee.removesuffix("_FE")
        over_iron, over_hydrogen = f"{symbol}_FE", f"{symbol}_H"
        if catalog.find((over_iron,)):
            recipes[label.name] = _Named(label.name)
            columns += _named_columns(label, over_iron)
        elif catalog.find((over_hydrogen,)):
            recipes[label.name] = _FromHydrogen(label.name)
            columns += _named_columns(label, over_hydrogen)
        elif has_arrays and symbol in elements:
            recipes[label.name] = _FromArray(symbol, label)
        elif label.name in _MAY_LACK[release]:
            recipes[label.name] = _Absent()
        else:
            missing[label.name] = (over_iron, over_hydrogen, f"X_H with {symbol} in ELEM_SYMBOL")
    if missing:
        raise missing_columns(catalog.where, catalog.names, missing)
    absent = sorted(name for name, recipe in recipes.items() if isinstance(recipe, _Absent))
    if absent:
        log.warning("%s has no %s: null for every star", catalog.path, ", ".join(absent))
    if any(isinstance(recipe, _FromArray) for recipe in recipes.values()):
        columns += [
            Column("x_h", ("X_H",), "float_vector"),
            Column("x_h_err", ("X_H_ERR",), "float_vector"),
            Column("elemflag", ("ELEMFLAG",), "int_vector"),
        ]
    return recipes, columns


def _named_columns(label: Label, name: str) -> list[Column]:
    return [
        Column(label.name, (name,)),
        Column(label.error, (f"{name}_ERR",), needed=False),
        Column(f"{label.name}_flag", (f"{name}_FLAG",), "flag"),
    ]


# ---------------------------------------------------------------- stars and their flags


def _one_row_per_star(raw: pa.Table, counts: Counts) -> np.ndarray:
    """Row numbers to keep, in the file's order; the others are counted."""
    ids = pc.fill_null(raw["apogee_id"], "").to_numpy(zero_copy_only=False).astype(str)
    duplicate = bits_set(flags(pc.fill_null(raw["extratarg"], 0)), [EXTRATARG_DUPLICATE])
    snr = np.nan_to_num(floats(raw["snr"]), nan=-np.inf)
    order = np.lexsort((np.arange(len(ids)), -snr, duplicate, ids))
    first = np.ones(len(ids), bool)
    first[1:] = ids[order][1:] != ids[order][:-1]
    unique = np.sort(order[first & (ids[order] != "")])
    nameless = np.flatnonzero(ids == "")
    repeats = np.setdiff1d(np.flatnonzero(ids != ""), unique, assume_unique=True)
    counts.leave_out("no_id", len(nameless), f"row {nameless[0] + 1}, without APOGEE_ID" if len(nameless) else "")
    counts.leave_out("repeat_of_star", len(repeats), str(ids[repeats[0]]) if len(repeats) else "")
    return unique


def _star_flags(raw: pa.Table, settings: Apogee, parameters: list[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """(rejected, paramflag_bad) by star; counts go to the log."""
    aspcap = flags(raw["aspcapflag"])
    aspcap_bad = bits_set(aspcap, settings.aspcapflag_bits)
    rows = len(raw)
    vectors = pc.fill_null(pc.list_flatten(raw["paramflag"]), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    width = len(vectors) // rows if rows else 0
    matrix = vectors.reshape(rows, width) if rows else np.zeros((0, 1), np.int64)
    if parameters is not None and len(parameters) != width and rows:
        raise StarglotError(
            f"PARAMFLAG has {width} entries and PARAM_SYMBOL {len(parameters)}",
            where=settings.catalog,
            todo="use an unmodified allStar file",
        )
    # Without PARAM_SYMBOL nothing says which entry is which, so that all of them count.
    relevant = [name not in _NUISANCE for name in parameters] if parameters and rows else [True] * matrix.shape[1]
    paramflag_bad = np.any(bits_set(matrix[:, relevant], settings.paramflag_bits), axis=1)
    log.info(
        "%d of %d stars rejected by ASPCAPFLAG %s, %d by PARAMFLAG",
        *(int(aspcap_bad.sum()), rows, count_bits(aspcap[aspcap_bad], ASPCAPFLAG), int(paramflag_bad.sum())),
    )
    return aspcap_bad | paramflag_bad, paramflag_bad
