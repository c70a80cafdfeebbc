"""Lines and records of separated text, exactly: no row is lost to a quote, and every fault has its line number.

Most blocks of a file have no quotes, or quotes that stand as a CSV writer puts them; they are told by a few passes
over the bytes and left to Arrow's reader as they are.  Any other block goes through here record by record.  Between
bars and tabs a quote is a letter like others wherever the line has the right number of cells without it: LAMOST's own
tables are never quoted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starglot.errors import StarglotError

#: Bytes of a file that are looked at together.
BLOCK = 1 << 24
#: What to do about a row that cannot be split into cells.
MEND = "correct the row, or write the catalogue anew with a CSV writer (or as FITS)"
#: Lines that a quoted cell may go over; what is not closed by then was not meant to be opened.
_LONGEST = 200

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_QUOTED = re.compile(rb' *"([^"]*+(?:""[^"]*+)*+)" *')
_OPENED = re.compile(rb' *"')


class BadRecord(Exception):
    """A record that cannot be split into cells: what is wrong, and on which line, counted from the record's first."""

    def __init__(self, what: str, line: int = 0):
        super().__init__(what)
        self.what, self.line = what, line


@dataclass(frozen=True)
class Block:
    """Lines as bytes, each with \\n at its end, and the number of the first one, from 1."""

    text: bytes
    line: int


@dataclass(frozen=True)
class Records:
    """A block made ready for Arrow: ``rows`` records; ``blank`` others had nothing but separators."""

    text: bytes
    rows: int
    blank: int
    multiline: bool


class Separated:
    """How a file's lines are told into cells: by ``separator``, in ``width`` cells (0: not known yet).

    quoted: its header is in quotes, so that quotes are quotes also between bars and tabs.
    """

    def __init__(self, separator: bytes, width: int = 0, quoted: bool = False):
        self.separator, self.width = separator, width
        self.may_be_unquoted = separator in b"|\t" and not quoted
        self._bare = re.compile(rb"[^" + re.escape(separator) + rb"\n]*+")
        self._blank = b" \t" + separator

    def cells(self, text: bytes) -> tuple[list[bytes], int] | None:
        """The cells of the record that ``text`` begins with, and its length; None where a quote is not closed.

        Raises BadRecord where something follows a closing quote.
        """
        found: list[bytes] = []
        at = 0
        while True:
            if quoted := _QUOTED.match(text, at):
                found.append(quoted[1].replace(b'""', b'"'))
                at = quoted.end()
            elif _OPENED.match(text, at):
                return None
            else:
                bare = self._bare.match(text, at)
                assert bare is not None, "an empty cell matches"
                found.append(bare[0])
                at = bare.end()
            if at == len(text) or text[at] == 10:
                return found, at
            if text[at : at + 1] != self.separator:
                after = text[at : at + 20].decode("latin-1")
                raise BadRecord(
                    f"a quote is opened here, and the next one does not end its cell: {after!r} follows",
                    text.count(b"\n", 0, quoted.start()) if quoted else 0,
                )
            at += 1

    def record(self, lines: list[bytes], at: int, last: bool) -> tuple[list[bytes], int] | None:
        """The cells of the record that begins at ``lines[at]`` and how many lines it takes.

        None where more lines may close its quote (never with ``last``, the file's end).  Raises BadRecord.
        """
        line = lines[at]
        plain = line.split(self.separator)
        if b'"' not in line:
            return plain, 1
        fits = self.may_be_unquoted and len(plain) == self.width
        unwrapped = [_unwrapped(cell) for cell in plain]
        if fits and not any(_OPENED.match(cell) and not _QUOTED.fullmatch(cell) for cell in plain):
            return unwrapped, 1
        if fits and self.separator == b"|" and at + 1 < len(lines) and self._fits(lines[at + 1]):
            return unwrapped, 1
        try:
            record = self._over_lines(lines, at, last)
        except BadRecord:
            if fits:
                return unwrapped, 1
            raise
        if record is None:
            return None
        cells, used = record
        if fits and len(cells) != self.width:
            return unwrapped, 1
        if used > 1 and self.width > 1 and all(map(self._fits, lines[at : at + used])):
            raise BadRecord(f"a quote is opened here and closed {used - 1} lines below, which look like other rows")
        return cells, used

    def _fits(self, line: bytes) -> bool:
        """Whether a line has the right number of cells if quotes are letters like others."""
        return line.count(self.separator) + 1 == self.width

    def _over_lines(self, lines: list[bytes], at: int, last: bool) -> tuple[list[bytes], int] | None:
        """A record with quotes taken for quotes, and the number of its lines; None where more lines are needed."""
        record = self.cells(lines[at])
        if record is not None:
            return record[0], 1
        window = lines[at : at + _LONGEST]
        text = b"\n".join(window)
        record = self.cells(text)
        if record is not None:
            return record[0], text.count(b"\n", 0, record[1]) + 1
        if len(window) < _LONGEST and not last:
            return None
        raise BadRecord("a quote is opened and never closed")

    def prepare(self, block: Block, last: bool) -> tuple[Records, bytes]:
        """A block for Arrow, and the bytes of an unfinished record at its end.

        Raises BadRecord, its line counted from the block's first.
        """
        text = block.text
        if b'"' in text and not self._as_written(text):
            return self._one_by_one(text, last)
        text, blank = self._without_blank_rows(text)
        return Records(text, text.count(b"\n"), blank, multiline=False), b""

    def _as_written(self, text: bytes) -> bool:
        """Whether every quote stands as a CSV writer puts it, with no line's end between two of a pair."""
        letters = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(letters == ord('"'))
        if len(quotes) % 2:
            return False
        opening, closing = quotes[0::2], quotes[1::2]
        ends = np.zeros(256, bool)
        ends[[10, self.separator[0], ord('"')]] = True
        # No quote is the text's last byte, which is a line's end; before its first byte there is none either.
        if not (ends[letters[opening - 1]].all() and ends[letters[closing + 1]].all()):
            return False
        inside = (10, self.separator[0]) if self.may_be_unquoted else (10,)
        return all(not (np.searchsorted(quotes, np.flatnonzero(letters == letter)) % 2).any() for letter in inside)

    def _without_blank_rows(self, text: bytes) -> tuple[bytes, int]:
        starts = (b"\n", b" ", b"\t", self.separator)
        if not (text.startswith(starts) or any(b"\n" + start in text for start in starts)):
            return text, 0
        lines = text.split(b"\n")
        filled = [line for line in lines if line.strip(self._blank)]
        blank = sum(self.separator in line for line in lines) - sum(self.separator in line for line in filled)
        return b"\n".join([*filled, b""]) if filled else b"", blank

    def _one_by_one(self, text: bytes, last: bool) -> tuple[Records, bytes]:
        lines = text.split(b"\n")[:-1]
        out: list[bytes] = []
        blank, at, multiline = 0, 0, False
        while at < len(lines):
            if b'"' not in lines[at]:
                if lines[at].strip(self._blank):
                    out.append(lines[at])
                else:
                    blank += self.separator in lines[at]
                at += 1
                continue
            try:
                record = self.record(lines, at, last)
            except BadRecord as bad:
                raise BadRecord(bad.what, at + bad.line) from None
            if record is None:
                break
            cells, used = record
            if any(cell.strip(self._blank) for cell in cells):
                out.append(self.separator.join(map(self._written, cells)))
                multiline |= used > 1
            else:
                blank += len(cells) > 1
            at += used
        rest = b"\n".join([*lines[at:], b""]) if at < len(lines) else b""
        return Records(b"\n".join([*out, b""]) if out else b"", len(out), blank, multiline), rest

    def _written(self, cell: bytes) -> bytes:
        if b'"' in cell or b"\n" in cell or self.separator in cell:
            return b'"' + cell.replace(b'"', b'""') + b'"'
        return cell

    def wrong_widths(self, block: Block, last: bool) -> tuple[int, int, int]:
        """(line from 1, its number of cells, how many such records) of records that have not ``width`` cells."""
        lines = block.text.split(b"\n")[:-1]
        first, width, count, at = 0, 0, 0, 0
        while at < len(lines):
            record = self.record(lines, at, last)
            if record is None:
                break
            cells, used = record
            if len(cells) != self.width and any(cell.strip(self._blank) for cell in cells):
                if not count:
                    first, width = block.line + at, len(cells)
                count += 1
            at += used
        return first, width, count


