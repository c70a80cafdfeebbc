"""List the spectrum files of the selection, to download them: a survey is far larger than what a run needs of it.

Arguments are YAML files, each laid over the one before.  The selection is made from the catalogues alone:

    snakemake --cores all --configfile my.yaml -- results/catalog/candidates/lamost.parquet

Each line of the list is a spectrum: obsid, shard, the file below the root of the spectra, and whether it is there.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from starglot.config.load import read_config
from starglot.config.queries import viewed_surveys
from starglot.config.root import Config
from starglot.errors import StarglotError
from starglot.tables import atomic_path

COLUMNS = ("obsid", "shard", "file", "there")


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot files", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("config", nargs="+", help="config/config.yaml and overlays")
    made.add_argument("--survey", help="whose spectra (where the tasks of `run:` read those of several)")
    made.add_argument("--missing", action="store_true", help="only those that are not there")
    made.add_argument("--out", type=Path, required=True, metavar="LIST.csv", help="file to write")
    return made


def run(arguments: Sequence[str]) -> None:
    """Write the list; say on stderr how many files there are and how many are missing."""
    given = parser().parse_args(arguments)
    config = read_config(*given.config)
    survey = _survey(config, given.survey)
    rows = selected_files(config, survey)
    missing = sum(row["there"] == "no" for row in rows)
    with atomic_path(given.out) as partial, open(partial, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(row for row in rows if row["there"] == "no" or not given.missing)
    root = config.surveys.with_spectra()[survey].spectra
    print(f"{len(rows):,} spectra are selected, {missing:,} of their files are not in {root}", file=sys.stderr)


def _survey(config: Config, named: str | None) -> str:
    viewed = viewed_surveys(config, config.run.tasks)
    if named is None and len(viewed) == 1:
        return viewed[0]
    if named not in viewed:
        raise StarglotError(
            "it is not said whose spectra" if named is None else f"no task of `run:` reads spectra of {named}",
            where="--survey",
            allowed=", ".join(viewed),
            todo="name one of these",
        )
    return named


def selected_files(config: Config, survey: str) -> list[dict[str, object]]:
    """The spectra that the samples of `run:` may draw on (COLUMNS), by shard and file.

    Raises StarglotError before the selection has been made.
    """
    from starglot.surveys.registry import FILES

    path = Path(config.results) / "catalog" / "candidates" / f"{survey}.parquet"
    if not path.is_file():
        raise StarglotError(
            "nothing has been selected yet",
            where=path,
            todo=f"select first, which needs only the catalogues: snakemake --cores all --configfile ... -- {path}",
        )
    candidates = pq.read_table(path)
    found = FILES[survey](candidates, Path(config.surveys.with_spectra()[survey].spectra))
    rows = zip(
        candidates["obsid"].to_pylist(),
        candidates["shard"].to_pylist(),
        found["file"].to_pylist(),
        found["size"].to_pylist(),
        strict=True,
    )
    listed = [
        dict(zip(COLUMNS, (obsid, shard, file, "no" if size is None else "yes"), strict=True))
        for obsid, shard, file, size in rows
    ]
    return sorted(listed, key=lambda row: (row["shard"], row["file"], row["obsid"]))
