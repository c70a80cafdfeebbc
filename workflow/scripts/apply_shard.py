"""A model's answers to one shard of a survey: rows of a catalogue, every selected spectrum once.

A shard that was answered before is handed back; the same holds for those that had finished in a submission of several
that is killed, of which Snakemake removes what all jobs had made.
"""

import argparse
import logging
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.hashing import file_digest
from starglot.inference.catalogue import answer_part
from starglot.inference.flagged import FlaggedModel
from starglot.inference.shards import shard_part, shard_stars
from starglot.store import FINISHED, copy_out, is_whole, making, workplace
from starglot.tables import read_digests, table_digest, write_with_digest


def main(args: argparse.Namespace) -> None:
    own_ids, by_class = args.settings["own_ids"], args.settings["by_class"]
    known = shard_stars(pq.read_table(args.selected), Path(args.candidates), args.shard, own_ids, by_class)
    ingredients = {
        "models": [file_digest(model) for model in args.models],
        "spectra": read_digests(args.digests),
        "stars": table_digest(known),
        "code": args.code_hash,
    }
    place, out = workplace(args.state, ingredients) / FINISHED, Path(args.out)
    if is_whole(place):
        logging.info("this was done before with the same model, spectra and code: handing back %s", place)
    else:
        model = FlaggedModel(Path(args.models[0]).parent)
        rows = answer_part(model, shard_part(known, own_ids, Path(args.spectra), Path(args.rejected)))
        with making(place) as made:
            write_with_digest(rows, made / out.name)
        answered = rows.filter(pc.equal(rows["rejection"], ""))
        logging.info("%d of %d spectra answered", len(answered), len(rows))
    copy_out(place, out.parent, last=f"{out.name}.sha256", link=True)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--models", nargs="+", required=True, help="model.json of the model, then of its members")
    command.add_argument("--shard", required=True)
    command.add_argument("--selected", required=True)
    command.add_argument("--candidates", required=True, help="the survey's rows")
    command.add_argument("--spectra", required=True, help="cleaned spectra of the shard")
    command.add_argument("--rejected", required=True)
    command.add_argument("--digests", required=True, help="digests of both")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of what names the work")
    command.add_argument("--state", required=True, help="folder of finished work")
    command.add_argument("--out", required=True, help="rows of the catalogue; their digest comes beside")
    run(main, command)
