"""Where a text table's columns are named, and what stands between its cells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from starglot.errors import StarglotError
from starglot.formats.text_lines import MEND, BadRecord, Separated

#: Commas last: they are also decimal points, and letters of comments.
_SEPARATORS = (b"\t", b"|", b";", b",")
_NUMBER = re.compile(rb"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eEdD][+-]?\d+)?\s*")
#: Excel's first line, where it has been told to write one.
_EXCEL = re.compile(rb"sep=([,;|\t])")


@dataclass(frozen=True)
class Header:
    """Names of the columns, how lines are told into cells, and how many lines stand above the rows."""

    names: list[str]
    separated: Separated
    lines: int


def header_of(lines: list[bytes], path: Path) -> Header:
    """The header in a file's first ``lines``: the first line that is no comment, or a comment that names the columns.

    A comment does so ('#obsid,ra') when no later line names them: it has as many cells as the first row, none of them
    a number.  Raises StarglotError for a file without a header, or with columns between blanks.
    """
    at, comments, record = 0, [], None
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(b"#") or _EXCEL.fullmatch(lines[at])):
        excel = _EXCEL.fullmatch(lines[at])
        record = excel[1] if excel else record
        if lines[at].startswith(b"#"):
            comments.append(lines[at].lstrip(b"# \t"))
        at += 1
    first = lines[at] if at < len(lines) else None
    # Words with blanks may be prose that happens to have as many commas; units stand below names.
    for comment in sorted(comments, key=lambda comment: b" " in re.sub(rb"\s*([,;|\t])\s*", rb"\1", comment.strip())):
        separator = record or _separator(comment)
        if separator and (first is None or _names(comment, first, separator)):
            return _header([comment], 0, lines[at:], at, separator, path)
    if first is None:
        raise StarglotError("the file has no line with column names", where=path, todo="fetch it again")
    separator = record or _separator(first)
    if separator is None:
        raise StarglotError(
            "the columns are told apart by blanks alone, which a cell may hold, too",
            where=f"{path}, line {at + 1}",
            allowed="commas, semicolons, tabs or bars between columns",
            todo='write it as FITS: python -c "from astropy.table import Table; '
            "Table.read('FILE', format='ascii').write('stars.fits')\"",
        )
    used = _cells(Separated(separator), lines, at, path)[1]
    return _header(lines, at, lines[at + used :], at + used, separator, path)


def _header(lines: list[bytes], at: int, below: list[bytes], above: int, separator: bytes, path: Path) -> Header:
    """The header at ``lines[at]``; a name more or less where only the rows, or only the names, end in a separator."""
    cells, _ = _cells(Separated(separator), lines, at, path)
    names = [_decoded(cell) for cell in cells]
    quoted = all(re.fullmatch(rb'\s*".*"\s*', cell) for cell in lines[at].split(separator))
    separated = Separated(separator, len(names), quoted)
    row = next((k for k, line in enumerate(below) if line.strip(b" \t" + separator)), None)
    if row is not None:
        first = _cells(separated, below, row, path, above)[0]
        if len(first) == len(names) + 1 and not first[-1].strip():
            names.append("")
        elif len(first) == len(names) - 1 and not names[-1]:
            names.pop()
    return Header(names, Separated(separator, len(names), quoted), above)


def _cells(separated: Separated, lines: list[bytes], at: int, path: Path, above: int = 0) -> tuple[list[bytes], int]:
    try:
        record = separated.record(lines, at, last=True)
        assert record is not None, "nothing follows the file's end"
        return record
    except BadRecord as bad:
        if separated.may_be_unquoted:
            return lines[at].split(separated.separator), 1
        raise StarglotError(bad.what, where=f"{path}, line {above + at + bad.line + 1}", todo=MEND) from None


def _separator(line: bytes) -> bytes | None:
    """What stands between the cells of a header; a comma for a single name, None between words."""
    bare = re.sub(rb'"[^"]*"', b"", line)
    separator = max(_SEPARATORS, key=bare.count)
    return separator if separator in bare else None if len(bare.split()) > 1 else b","


def _names(comment: bytes, first: bytes, separator: bytes) -> bool:
    """Whether a comment names the columns of a first row: as many cells, names above, numbers among those below."""
    above, below = comment.split(separator), first.split(separator)
    names = all(not _NUMBER.fullmatch(name) for name in above)
    return abs(len(above) - len(below)) <= 1 and names and any(_NUMBER.fullmatch(cell) for cell in below)


def _decoded(name: bytes) -> str:
    try:
        return name.decode().strip().strip('"')
    except UnicodeDecodeError:
        return name.decode("latin-1").strip().strip('"')
