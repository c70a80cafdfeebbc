"""One plate's spectra, cleaned; or rejected, with the reason."""

from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.models import Recipe
from starglot.surveys.shards import clean_shard, spectra_metadata
from starglot.tables import table_digest, write_digests, write_parquet


def main(args):
    recipe = Recipe.model_validate(args.settings["recipe"])
    selected = pq.read_table(args.selected)
    spectra, rejected = clean_shard(selected, Path(args.root), recipe, workers=args.workers)
    write_parquet(rejected, args.rejected)
    write_parquet(spectra, args.spectra, spectra_metadata(recipe))
    rows = table_digest(selected.drop_columns(["path", "size", "mtime_ns"]))
    write_digests([args.spectra, args.rejected], args.digests, {"rows": rows})


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--selected", required=True)
    command.add_argument("--root", required=True, help="root of the spectra")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--spectra", required=True)
    command.add_argument("--rejected", required=True)
    command.add_argument("--digests", required=True, help="small file: digests of both, and of the rows they are of")
    run(main, command)
