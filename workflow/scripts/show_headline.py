"""Headline tables on a terminal."""

import sys
from pathlib import Path

from starglot.evaluation.summary import headline_text
from starglot.evaluation.tables_io import read_table

if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(headline_text(read_table(Path(path))))
