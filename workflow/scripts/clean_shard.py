"""One plate's spectra, cleaned; or rejected, with the reason."""

from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.models import Recipe
from starglot.surveys.shards import clean_shard, spectra_metadata
from starglot.tables import write_parquet


def main(args):
    recipe = Recipe.model_validate(args.settings["recipe"])
    spectra, rejected = clean_shard(pq.read_table(args.selected), Path(args.root), recipe, workers=args.workers)
    write_parquet(rejected, args.rejected)
    write_parquet(spectra, args.spectra, spectra_metadata(recipe))


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--selected", required=True)
    command.add_argument("--root", required=True, help="root of the spectra")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--spectra", required=True)
    command.add_argument("--rejected", required=True)
    run(main, command)
