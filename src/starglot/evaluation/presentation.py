"""Frames as a person reads them: headings with units, estimates with intervals, rounding.

Only here are numbers rounded; the CSV files hold them in full.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from starglot.labels import LABELS

#: Statistics in the unit of the row's label: rounded by that unit.
PHYSICAL: frozenset[str] = frozenset(
    {"mean", "std", "rmse", "mae", "robust", "floor", "crps"}
    | {"label_noise", "photon_noise", "model_scatter", "unexplained"}
    | {"bound", "bound_prior", "sigma", "seed_scatter", "sigma_inf", "beyond"}
    | {"nmad", "bias", "constant_mae"}
    | {f"{name}{end}" for name in ("biweight", "clipped") for end in ("", "_seeds")}
    | {f"{name}_over_folds" for name in ("mean", "std", "rmse", "robust")}
)

#: Digits after the point of numbers that are in no label's unit.
DECIMALS = 3

HEADINGS: dict[str, str] = {
    "n": "N",
    "n_stars": "stars",
    "n_val_stars": "validation stars",
    "n_spectra": "spectra",
    "n_unparsable": "no answer",
    "n_no_truth": "no truth",
    "n_no_sigma": "without sigma",
    "n_seen": "seen in training",
    "not_answered": "not answered",
    "out_of_range": "out of range",
    "mean": "mean",
    "std": "std",
    "rmse": "RMSE",
    "mae": "MAE",
    "robust": "robust scatter",
    "r2": "R2",
    "skill": "within-class skill",
    "bound": "bound",
    "bound_prior": "with prior",
    "r2_limit": "R2 limit",
    "snr": "S/N",
    "r2_baseline": "R2 of the baseline",
    "r2_difference": "R2 difference",
    "error_ratio": "error ratio",
    "p_better": "P(better)",
    "baseline_seeds": "seeds of the baseline",
    "n_left_out": "left out",
    "seed_spread": "seed spread",
    "baseline_seed_spread": "seed spread of the baseline",
    "coverage_68": "coverage 68 %",
    "coverage_95": "coverage 95 %",
    "partial_r2": "partial R2",
    "n_revisits": "revisits",
    "label_noise": "label noise",
    "photon_noise": "photon noise",
    "model_scatter": "model scatter",
    "pull_mean": "mean pull",
    "pull_std": "std of pulls",
    "pull_robust": "robust std of pulls",
    "pit_distance": "PIT distance",
    "crps": "CRPS",
    "n_rejected": "rejected",
    "rmse_ratio": "RMSE ratio",
    "robust_ratio": "robust ratio",
    "n_train": "training spectra",
    "seed_scatter": "scatter of seeds",
    "difference_scatter": "scatter of seeds",
    "r2_control": "R2 of the control",
    "n_sizes": "points",
    "sigma_inf": "sigma at infinity",
    "a": "A",
    "n_beyond": "extrapolated to N",
    "nmad": "NMAD",
    "catastrophic_90": "catastrophic, 90 % complete",
    "catastrophic_unwarned": "catastrophic, not warned of",
    "constant_mae": "constant's MAE",
    "beyond": "sigma there",
    "mmd2": "MMD2",
    "stars": "subset",
    "least_loss": "least loss",
    **{f"{name}_seeds": f"{shown} between seeds" for name, shown in (("r2", "R2"), ("biweight", "biweight"))},
    "clipped_seeds": "clipped between seeds",
    "trained": "trained parameters",
    "learning_rate": "rate",
    "n_questions": "number",
    "constant_accuracy": "constant's accuracy",
    "base_accuracy": "accuracy of the base",
    "retention_corrected": "chance-corrected",
    "median_rank": "median rank",
    "scatter_90": "scatter, 90 %",
    **{f"{name}_{k}": f"{name} at {k}" for name in ("recall", "chance") for k in (1, 5, 10)},
    **{f"{name}_over_folds": "over folds" for name in ("mean", "std", "rmse", "robust", "r2", "skill")},
}

#: The LaTeX of headings and of label names that need it.
LATEX: dict[str, str] = {
    "N": "$N$",
    "R2": "$R^2$",
    "std": r"$\sigma$",
    "mean": r"$\mu$",
    "Teff": r"$T_{\rm eff}$",
    "log g": r"$\log g$",
    "coverage 68 %": r"coverage 68\,\%",
    "coverage 95 %": r"coverage 95\,\%",
}

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
}


#: One of the objects that a survey observes, where its name is not the plural less an s.
_ONE: dict[str, str] = {"galaxies": "galaxy"}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval (None where there is none), to be shown with ``decimals`` digits."""

    value: float
    low: float | None
    high: float | None
    decimals: int


