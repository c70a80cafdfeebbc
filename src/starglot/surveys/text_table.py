"""Survey catalogues as text: CSV, and LAMOST's own bar-separated tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from starglot.surveys.catalog import Catalog


class TextCatalog(Catalog):
    def __init__(self, path: Path, plain: Path):
        self._plain = plain
        with open(plain, encoding="utf-8") as handle:
            header = handle.readline()
        # LAMOST's own CSV catalogues are separated by bars.
        self._separator = "|" if header.count("|") > header.count(",") else ","
        super().__init__(path, [name.strip().strip('"') for name in header.rstrip("\r\n").split(self._separator)])

    def chunks(self, names: Sequence[str]) -> Iterator[Mapping[str, np.ndarray]]:
        reader = pacsv.open_csv(
            self._plain,
            # Everything is read as text: ids keep every digit, and placeholders are dealt with in one place.
            read_options=pacsv.ReadOptions(column_names=self.names, skip_rows=1, block_size=1 << 25),
            parse_options=pacsv.ParseOptions(delimiter=self._separator),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(names), column_types=dict.fromkeys(names, pa.string())
            ),
        )
        for batch in reader:
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in names}

    def element_order(self, symbol: str) -> list[str] | None:
        """A CSV file has one table and so no such order."""
        return None