def _unwrapped(cell: bytes) -> bytes:
    quoted = _QUOTED.fullmatch(cell) if b'"' in cell else None
    return quoted[1].replace(b'""', b'"') if quoted else cell


def blocks(path: Path, size: int = BLOCK) -> Iterator[Block]:
    """The lines of a text file in blocks of about ``size`` bytes, without a byte order mark.

    Text that a byte order mark says to be UTF-16 or UTF-32 becomes UTF-8; \\r\\n and \\r become \\n.  Raises
    StarglotError for NUL bytes, and for text that is not in the coding of its mark.
    """
    with open(path, "rb") as handle:
        start = handle.read(4)
        mark, codec = next(((mark, codec) for mark, codec in _MARKS if start.startswith(mark)), (b"", "utf-8"))
        decoder = None if codec == "utf-8" else codecs.getincrementaldecoder(codec)()
        handle.seek(len(mark) if decoder is None else 0)
        line, rest = 1, b""
        while True:
            read = handle.read(size)
            part = read if decoder is None else _recoded(decoder, read, path, line)
            text = rest + part
            held = b"\r" if text.endswith(b"\r") and read else b""  # its \n may be in the next part
            text = text[: len(text) - len(held)]
            if b"\r" in text:
                text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if b"\0" in text:
                raise StarglotError(
                    "the file holds NUL bytes, which are no text",
                    where=f"{path}, line {line + text.count(bytes([10]), 0, text.index(bytes(1)))}",
                    allowed="text in UTF-8, or UTF-16 with a byte order mark",
                    todo="save it as UTF-8, or fetch it again if it was once whole",
                )
            if not read:
                if text:
                    yield Block(text if text.endswith(b"\n") else text + b"\n", line)
                return
            end = text.rfind(b"\n") + 1
            rest = text[end:] + held
            if end:
                yield Block(text[:end], line)
                line += text.count(b"\n", 0, end)


def _recoded(decoder: codecs.IncrementalDecoder, read: bytes, path: Path, line: int) -> bytes:
    try:
        return decoder.decode(read, final=not read).encode()
    except UnicodeError as error:
        raise StarglotError(
            f"the text's encoding differs from its byte order mark: {error}",
            where=f"{path}, line {line} or below",
            todo="save it as UTF-8, or fetch it again if it is cut off",
        ) from error
