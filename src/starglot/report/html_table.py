"""Frames as tables of a page: what is shown, what is sorted by, what is filtered by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from starglot.evaluation.presentation import Cell, Estimate, Presentation, Summary, fixed, plain, present

#: Text columns with at most this many different values get a drop-down.
_CHOICES = 30

#: Text beyond this length is broken into lines.
_LONG = 40

#: Columns that a narrow screen can do without.
_MINOR = frozenset({"n_stars", "n_unparsable", "rmse", "mae", "size"})


@dataclass(frozen=True)
class HtmlCell:
    """A cell: its text, its interval in small print, the value it is sorted by, and its CSS classes."""

    text: str
    interval: str
    sort: str
    classes: str


@dataclass(frozen=True)
class HtmlColumn:
    """A heading, its CSS classes, and the choices of its drop-down (none: no drop-down)."""

    heading: str
    classes: str
    choices: list[str]


@dataclass(frozen=True)
class HtmlTable:
    """A table ready for the template."""

    name: str
    caption: str
    columns: list[HtmlColumn]
    rows: list[list[HtmlCell]]
    notes: list[str] = field(default_factory=list)

    @property
    def filtered(self) -> bool:
        """Long enough for a filter to be of use."""
        return len(self.rows) > 12


def html_table(
    name: str,
    frame: pd.DataFrame,
    caption: str,
    notes: Sequence[str] = (),
    fold: Sequence[str] = (),
    best: str | None = None,
    group: str | None = None,
    shown: Presentation | None = None,
) -> HtmlTable:
    """``frame`` as a table of the page; ``name`` is its id there.

    fold: columns that go to the notes when constant; best: a column whose smallest value is bold among the rows that
    share set, size and label; group: a column whose change of value is marked by a line; shown: how the frame is laid
    out, where that is not a line for each of its rows (``best`` and ``group`` are of the frame's own rows).
    """
    shown = shown or present(frame, fold)
    leading = _smallest(frame, best) if best else set()
    rows = []
    for i, row in enumerate(shown.rows):
        first = group is not None and i > 0 and frame[group].iloc[i] != frame[group].iloc[i - 1]
        rows.append(
            [
                _cell(
                    cell,
                    " ".join(
                        [*(["best"] if column.name == best and i in leading else []), *(["first"] if first else [])]
                    ),
                )
                for cell, column in zip(row, shown.columns, strict=True)
            ]
        )
    columns = []
    for k, column in enumerate(shown.columns):
        values = list(dict.fromkeys(plain(row[k]) for row in shown.rows)) if not column.numeric else []
        long = any(len(plain(row[k])) > _LONG for row in shown.rows)
        marks = {"number": column.numeric, "minor": column.name in _MINOR, "long": long}
        classes = " ".join(mark for mark, true in marks.items() if true)
        for cells in rows:
            cells[k] = replace(cells[k], classes=f"{cells[k].classes} {classes}".strip())
        columns.append(
            HtmlColumn(column.heading, classes, values if 1 < len(values) <= _choices(len(shown.rows)) else [])
        )
    below = [f"Throughout: {'; '.join(f'{n} {text}' for n, text in shown.constant)}."] if shown.constant else []
    below += [f"({i}) {note}." for i, note in enumerate(shown.notes, start=1)]
    return HtmlTable(name, caption, columns, rows, [*notes, *below])


def _smallest(frame: pd.DataFrame, column: str) -> set[int]:
    """Row positions of the smallest ``column`` in each set, size and label with more than one model."""
    found = set()
    numbered = frame.reset_index(drop=True)
    for _, rows in numbered.groupby(["set", "size", "label"]):
        values = rows[column].dropna()
        if len(values) > 1:
            found.add(int(values.idxmin()))
    return found


def _choices(rows: int) -> int:
    """Most choices that a drop-down may have: one that names every row is of no use."""
    return min(_CHOICES, rows // 2)


def _cell(cell: Cell, classes: str) -> HtmlCell:
    if isinstance(cell, Estimate):
        bounds = ""
        if cell.low is not None and cell.high is not None:
            bounds = f"[{fixed(cell.low, cell.decimals)}, {fixed(cell.high, cell.decimals)}]"
        return HtmlCell(fixed(cell.value, cell.decimals), bounds, repr(cell.value), classes)
    if isinstance(cell, Summary):
        return HtmlCell(plain(cell), "", repr(cell.parts[-1].value), classes)
    if isinstance(cell, int):
        return HtmlCell(f"{cell:,}", "", str(cell), classes)
    return HtmlCell(plain(cell), "", "" if cell is None else cell, classes)