@dataclass(frozen=True)
class Summary:
    """Estimates that stand together (mean and scatter), and the number of spectra they are of."""

    parts: tuple[Estimate, ...]
    n: int | None


@dataclass(frozen=True)
class Column:
    """A column to show: its name in the frame, its heading, and whether it holds numbers."""

    name: str
    heading: str
    numeric: bool


Cell = str | int | Estimate | Summary | None


@dataclass(frozen=True)
class Presentation:
    """A frame made ready to be printed; ``constant`` holds what every row has in common, as (heading, text)."""

    columns: list[Column]
    rows: list[list[Cell]]
    constant: list[tuple[str, str]]
    notes: list[str]


def stars_of(settings: Mapping[str, Any]) -> str:
    """What a table or figure shows, for its caption: 'simulated stars', or the release of the spectra.

    settings: ``release``, ``mock`` and ``objects``, stars where they are not named
    (:func:`starglot.config.queries.about_spectra`).
    """
    return f"simulated {settings.get('objects', 'stars')}" if settings["mock"] else str(settings["release"])


def said_of(objects: str, text: str) -> str:
    """``text``, which is written of stars, said of other ``objects``: 'galaxies', 'quasars', 'objects'."""
    if objects == "stars":
        return text
    one = _ONE.get(objects, objects.removesuffix("s"))
    article = "an" if one[0] in "aeiou" else "a"
    words = {"star": one, "stars": objects, "a star": f"{article} {one}", "the star": f"the {one}"}

    def word(found: re.Match[str]) -> str:
        said = words[found[0].lower()]
        return said.capitalize() if found[0][0].isupper() else said

    return re.sub(r"\b(?:(?:a|the) star|stars?)\b", word, text, flags=re.IGNORECASE)


def error_decimals(label: object) -> int:
    """Digits after the point of an error of a label, by its name: one more than the label itself has."""
    known = LABELS.get(str(label))
    return DECIMALS if known is None else known.decimals + 1


def label_text(name: str) -> str:
    """Name and unit of a label for tables and figures: 'Teff (K)', '[Mg/Fe] (dex)'."""
    label = LABELS.get(name)
    if label is None:
        return name
    return with_unit(label.display, label.unit)


def with_unit(text: str, unit: str) -> str:
    """'Teff (K)'; the text alone where there is no unit."""
    return f"{text} ({unit})" if unit else text


def named_labels(names: Sequence[str], most: int | None = None) -> str:
    """Labels in a sentence or caption: 'Teff, log g, [Fe/H]'; their number where there are more than ``most``."""
    if most is not None and len(names) > most:
        return f"{len(names)} labels"
    return ", ".join(LABELS[name].display if name in LABELS else name for name in names)


