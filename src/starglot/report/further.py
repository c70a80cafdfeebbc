"""Tables of the results folder as tables of the page, by the section that they stand in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from starglot.evaluation import budget, degradation, leakage, own_line, scaling
from starglot.evaluation.numbered import KINDS, printed, table_notes
from starglot.evaluation.presentation import present
from starglot.evaluation.residuals import ALL
from starglot.evaluation.tables_io import read_table
from starglot.evaluation.tables_io import table_notes as general_notes
from starglot.evaluation.uncertainty import coverage_notes
from starglot.report.html_table import HtmlTable, html_table

#: Section and caption by kind.
_KINDS = {
    "external": ("external", "Against external surveys, all classes"),
    "scaling": ("scaling", "Error against the number of training spectra"),
    "degradation": ("degradation", "Error on spectra that differ from those learnt, without retraining"),
    "calibration": ("calibration", "Quality of the uncertainties, all classes"),
    "budget": ("classes", "Error budget, all classes"),
    "tails": ("classes", "Residuals in the tails"),
    "leakage": ("data", "Leakage audit of the samples"),
    "own_line": ("classes", "Own-line test on mock spectra: response of each abundance to its own element alone"),
}
_NOTES: dict[str, Sequence[str]] = {
    "budget": budget.NOTES,
    "leakage": leakage.NOTES,
    "own_line": own_line.NOTES,
    "degradation": degradation.NOTES,
    "scaling": scaling.LAW_NOTES,
}

#: The section of each of the paper's tables.
_NUMBERED = {2: "classes", 3: "models", 4: "models", 5: "classes", 6: "classes", 7: "external", 8: "external"}


def numbered_tables(paths: Mapping[int, Path]) -> dict[str, list[HtmlTable]]:
    """Tables 2 to 8 of the paper, laid out as it prints them, by section."""
    tables = defaultdict(list)
    for number, path in sorted(paths.items()):
        frame = read_table(path)
        caption = f"Table {number}. {KINDS[number].caption}"
        shown = printed(number, frame)
        notes = [*table_notes(number, frame), *(f"({i}) {note}." for i, note in enumerate(shown.notes, start=1))]
        made = html_table(f"table-{number}", frame, caption, notes, shown=shown)
        tables[_NUMBERED[number]].append(made)
    return dict(tables)


def further_tables(paths: Sequence[Path]) -> dict[str, list[HtmlTable]]:
    """External residuals, scaling, calibration, ... by section; of long ones the rows of all classes together."""
    tables = defaultdict(list)
    for path in paths:
        frame = read_table(path)
        kind, _, task = (path.stem, "", "") if path.stem in _KINDS else path.stem.partition("_")
        section, caption = _KINDS[kind]
        for column in ("class", "part"):
            if column in frame.columns and (frame[column] == ALL).any():
                frame = frame[frame[column] == ALL].drop(columns=column).reset_index(drop=True)
        fold = ("task", "size", "set")
        counted = coverage_notes(frame) if kind == "calibration" else []
        notes = [*_NOTES.get(kind, ()), *general_notes(frame, present(frame, fold)), *counted]
        title = caption + (f": {task}" if task else "")
        tables[section].append(html_table(path.stem.replace("_", "-"), frame, title, notes, fold=fold))
    return dict(tables)
