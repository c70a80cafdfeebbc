"""One shard's spectra, cleaned; or rejected, with the reason.

Shards share a submission.  When one is killed, Snakemake removes what all jobs in it had made, those that had
finished, too.  A shard's files are therefore held beside the spectra until all shards are done, under second names of
the same files (hard links, which take no room); asked for again, they get their proper names again.
"""

import argparse
import logging
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.recipes import Recipe
from starglot.spectra.shard import clean_shard, spectra_metadata
from starglot.store import copy_out, held_place, is_whole, keep, new_folder
from starglot.surveys.registry import SPECTRA
from starglot.tables import read_digests, table_digest, write_digests, write_parquet


def main(args: argparse.Namespace) -> None:
    selected = pq.read_table(args.selected)
    ingredients = {
        "settings": args.settings,
        "root": args.root,
        "rows": table_digest(selected),
        "code": args.code_hash,
    }
    place, digests = held_place(args.spectra, ingredients), Path(args.digests)
    if is_whole(place):
        logging.info("this shard was finished by a job that was broken off with others: handing back %s", place)
    else:
        shutil.rmtree(place.parent, ignore_errors=True)  # of a killed job, or of other settings
        made = new_folder(place.parent)
        clean_to(made, selected, args)
        keep(made, place, known=read_digests(made / digests.name))
    copy_out(place, digests.parent, last=digests.name, link=True)


def clean_to(place: Path, selected: pa.Table, args: argparse.Namespace) -> None:
    """Clean the selected rows' spectra, and write the outputs under their names in the folder ``place``."""
    recipe = Recipe.model_validate(args.settings["recipe"])
    spectra, rejected = clean_shard(selected, Path(args.root), recipe, SPECTRA[args.survey], args.workers)
    files = [place / Path(path).name for path in (args.spectra, args.rejected)]
    write_parquet(spectra, files[0], spectra_metadata(recipe))
    write_parquet(rejected, files[1])
    write_digests(files, place / Path(args.digests).name)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--survey", required=True, choices=sorted(SPECTRA))
    command.add_argument("--selected", required=True)
    command.add_argument("--root", required=True, help="root of the spectra")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--code-hash", required=True, help="hash of the code that runs")
    command.add_argument("--spectra", required=True)
    command.add_argument("--rejected", required=True)
    command.add_argument("--digests", required=True, help="small file: digests of both")
    run(main, command)
