"""The labels of every cleaned spectrum that has any."""

from pathlib import Path

from starglot.cli import parser, run
from starglot.config.models import Task
from starglot.samples.labels import collect_labels
from starglot.tables import write_parquet


def main(args):
    shards = Path(args.shards).read_text(encoding="utf-8").split()
    labels = collect_labels(
        Task.model_validate(args.settings["task"]),
        selected=[Path(args.selected) / f"{shard}.parquet" for shard in shards],
        spectra=[Path(args.spectra) / f"{shard}.parquet" for shard in shards],
        match_table=Path(args.match) if args.match else None,
    )
    write_parquet(labels, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--shards", required=True, help="list of the shards")
    command.add_argument("--selected", required=True, help="folder of the selected rows")
    command.add_argument("--spectra", required=True, help="folder of the cleaned spectra")
    command.add_argument("--match", nargs="?", help="match table that brings the labels; none: the catalogue's own")
    command.add_argument("--out", required=True)
    run(main, command)
