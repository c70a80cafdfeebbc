"""One plate's spectra, cleaned; or rejected, with the reason."""

import logging
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.models import Recipe
from starglot.hashing import digest_of
from starglot.sealed import seal
from starglot.surveys.finished import hand_out, is_finished, new_place, place_of
from starglot.surveys.shards import clean_shard, spectra_metadata
from starglot.tables import table_digest, write_digests, write_parquet


def main(args):
    selected = pq.read_table(args.selected)
    identity = digest_of([args.settings, args.root, args.code, table_digest(selected)])
    place, digests = place_of(args.spectra, identity), Path(args.digests)
    if is_finished(place):
        logging.info("this plate was finished by a job that was broken off with others: handing back %s", place)
    else:
        new_place(place)
        clean_to(place, selected, args)
        seal(place)
    hand_out(place, digests.parent, last=digests.name)


def clean_to(place, selected, args):
    """Clean the selected rows' spectra, and write the outputs under their names in the folder ``place``."""
    recipe = Recipe.model_validate(args.settings["recipe"])
    spectra, rejected = clean_shard(selected, Path(args.root), recipe, workers=args.workers)
    files = [place / Path(path).name for path in (args.spectra, args.rejected)]
    write_parquet(spectra, files[0], spectra_metadata(recipe))
    write_parquet(rejected, files[1])
    rows = table_digest(selected.drop_columns(["path", "size", "mtime_ns"]))
    write_digests(files, place / Path(args.digests).name, {"rows": rows})


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--selected", required=True)
    command.add_argument("--root", required=True, help="root of the spectra")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--code", required=True, help="hash of the code that runs")
    command.add_argument("--spectra", required=True)
    command.add_argument("--rejected", required=True)
    command.add_argument("--digests", required=True, help="small file: digests of both, and of the rows they are of")
    run(main, command)
