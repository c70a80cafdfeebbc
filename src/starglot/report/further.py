"""The paper's tables by number, and the tables behind them, as tables of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from starglot.evaluation import budget, leakage, own_line
from starglot.evaluation.numbered import KINDS, printed, table_notes
from starglot.evaluation.presentation import present
from starglot.evaluation.residuals import ALL
from starglot.evaluation.tables_io import read_table
from starglot.evaluation.tables_io import table_notes as general_notes
from starglot.report.html_table import HtmlTable, html_table

_CAPTIONS = {
    "external": "Against external surveys, all classes",
    "calibration": "Quality of the uncertainties, all classes",
    "budget": "Error budget, all classes",
    "tails": "Residuals in the tails",
    "leakage": "Leakage audit of the samples",
    "own_line": "Own-line test on mock spectra: response of each abundance to its own element alone",
}
_NOTES: dict[str, Sequence[str]] = {
    "budget": budget.NOTES,
    "leakage": leakage.NOTES,
    "own_line": own_line.NOTES,
}


def numbered_tables(paths: Mapping[int, Path]) -> list[HtmlTable]:
    """Tables 2 to 8 of the paper, laid out as it prints them."""
    tables = []
    for number, path in sorted(paths.items()):
        frame = read_table(path)
        caption = f"Table {number}. {KINDS[number].caption}"
        shown = printed(number, frame)
        notes = [*table_notes(number, frame), *(f"({i}) {note}." for i, note in enumerate(shown.notes, start=1))]
        tables.append(html_table(f"table-{number}", frame, caption, notes, shown=shown))
    return tables


def further_tables(paths: Sequence[Path]) -> list[HtmlTable]:
    """External residuals, calibration, budget, tails and leakage; of long ones the rows of all classes together."""
    tables = []
    for path in paths:
        frame = read_table(path)
        kind, _, task = (path.stem, "", "") if path.stem in _CAPTIONS else path.stem.partition("_")
        for column in ("class", "part"):
            if column in frame.columns and (frame[column] == ALL).any():
                frame = frame[frame[column] == ALL].drop(columns=column).reset_index(drop=True)
        fold = ("task", "size", "set")
        notes = [*_NOTES.get(kind, ()), *general_notes(frame, present(frame, fold))]
        caption = _CAPTIONS[kind] + (f": {task}" if task else "")
        tables.append(html_table(path.stem.replace("_", "-"), frame, caption, list(dict.fromkeys(notes)), fold=fold))
    return tables
