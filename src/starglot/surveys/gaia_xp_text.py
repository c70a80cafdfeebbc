"""Gaia's tables as text: CSV and ECSV, compressed or not, which may have hundreds of MB."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from starglot.formats.file_kind import opener_of


def text_batches(path: Path, as_written: bool = False) -> Iterator[pa.RecordBatch]:
    """The rows of a file, batch by batch; as_written: every value is left the text that it is."""
    opened = opener_of(path.open("rb").read(8)) or (lambda path: path.open("rb"))
    with opened(path) as lines:
        comments, names = 0, b""
        for names in lines:
            if not names.startswith(b"#"):
                break
            comments += 1
    types = {"source_id": pa.int64()}
    if as_written:
        types = dict.fromkeys(next(csv.reader([names.decode()]), []), pa.string())
    with opened(path) as content:
        yield from pyarrow.csv.open_csv(
            content,
            read_options=pyarrow.csv.ReadOptions(skip_rows=comments, block_size=8 << 20),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types),
        )
