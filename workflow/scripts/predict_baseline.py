"""A baseline's values for a prediction set."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from starglot.cli import parser, run
from starglot.config.models import Model, Task
from starglot.hashing import digest_of, file_digest
from starglot.models.baselines import predict_baseline
from starglot.samples.split import training_stars
from starglot.surveys.index import require_shards
from starglot.tables import write_with_digest
from starglot.training.finished import workplace
from starglot.training.kept import kept_table, sample_identity


def main(args):
    spectra = Path(args.index).parent
    require_shards(args.index, spectra)
    settings, labels, seen = args.settings, pq.read_table(args.labels), training_stars(args.seen)
    sample = pq.read_table(args.sample)
    rows = sample.filter(pc.equal(sample["split"], args.split))

    def predict():
        return predict_baseline(
            TypeAdapter(Model).validate_python(settings["model"]),
            Task.model_validate(settings["task"]),
            Path(args.model).parent,
            rows,
            labels=labels,
            shard_path=lambda shard: spectra / f"{shard}.parquet",
            seen=seen,
        )

    identity = {
        "settings": settings,
        "code": args.code,
        "model": file_digest(args.model),
        "seen": digest_of(sorted(seen)),
        **sample_identity(rows, labels, args.index),
    }
    write_with_digest(kept_table(workplace(Path(args.state), identity), predict), args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--sample", required=True)
    command.add_argument("--split", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--seen", nargs="+", required=True, help="samples whose training stars the model has seen")
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--code", required=True, help="hash of the code, part of the work's identity")
    command.add_argument("--state", required=True, help="folder of finished work")
    command.add_argument("--out", required=True)
    run(main, command)
