"""A baseline's values for a prediction set."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from starglot.cli import parser, run
from starglot.config.models import Model, Task
from starglot.models.baselines import predict_baseline
from starglot.samples.split import training_stars
from starglot.surveys.index import require_shards
from starglot.tables import write_with_digest


def main(args):
    spectra = Path(args.index).parent
    require_shards(args.index, spectra)
    sample = pq.read_table(args.sample)
    predictions = predict_baseline(
        TypeAdapter(Model).validate_python(args.settings["model"]),
        Task.model_validate(args.settings["task"]),
        Path(args.model).parent,
        sample.filter(pc.equal(sample["split"], args.split)),
        labels=pq.read_table(args.labels),
        shard_path=lambda shard: spectra / f"{shard}.parquet",
        seen=training_stars(args.seen),
    )
    write_with_digest(predictions, args.out)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--sample", required=True)
    command.add_argument("--split", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--seen", nargs="+", required=True, help="samples whose training stars the model has seen")
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--out", required=True)
    run(main, command)
