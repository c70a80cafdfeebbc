"""Tables of the results folder as tables of the page, by the section in which they appear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from starglot.evaluation import budget, crossval, degradation, leakage, limit, own_line, paired, redshifts, retention
from starglot.evaluation.numbered import KINDS, OURS, printed, table_notes
from starglot.evaluation.presentation import named_labels, present
from starglot.evaluation.residuals import ALL
from starglot.evaluation.sweeps import ablation, scaling
from starglot.evaluation.tables_io import FOLDED, read_table
from starglot.evaluation.tables_io import table_notes as general_notes
from starglot.evaluation.transfer import sizes as transfer_sizes
from starglot.evaluation.transfer import tables as transfer
from starglot.evaluation.uncertainty import coverage_notes
from starglot.report.headline import FEW
from starglot.report.html_table import HtmlTable, html_table

#: Section and caption by kind.
_KINDS = {
    "external": ("external", "Against external surveys, all classes"),
    "scaling": ("scaling", "Error against the number of training spectra"),
    "retention": ("models", "What language models have retained of their language"),
    "degradation": ("degradation", "Error on spectra that differ from those learnt, without retraining"),
    "altered": ("degradation", "Models against the best baseline on these spectra, star by star"),
    "calibration": ("calibration", "Quality of the uncertainties, all classes"),
    "budget": ("classes", "Error budget, all classes"),
    "tails": ("classes", "Residuals in the tails"),
    "redshift_1": ("models", "Redshifts: failures of all models, beside a constant's MAE"),
    "redshift_2": ("models", "Redshifts: failures among the surest answers"),
    "ablation": ("scaling", "Settings varied one at a time"),
    "folds": ("models", "Cross-validation over star-disjoint folds, all classes"),
    "paired": ("models", "Models against the best baseline, star by star"),
    "comparison": ("models", "The same over several seeds"),
    "limit": ("classes", "Errors against the truth in units of the information limit, all classes (mock)"),
    "leakage": ("data", "Leakage audit of the samples"),
    "own_line": ("classes", "Own-line test on mock spectra: response of each abundance to its own element alone"),
    "transfer_1": ("transfer", "Models carried to another survey, by strategy"),
    **{name: ("transfer", caption) for name, caption in transfer_sizes.CAPTIONS.items()},
}
_NOTES: dict[str, Sequence[str]] = {
    "budget": budget.NOTES,
    "redshift_1": redshifts.NOTES,
    "redshift_2": redshifts.SURE_NOTES,
    "ablation": ablation.NOTES,
    "folds": crossval.NOTES,
    "limit": limit.NOTES,
    "paired": paired.NOTES,
    "comparison": paired.NOTES,
    "altered": paired.NOTES,
    "leakage": leakage.NOTES,
    "own_line": own_line.NOTES,
    "degradation": degradation.NOTES,
    "retention": retention.NOTES,
    "scaling": scaling.LAW_NOTES,
    "transfer_1": transfer.NOTES,
    **dict.fromkeys(transfer_sizes.CAPTIONS, transfer_sizes.NOTES),
}

#: The section of each of the paper's tables.
_NUMBERED = {2: "classes", 3: "models", 4: "models", 5: "classes", 6: "classes", 7: "external", 8: "external"}


def numbered_tables(paths: Mapping[int, Path]) -> dict[str, list[HtmlTable]]:
    """Tables 2 to 8 of the paper, laid out as it prints them, by section; none where this run has a part in none."""
    tables = defaultdict(list)
    frames = {number: read_table(path) for number, path in sorted(paths.items())}
    if not any(_sizes(frame) for frame in frames.values()):
        return {}  # a run with none of the paper's tasks
    for number, frame in frames.items():
        if number == 4 and 3 in frames and _sizes(frame) == _sizes(frames[3]):
            continue
        caption = f"Table {number}. {KINDS[number].caption}"
        shown = printed(number, frame)
        notes = [*table_notes(number, frame), *(f"({i}) {note}." for i, note in enumerate(shown.notes, start=1))]
        if number == 3 and 4 in frames and _sizes(frame) == _sizes(frames[4]):
            notes.append("Table 4 is of the second size; this run has one, and the cells of table 4 would be these.")
        made = html_table(f"table-{number}", frame, caption, notes, shown=shown)
        tables[_NUMBERED[number]].append(made)
    return dict(tables)


def _sizes(frame: pd.DataFrame) -> set[str]:
    """The sizes that the cells of this run in a numbered table are of."""
    return set(frame.loc[frame["source"] == OURS, "size"])


def further_tables(paths: Sequence[Path]) -> dict[str, list[HtmlTable]]:
    """External residuals, scaling, calibration, ... by section; of long ones the rows of all classes together."""
    tables = defaultdict(list)
    for path in paths:
        frame = read_table(path)
        kind, _, task = (path.stem, "", "") if path.stem in _KINDS else path.stem.partition("_")
        section, caption = _KINDS[kind]
        for column in ("class", "part", "snr"):
            if column in frame.columns and (frame[column] == ALL).any():
                frame = frame[frame[column] == ALL].drop(columns=column).reset_index(drop=True)
        counted = coverage_notes(frame) if kind == "calibration" else []
        notes = [*_NOTES.get(kind, ()), *general_notes(frame, present(frame, FOLDED)), *counted]
        labels = [str(label) for label in dict.fromkeys(frame["label"])] if "label" in frame.columns else []
        of = f"{task} ({named_labels(labels, FEW)})" if labels else task
        title = caption + (f": {of}" if task else "")
        tables[section].append(html_table(path.stem.replace("_", "-"), frame, title, notes, fold=FOLDED))
    return dict(tables)
