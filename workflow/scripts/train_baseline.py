"""A baseline on one sample."""

from pathlib import Path

import pyarrow.parquet as pq
from pydantic import TypeAdapter

from starglot.cli import parser, run
from starglot.config.models import Model, Task
from starglot.models.baselines import train_baseline
from starglot.surveys.index import require_shards
from starglot.tables import write_json
from starglot.training.finished import digests, versions


def main(args):
    spectra = Path(args.index).parent
    require_shards(args.index, spectra)
    manifest = train_baseline(
        TypeAdapter(Model).validate_python(args.settings["model"]),
        Task.model_validate(args.settings["task"]),
        sample=pq.read_table(args.sample),
        labels=pq.read_table(args.labels),
        shard_path=lambda shard: spectra / f"{shard}.parquet",
        out=Path(args.manifest).parent,
    )
    about = {
        "inputs": digests([Path(args.sample), Path(args.labels)]),
        "settings": args.settings,
        "versions": versions(),
    }
    write_json({**manifest, **about}, args.manifest)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--manifest", required=True)
    run(main, command)
