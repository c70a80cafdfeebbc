"""What became of every row and value of a catalogue: what went in is what came out, and counted reasons."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from starglot.tables import write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reason:
    """Why a row or value is not there, and whether somebody should look (a warning) or it is as intended."""

    text: str
    look: bool = True


#: Why a row of the file is none of the table.  Closed.
ROW_REASONS: dict[str, Reason] = {
    "no_id": Reason("the row has no id of its own"),
    "second_entry": Reason("an earlier row has the same id"),
    "repeat_of_star": Reason("another row of the same star is the main one, or has the better S/N", look=False),
    "not_a_star": Reason("the survey's class is not STAR", look=False),
    "warned": Reason("the survey's pipeline warns of its fit", look=False),
    "no_class": Reason("no class letter A, F, G, K or M", look=False),
    "no_file_name": Reason("obsdate, lmjd, planid, spid or fiberid is missing, which the file's name is made of"),
    "snr_too_low": Reason("S/N missing or below surveys.lamost.snr_min", look=False),
    "not_needed": Reason("more than the largest sample needs, or without a label", look=False),
}

#: Why a value of the file is null in the table.  Closed.
VALUE_REASONS: dict[str, Reason] = {
    "no_gaia_id": Reason("the text is no Gaia id"),
    "other_release": Reason("a Gaia id of another release, where its number may be another star"),
    "rounded_id": Reason("an id that went through floating-point numbers and lost its last digits"),
    "id_at_two_places": Reason("one id for rows minutes of arc apart: it cannot be a star's"),
    "no_date": Reason("no date that can be read: write YYYY-MM-DD"),
    "outside_limits": Reason("a number outside the limits of its kind"),
    "upper_limit": Reason("an upper or lower limit, which is no measurement", look=False),
    "not_a_star": Reason("the survey's class is not STAR", look=False),
    "other_type": Reason("a type of another class than A, F, G, K, M", look=False),
    "two_types": Reason("a type of two classes"),
    "unknown_type": Reason("no known spectral type"),
    "placeholder": Reason("a number that stands for none", look=False),
    "flagged": Reason("the survey's flags or the configured cuts", look=False),
    "outside_calibration": Reason("the survey's calibration is not defined there", look=False),
    "no_error": Reason("an error that is not positive, or larger than any star's", look=False),
}


@dataclass
class Tally:
    """How many rows a reason has, and the first of them."""

    rows: int
    first: str


@dataclass
class Column:
    """Rows of a column with a value, without one, and with one that was refused, by reason."""

    valid: int = 0
    missing: int = 0
    refused: dict[str, Tally] = field(default_factory=dict)

    def add(self, rows: int, valid: int, refused: Mapping[str, Tally]) -> None:
        """Count ``rows`` more rows; what is neither valid nor refused was missing in the file."""
        missing = rows - valid - sum(tally.rows for tally in refused.values())
        if missing < 0:
            raise AssertionError(f"{rows} rows, {valid} valid, refused {refused}: counted twice")
        self.valid += valid
        self.missing += missing
        for reason, tally in refused.items():
            add_tally(self.refused, reason, tally)


class Counts:
    """The account of one catalogue, filled while it is read.

    rows: of the file or files; left_out: rows that are not in the table, by ROW_REASONS; columns: of every column as
    it was read (valid + missing + refused = rows); values: of every column that was made of them, as far as something
    was refused (the same sum, over the rows of the table).  Refused values are null in the table, by VALUE_REASONS.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.rows_out = 0
        self.left_out: dict[str, Tally] = {}
        self.columns: dict[str, Column] = {}
        self.values: dict[str, Column] = {}

    def leave_out(self, reason: str, rows: int, first: str) -> None:
        """Count ``rows`` rows that are left out; the log names the reason and the ``first`` of them."""
        if rows:
            why = ROW_REASONS[reason]
            add_tally(self.left_out, reason, Tally(rows, first))
            log.log(_level(why), "%d of %d rows are left out: %s; first: %s", rows, self.rows, why.text, first)

    def read(self, column: str, rows: int, valid: int, refused: Mapping[str, Tally], where: object) -> None:
        """Count a column as it was read from the file ``where``."""
        self.columns.setdefault(column, Column()).add(rows, valid, refused)
        for reason, tally in refused.items():
            why = VALUE_REASONS[reason]
            text = "%s: %s is taken as missing in %d of %d rows: %s; first: %s"
            log.log(_level(why), text, where, column, tally.rows, rows, why.text, tally.first)

    def made(self, column: str, values: np.ndarray, valid: np.ndarray, refused: Mapping[str, np.ndarray]) -> None:
        """Count a column that was made of what was read.

        values: (n,), its ingredients, for the first example; valid: (n,), where it has a value; refused: reason to
        rows (n,); of several reasons for one row the first counts.
        """
        free = ~np.asarray(valid, bool)
        tallies = {}
        for reason, rows in refused.items():
            hit = free & rows
            if hit.any():
                found = tally(hit, values)
                tallies[reason] = Tally(found.rows, f"kept {found.first}")
            free &= ~hit
        self.values.setdefault(column, Column()).add(len(free), int(np.sum(valid)), tallies)

    def close(self, rows: int) -> None:
        """End the account with the number of rows in the table, and log what was refused in the making.

        Raises AssertionError when rows are unaccounted for, which is a fault of the reader.
        """
        self.rows_out = rows
        lost = self.rows - rows - sum(tally.rows for tally in self.left_out.values())
        if lost:
            raise AssertionError(f"{lost} of {self.rows} rows are neither kept nor counted")
        for reason, why in VALUE_REASONS.items():
            columns = {name: c.refused[reason] for name, c in self.values.items() if reason in c.refused}
            if columns:
                listed = ", ".join(f"{found.rows} of {name}" for name, found in columns.items())
                first = next(iter(columns.values())).first
                log.log(_level(why), "values taken as missing, %s: %s; first: %s", why.text, listed, first)

    def write_next_to(self, table: str | Path) -> None:
        """Write the account beside the table that it is of: ``lamost.counts.json`` for ``lamost.parquet``."""
        write_json(self.as_json(), Path(table).with_suffix(".counts.json"))

    def as_json(self) -> dict[str, Any]:
        """The account as JSON-able data."""
        return {
            "rows": {
                "in": self.rows,
                "out": self.rows_out,
                "left_out": {reason: asdict(found) for reason, found in self.left_out.items()},
            },
            "columns": {name: asdict(column) for name, column in self.columns.items()},
            "values": {name: asdict(column) for name, column in self.values.items()},
        }


def tally(rows: np.ndarray, values: Any, before: int = 0) -> Tally:
    """The true ones of ``rows`` (n,), and the first of ``values`` (n,) there; ``before``: rows in earlier chunks."""
    first = int(np.flatnonzero(rows)[0])
    return Tally(int(np.sum(rows)), f"row {before + first + 1}, {shown(values[first])}")


def shown(value: Any) -> str:
    """A value for a message: text in quotes, numbers plainly."""
    value = value.as_py() if hasattr(value, "as_py") else value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace").strip()
    return f"'{value}'" if isinstance(value, str) else str(value)


def add_tally(tallies: dict[str, Tally], reason: str, more: Tally) -> None:
    """Add ``more`` rows to those of a reason; the first stays the first."""
    known = tallies.get(reason)
    tallies[reason] = Tally(known.rows + more.rows, known.first) if known else more


def _level(reason: Reason) -> int:
    return logging.WARNING if reason.look else logging.INFO
