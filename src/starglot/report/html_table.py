"""Frames as tables of a page: what is shown, what is sorted by, what is filtered by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from starglot.evaluation.presentation import Cell, Estimate, Presentation, Summary, fixed, plain, present

#: Text columns with at most this many different values get a drop-down.
_CHOICES = 30

#: Tables longer than this are closed until a reader opens them.
_FOLDED = 100

#: Tables longer than this stand in a window of their own, in which they scroll.
_TALL = 30

#: With more columns of numbers than this, intervals stand below their numbers.
_WIDE = 6

#: Text beyond this length is broken into lines.
_LONG = 40

#: Columns that a narrow screen can do without.
_MINOR = frozenset({"n_stars", "n_val_stars", "n_unparsable", "rmse", "mae", "size"})


@dataclass(frozen=True)
class HtmlCell:
    """A cell: its text, its interval in small print, the value it is sorted by if not the text, its CSS classes."""

    text: str
    interval: str
    sort: str | None
    classes: str


@dataclass(frozen=True)
class HtmlColumn:
    """A heading, its CSS classes, and the choices of its drop-down (none: no drop-down)."""

    heading: str
    classes: str
    choices: list[str]


@dataclass(frozen=True)
class HtmlTable:
    """A table ready for the template; ``starts`` are the rows above which a line is drawn."""

    name: str
    caption: str
    columns: list[HtmlColumn]
    rows: list[list[HtmlCell]]
    notes: list[str] = field(default_factory=list)
    starts: frozenset[int] = frozenset()

    @property
    def filtered(self) -> bool:
        """Long enough for a filter to be of use."""
        return len(self.rows) > 12

    @property
    def tall(self) -> bool:
        """So long that it scrolls in a window."""
        return len(self.rows) > _TALL

    @property
    def wide(self) -> bool:
        """So wide that intervals stand below their numbers."""
        return sum("text" not in column.classes.split() for column in self.columns) > _WIDE

    @property
    def folded(self) -> bool:
        """So long that it is shown on demand."""
        return len(self.rows) > _FOLDED


def html_table(
    name: str,
    frame: pd.DataFrame,
    caption: str,
    notes: Sequence[str] = (),
    fold: Sequence[str] = (),
    bold: Collection[tuple[int, str]] = (),
    group: str | None = None,
    shown: Presentation | None = None,
) -> HtmlTable:
    """``frame`` as a table of the page; ``name`` is its id there.  What two notes say alike, stands there once.

    fold: columns that go to the notes when constant; bold: cells in bold, as (row, column); group: a column whose
    change of value is marked by a line; shown: how the frame is laid out, where that is not a line for each of its
    rows (``group`` is of the frame's own rows).
    """
    shown = shown or present(frame, fold)
    rows = [
        [
            _cell(cell, "best" if (i, column.name) in bold else "")
            for cell, column in zip(row, shown.columns, strict=True)
        ]
        for i, row in enumerate(shown.rows)
    ]
    starts = frozenset(
        i for i in range(1, len(rows)) if group is not None and frame[group].iloc[i] != frame[group].iloc[i - 1]
    )
    columns = []
    for k, column in enumerate(shown.columns):
        values = list(dict.fromkeys(plain(row[k]) for row in shown.rows)) if not column.numeric else []
        long = any(len(cells[k].text) > _LONG for cells in rows)
        marks = {"text": not column.numeric, "minor": column.name in _MINOR, "long": long}
        classes = " ".join(mark for mark, true in marks.items() if true)
        for cells in rows:
            cells[k] = replace(cells[k], classes=f"{cells[k].classes} {classes}".strip())
        columns.append(
            HtmlColumn(column.heading, classes, values if 1 < len(values) <= _choices(len(shown.rows)) else [])
        )
    below = [f"Throughout: {'; '.join(f'{n} {text}' for n, text in shown.constant)}."] if shown.constant else []
    below += [f"({i}) {note}." for i, note in enumerate(shown.notes, start=1)]
    return HtmlTable(name, caption, columns, rows, list(dict.fromkeys([*notes, *below])), starts)


def smallest(frame: pd.DataFrame, column: str) -> set[tuple[int, str]]:
    """The cells with the smallest ``column`` in each set, size and label with more than one model."""
    found = set()
    numbered = frame.reset_index(drop=True)
    for _, rows in numbered.groupby(["set", "size", "label"]):
        values = rows[column].dropna()
        if len(values) > 1:
            found.add((int(values.idxmin()), column))
    return found


def _choices(rows: int) -> int:
    """Most choices that a drop-down may have: one that names every row is of no use."""
    return min(_CHOICES, rows // 2)


def _bounds(estimate: Estimate) -> str:
    """An interval in brackets; nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{fixed(estimate.low, estimate.decimals)}, {fixed(estimate.high, estimate.decimals)}]"


def _cell(cell: Cell, classes: str) -> HtmlCell:
    if isinstance(cell, Estimate):
        return HtmlCell(fixed(cell.value, cell.decimals), _bounds(cell), None, classes)
    if isinstance(cell, Summary):
        text = " ± ".join(fixed(part.value, part.decimals) for part in cell.parts)
        bounds = " ± ".join(_bounds(part) for part in cell.parts if part.low is not None)
        count = "" if cell.n is None else f" ({cell.n:,})"
        return HtmlCell(text + count, bounds, f"{cell.parts[-1].value:.6g}", f"{classes} summary".strip())
    if isinstance(cell, int):
        return HtmlCell(f"{cell:,}", "", str(cell) if cell >= 1000 else None, classes)
    return HtmlCell(plain(cell), "", None, classes)
