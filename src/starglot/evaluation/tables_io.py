"""A frame as CSV in full precision, and rounded as Markdown and AASTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from starglot.evaluation.presentation import Presentation, escape_latex, latex, plain, present, said_of
from starglot.tables import atomic_path, write_text

#: Columns that leave a printed table for its notes when they say the same in every row.
FOLDED: tuple[str, ...] = (
    *("task", "size", "set", "n_no_truth", "n_no_sigma", "n_seen", "n_rejected"),
    *("seeds", "baseline_seeds", "n_left_out", "seed_spread", "baseline_seed_spread"),
)

#: Rows from which a LaTeX table has to break across pages.
_LONG = 45

SPLIT_NOTE = "Spectra are split into train, validation and test by star: no star is in two of them."


def write_table(
    frame: pd.DataFrame,
    stem: Path,
    caption: str,
    notes: str | Sequence[str] = (),
    shown: Presentation | None = None,
    objects: str = "stars",
) -> None:
    """Write ``{stem}.csv`` (full precision, empty where missing), ``{stem}.md`` and ``{stem}.tex`` (deluxetable).

    Columns ``x``, ``x_lo``, ``x_hi`` are printed as one; columns that say the same in every row, and ``note``, go
    below the table.  How the split was made, the set and what N counts are added to ``notes``.
    shown: how the frame is printed, where that is not a line for each of its rows; objects: what the spectra are of.
    """
    with atomic_path(stem.with_name(f"{stem.name}.csv")) as partial:
        frame.to_csv(partial, index=False, lineterminator="\n")
    shown = shown or present(frame, FOLDED)
    below = [*table_notes(frame, shown), *([notes] if isinstance(notes, str) else notes)]
    caption, below = said_of(objects, caption), [said_of(objects, note) for note in below]
    shown = replace(
        shown, columns=[replace(column, heading=said_of(objects, column.heading)) for column in shown.columns]
    )
    write_text(_markdown(shown, caption, below), stem.with_name(f"{stem.name}.md"))
    write_text(_deluxetable(shown, stem.name, caption, below), stem.with_name(f"{stem.name}.tex"))


def read_table(path: str | Path) -> pd.DataFrame:
    """A CSV of :func:`write_table`, with names as text ('1e5' is a size, not a number) and null where empty."""
    names = dict.fromkeys(("task", "model", "size", "set", "label", "class", "split_by", "change", "note"), str)
    return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])


def table_notes(frame: pd.DataFrame, shown: Presentation) -> list[str]:
    """The sentences that every table carries: split, set, N, the interval's meaning, marked cells."""
    notes = []
    if shown.constant:
        notes.append("Throughout: " + "; ".join(f"{name} {text}" for name, text in shown.constant) + ".")
    notes.append(SPLIT_NOTE)
    if {"n", "n_unparsable"} <= set(frame.columns):
        notes.append(
            "N counts spectra that have a truth and a usable answer; 'no answer' counts those whose answer was "
            "unparsable, out of range or missing, which are in no statistic."
        )
    elif "n" in frame.columns:
        notes.append("N counts spectra.")
    if "n_seen" in frame.columns and frame["n_seen"].any():
        notes.append("'seen in training' counts spectra of stars that the model was trained on; they are left out.")
    levels = frame["interval"].dropna() if "interval" in frame.columns else pd.Series(dtype=float)
    if len(levels):
        level = 100 * float(levels.iloc[0])
        notes.append(f"Intervals are {level:g} % bootstrap intervals over stars, not spectra.")
    if "robust" in frame.columns:
        notes.append(
            "Residuals are predicted minus catalogue; mean, std (ddof 0), RMSE and MAE are in the label's unit, and "
            "so is the robust scatter, 1.4826 times the median absolute deviation."
        )
    if "skill" in frame.columns:
        notes.append(
            "Within-class skill is 1 - SS_res / SS about the class mean: 0 is what the class alone is worth."
        )
    if "partial_r2" in frame.columns:
        notes.append(
            "Partial R2 is the share of what the true Teff, log g, [Fe/H] and [Mg/Fe] (a quadratic function of them) "
            "leave unexplained that the prediction explains; minus: it goes the wrong way."
        )
    if "pit_distance" in frame.columns:
        notes.append(
            "Predictions are read as normal distributions. Pull: (label - predicted) / sigma, of mean 0 and std 1 if "
            "sigma is right. PIT distance: largest distance of the distribution of the pulls' probabilities from the "
            "uniform one. CRPS: continuous ranked probability score in the label's unit, smaller is better. "
            "S/N: r band."
        )
    return notes + [f"({i}) {note}." for i, note in enumerate(shown.notes, start=1)]


def _markdown(shown: Presentation, caption: str, notes: Sequence[str]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [f"**{caption}**", "", line([column.heading for column in shown.columns])]
    lines.append(line(["---:" if column.numeric else "---" for column in shown.columns]))
    lines += [line([plain(cell) for cell in row]) for row in shown.rows]
    return "\n".join([*lines, "", *[f"- {note}" for note in notes]]) + "\n"


def _deluxetable(shown: Presentation, name: str, caption: str, notes: Sequence[str]) -> str:
    heads = " & ".join(f"\\colhead{{{escape_latex(column.heading)}}}" for column in shown.columns)
    body = [" & ".join(latex(cell) for cell in row) for row in shown.rows]
    return "\n".join(
        [
            *(["\\startlongtable"] if len(body) > _LONG else []),
            f"\\begin{{deluxetable*}}{{{''.join('r' if column.numeric else 'l' for column in shown.columns)}}}",
            "\\tabletypesize{\\scriptsize}",
            f"\\tablecaption{{{escape_latex(caption)}\\label{{tab:{name}}}}}",
            f"\\tablehead{{{heads}}}",
            "\\startdata",
            " \\\\\n".join(body),
            "\\enddata",
            f"\\tablecomments{{{' '.join(escape_latex(note) for note in notes)}}}",
            "\\end{deluxetable*}",
            "",
        ]
    )