def present(frame: pd.DataFrame, fold: Sequence[str] = ()) -> Presentation:
    """Make ``frame`` ready to be printed.

    ``x`` with ``x_lo`` and ``x_hi`` becomes one column of :class:`Estimate`; columns of ``fold`` that have one value
    throughout are taken out and named in ``constant``, or not named where it is missing; ``note`` becomes numbered
    notes; missing is None.
    """
    names = [str(name) for name in frame.columns]
    ends = {f"{name}{end}" for name in names for end in ("_lo", "_hi") if f"{name}{end}" in names}
    hidden = ends | ({"note", "interval", "split_by"} & set(names))
    constant = []
    for name in fold:
        if name in names and len(frame) and frame[name].nunique(dropna=False) == 1:
            hidden.add(name)
            if _known(frame[name].iloc[0]) is not None:
                constant.append((HEADINGS.get(name, name), str(frame[name].iloc[0])))
    shown = [name for name in names if name not in hidden]
    notes = sorted({str(note) for note in frame["note"].dropna()}) if "note" in names else []
    records = frame.to_dict("records")
    rows = []
    for record in records:
        record = {str(k): v for k, v in record.items()}
        row = [_cell(record, name) for name in shown]
        if notes and _known(record["note"]) is not None:
            mark = next(i for i, name in enumerate(shown) if name in ("n", shown[-1]))
            row[mark] = f"{plain(row[mark])} ({notes.index(str(record['note'])) + 1})"
        rows.append(row)
    columns = [Column(name, _heading(name), pd.api.types.is_numeric_dtype(frame[name])) for name in shown]
    return Presentation(columns, rows, constant, notes)


def _heading(name: str) -> str:
    label = LABELS.get(name)
    return HEADINGS.get(name, label.display if label else name)


def _known(value: object) -> object:
    return None if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) else value


def _cell(record: dict[str, object], name: str) -> Cell:
    value = _known(record[name])
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if name == "learning_rate":
            return f"{value:g}"  # in digits after the point, 1e-5 would be 0.000
        decimals = error_decimals(record.get("label")) if name in PHYSICAL else DECIMALS
        low, high = (_known(record.get(f"{name}{end}")) for end in ("_lo", "_hi"))
        both = isinstance(low, float) and isinstance(high, float)
        return Estimate(value, low if both else None, high if both else None, decimals)  # type: ignore[arg-type]
    return label_text(str(value)) if name == "label" else str(value)


def fixed(value: float, decimals: int) -> str:
    """``value`` with ``decimals`` digits, and no minus sign before a rounded zero."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def plain(cell: Cell) -> str:
    """A cell as text: '38.2 [36.1, 40.5]'; a dash where missing."""
    if cell is None:
        return "–"
    if isinstance(cell, Estimate):
        text = fixed(cell.value, cell.decimals)
        if cell.low is None or cell.high is None:
            return text
        return f"{text} [{fixed(cell.low, cell.decimals)}, {fixed(cell.high, cell.decimals)}]"
    if isinstance(cell, Summary):
        return " ± ".join(plain(part) for part in cell.parts) + ("" if cell.n is None else f" ({cell.n:,})")
    return str(cell)


def escape_latex(text: str) -> str:
    """``text`` with LaTeX's special characters escaped; label names and headings in mathematics."""
    whole = LATEX.get(text)
    if whole:
        return whole
    name, bracket, unit = text.partition(" (")
    if bracket and name in LATEX:
        return f"{LATEX[name]} ({escape_latex(unit)}"
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in text)
    # A bracket at the start of a row would be taken for the optional argument of the line break before it.
    return f"{{{escaped}}}" if escaped.startswith("[") else escaped


def latex(cell: Cell) -> str:
    r"""A cell as AASTeX: ``$38.2_{-2.1}^{+2.3}$``; ``\nodata`` where missing."""
    if cell is None:
        return r"\nodata"
    if isinstance(cell, Estimate):
        text = fixed(cell.value, cell.decimals)
        if cell.low is None or cell.high is None:
            return f"${text}$"
        below, above = (f"{end - cell.value:+.{cell.decimals}f}" for end in (cell.low, cell.high))
        return f"${text}_{{{below}}}^{{{above}}}$"
    if isinstance(cell, Summary):
        text = r"\pm".join(latex(part).strip("$") for part in cell.parts)
        return f"${text}$" + ("" if cell.n is None else f" ({cell.n})")
    return escape_latex(str(cell))
