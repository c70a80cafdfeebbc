"""Which files of spectra there are: those in a folder, or those that a list names, with their sizes and times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from starglot.errors import StarglotError

#: Endings of files that are taken for spectra in a folder; each may be packed (.gz).
ENDINGS = (".fits", ".fit", ".csv", ".ecsv", ".parquet")
#: Endings of lists that are tables with a column `file`.
TABLES = (".csv", ".fits", ".parquet")

#: A list of files: place in it; name as it is given out; path; size in bytes and time (ns), null for a file that is
#: not there; class of the catalogue, '' where it is not known.
_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("file", pa.string()),
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime", pa.int64()),
        ("class", pa.string()),
    ]
)


def write_list(spectra: Path, out: Path, shard_size: int) -> None:
    """Write the files as Parquet, a row group for each ``shard_size`` of them; memory does not grow with them.

    spectra: a folder, whose files are taken by their names' endings, with those in folders below it, in the order of
    their names; or a list: a text file with a path a line, or a table (CSV, FITS, Parquet) with a column ``file``,
    and perhaps ``class``, the catalogue's class of each.  Paths in a list start at its folder.  A file that a list
    names is listed whether it is there or not.
    Raises StarglotError when there is no such folder or list, it cannot be read, or names no file.
    """
    rows = iter(_in_folder(spectra) if spectra.is_dir() else _in_list(spectra))
    root, number = spectra if spectra.is_dir() else spectra.parent, 0
    with pq.ParquetWriter(out, _SCHEMA, compression="zstd") as writer:
        while some := list(islice(rows, shard_size)):
            columns = [_row(number + at, root, name, letter) for at, (name, letter) in enumerate(some)]
            writer.write_table(pa.Table.from_pylist(columns, schema=_SCHEMA), row_group_size=shard_size)
            number += len(some)
    if not number:
        raise StarglotError(
            "there is no file of a spectrum",
            where=spectra,
            allowed=f"in a folder: {', '.join(ENDINGS)}, each packed (.gz) or not; in a list: a path a line",
            todo="name the folder or the list that has them",
        )


def _row(number: int, root: Path, name: str, letter: str) -> dict[str, object]:
    path = root / name
    row = {"number": number, "file": name, "path": str(path), "class": letter}
    try:
        found = path.stat()
    except OSError:
        return row
    return {**row, "size": found.st_size, "mtime": found.st_mtime_ns}


def _in_folder(folder: Path) -> Iterator[tuple[str, str]]:
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.removesuffix(".gz").endswith(ENDINGS) and not name.startswith("."):
                yield str((Path(above) / name).relative_to(folder)), ""


def _in_list(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        raise StarglotError(
            "there is no such folder or list of spectra",
            where=path,
            allowed="a folder; a text file with a path a line; a table (CSV, FITS, Parquet) with a column file",
            todo="correct the path",
        )
    if path.suffix in TABLES:
        yield from _in_table(path)
        return
    try:
        with path.open(encoding="utf-8") as lines:
            yield from ((line.strip(), "") for line in lines if line.strip())
    except UnicodeDecodeError as error:
        raise StarglotError(
            "this is not a list of files", where=path, allowed="text, a path a line", todo="name a folder or a list"
        ) from error


def _in_table(path: Path) -> Iterator[tuple[str, str]]:
    from astropy.table import Table

    try:
        table = Table.from_pandas(pq.read_table(path).to_pandas()) if path.suffix == ".parquet" else Table.read(path)
    except Exception as error:  # astropy's guesses end in nearly anything
        raise StarglotError(
            f"the list of files cannot be read: {' '.join(str(error).split())[:200]}",
            where=path,
            todo="write it as CSV, FITS or Parquet, with a column file",
        ) from error
    if "file" not in table.colnames:
        raise StarglotError(
            "the list has no column file",
            where=path,
            allowed=f"a column file, and perhaps class; it has {', '.join(table.colnames[:8])}",
            todo="rename the column with the paths",
        )
    letters = table["class"] if "class" in table.colnames else [""] * len(table)
    for name, letter in zip(table["file"], letters, strict=True):
        yield _text(name), _text(letter)


def _text(value: object) -> str:
    text = value.decode() if isinstance(value, bytes) else str(value)
    return "" if text in ("--", "None", "nan") else text.strip()
