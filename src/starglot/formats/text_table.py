"""Survey catalogues as text: cells separated by commas, semicolons, tabs or bars, as written by programs and people.

The first line that is no comment has the names, or the last comment above the rows does ('#obsid,ra').  Cells leave
here as texts, so that ids keep every digit and placeholders are dealt with in one place.  Rows in = rows out, always:
a record that has not as many cells as the header is an error with its line.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from starglot.errors import StarglotError
from starglot.formats.catalog import Catalog
from starglot.formats.text_header import header_of
from starglot.formats.text_lines import MEND, BadRecord, Block, Records, blocks

log = logging.getLogger(__name__)

#: Bytes in which the header has to be found.
_HEAD = 1 << 20

_COMMA = r"^\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*$"
_POINT = r"^\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*$"
_THOUSANDS = r"^\s*[+-]?[1-9]\d{0,2},\d{3}\s*$"


class TextCatalog(Catalog):
    """A text table; ``plain`` is the file itself or its inflated copy.

    Raises StarglotError for a file without a header, or with columns that are told apart by blanks alone.
    """

    def __init__(self, path: Path, plain: Path):
        self._plain = plain
        head = b"".join(block.text for block in itertools.islice(blocks(plain, _HEAD), 2))
        self._header = header_of(head.split(b"\n")[:-1], path)
        self._separated = self._header.separated
        super().__init__(path, self._header.names)
        self._decimals = _Decimals(self.where)
        self._read = self._blank = 0

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        """The named columns as texts, some rows at a time, in the file's order.

        Raises StarglotError, with the line, for a quote that is never closed and for records with too few or too
        many cells; and for numbers with decimal commas in a file that has decimal points, too.
        """
        places = [self.names.index(name) for name in names]
        self._read = self._blank = 0
        rest, line = b"", 1
        for block, last in _with_last(blocks(self._plain)):
            text = rest + block.text
            if line == 1:
                text, line = _below(text, self._header.lines), self._header.lines + 1
            ready = Block(text, line)
            try:
                records, rest = self._separated.prepare(ready, last)
            except BadRecord as bad:
                raise StarglotError(bad.what, where=f"{self.where}, line {line + bad.line}", todo=MEND) from None
            self._blank += records.blank
            if records.rows:
                yield self._columns(records, ready, last, places, names)
            self._read += records.rows
            line += text.count(b"\n") - rest.count(b"\n")
        if self._blank:
            log.info("%s: %d rows without any value left out", self.where, self._blank)
        if not self._read:
            log.warning("%s: the table has no rows", self.where)

    def _columns(
        self, records: Records, block: Block, last: bool, places: list[int], names: Sequence[str]
    ) -> dict[str, np.ndarray]:
        keys = [str(number) for number in range(len(self.names))]

        try:
            table = pacsv.read_csv(
                pa.BufferReader(records.text),
                read_options=pacsv.ReadOptions(column_names=keys, block_size=1 << 22),
                parse_options=pacsv.ParseOptions(
                    delimiter=self._separated.separator.decode(),
                    quote_char='"' if b'"' in records.text else False,
                    newlines_in_values=records.multiline,
                ),
                # Bytes, as cells that nobody asks for may be in any coding.
                convert_options=pacsv.ConvertOptions(
                    include_columns=[keys[place] for place in places], column_types=dict.fromkeys(keys, pa.binary())
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._wrong_widths(block, last) or error from None
        if len(table) != records.rows:
            raise StarglotError(
                f"{records.rows} rows were counted and {len(table)} read",
                where=f"{self.where}, from line {block.line}",
                todo="write the catalogue as FITS, and report this file",
            )
        columns = {
            name: self._text(table[keys[place]].combine_chunks(), name)
            for name, place in zip(names, places, strict=True)
        }
        columns = self._decimals.pointed(columns, self._read)
        return {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}

    def _wrong_widths(self, block: Block, last: bool) -> StarglotError | None:
        line, width, count = self._separated.wrong_widths(block, last)
        if not count:
            return None
        others = f", and {count - 1} other records near it are like that" if count > 1 else ""
        return StarglotError(
            f"a record has {width} cells where the header has {len(self.names)}{others}",
            where=f"{self.where}, line {line}",
            allowed=f"as many cells in every row as there are names, between {self._separated.separator.decode()!r}",
            todo=MEND,
        )

    def _text(self, cells: pa.BinaryArray, name: str) -> pa.StringArray:
        """Cells as text: UTF-8, or Latin-1 where they are not, which the log counts."""
        try:
            return cells.cast(pa.string())
        except pa.ArrowInvalid:
            pass
        texts, foreign = [], []
        for row, cell in enumerate(cells.to_pylist()):
            try:
                texts.append(cell.decode())
            except UnicodeDecodeError:
                texts.append(cell.decode("latin-1"))
                foreign.append(row)
        log.warning(
            "%s, column %s, row %d: %r is not UTF-8 and is read as Latin-1 (%d such texts in %d rows)",
            *(self.where, name, self._read + foreign[0] + 1, texts[foreign[0]], len(foreign), len(texts)),
        )
        return pa.array(texts, pa.string())


class _Decimals:
    """Decimal commas ('5000,5', as European spreadsheets write them) made points, where a file has no points."""

    def __init__(self, where: str):
        self._where = where
        self._point = self._comma = ""  # the first number of each kind, with its place
        self._certain = False  # some comma cannot be a mark of thousands

    def pointed(self, columns: Mapping[str, pa.StringArray], rows_before: int) -> dict[str, pa.StringArray]:
        """The columns with points.  Raises StarglotError where commas may as well be marks of thousands."""
        commas: dict[str, pa.BooleanArray] = {}
        for name, cells in columns.items():
            if not self._point and pc.any(pc.match_substring(cells, ".")).as_py():
                self._point = self._first(pc.match_substring_regex(cells, _POINT), cells, name, rows_before)
            if pc.any(pc.match_substring(cells, ",")).as_py():
                numbers = pc.match_substring_regex(cells, _COMMA)
                if pc.any(numbers).as_py():
                    commas[name] = numbers
                    self._comma = self._comma or self._first(numbers, cells, name, rows_before)
                    thousands = pc.match_substring_regex(cells.filter(numbers), _THOUSANDS)
                    self._certain |= not pc.all(thousands).as_py()
        if self._comma and (self._point or not self._certain):
            also = f"; there is also {self._point}" if self._point else ""
            raise StarglotError(
                f"a comma in a number may be a decimal point or a mark of thousands: {self._comma}",
                where=self._where,
                allowed=f"one way of writing numbers in a file{also}",
                todo="write the numbers with decimal points and without marks of thousands",
            )
        return {
            name: pc.if_else(commas[name], pc.replace_substring(cells, ",", "."), cells) if name in commas else cells
            for name, cells in columns.items()
        }

    def _first(self, which: pa.BooleanArray, cells: pa.StringArray, name: str, rows_before: int) -> str:
        at = pc.index(which, True).as_py()
        return f"{cells[at].as_py()!r} in column {name}, row {rows_before + at + 1}" if at >= 0 else ""


def _below(text: bytes, lines: int) -> bytes:
    at = 0
    for _ in range(lines):
        at = text.index(b"\n", at) + 1
    return text[at:]


def _with_last(found: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Each block, and whether it is the last."""
    held = next(found, None)
    while held is not None:
        following = next(found, None)
        yield held, following is None
        held = following
