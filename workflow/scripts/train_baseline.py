"""A baseline on one sample."""

from pathlib import Path

import pyarrow.parquet as pq
from pydantic import TypeAdapter

from starglot.cli import parser, run
from starglot.config.models import Model, Task
from starglot.models.baselines import train_baseline
from starglot.surveys.index import require_shards
from starglot.tables import write_json
from starglot.training.finished import (
    MANIFEST,
    deliver,
    hand_back,
    new_folder,
    versions,
    workplace,
)
from starglot.training.kept import sample_identity


def main(args):
    spectra = Path(args.index).parent
    require_shards(args.index, spectra)
    settings, out = args.settings, Path(args.manifest).parent
    sample, labels = pq.read_table(args.sample), pq.read_table(args.labels)
    inputs = sample_identity(sample, labels, args.index)
    place = workplace(Path(args.state), {"settings": settings, "code": args.code, **inputs})
    if hand_back(place, out) is not None:
        return
    made = new_folder(place)
    manifest = train_baseline(
        TypeAdapter(Model).validate_python(settings["model"]),
        Task.model_validate(settings["task"]),
        sample=sample,
        labels=labels,
        shard_path=lambda shard: spectra / f"{shard}.parquet",
        out=made,
    )
    about = {"inputs": inputs, "identity": place.name, "settings": settings, "versions": versions()}
    write_json({**manifest, **about}, made / MANIFEST)
    deliver(made, place, out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--code", required=True, help="hash of the code, part of the work's identity")
    command.add_argument("--state", required=True, help="folder of finished work")
    command.add_argument("--manifest", required=True)
    run(main, command)
