"""What the training spectra of a sample look like: the region outside of which a model's answers are flagged."""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.tasks import Task
from starglot.models.domain import save_domain
from starglot.samples.domain import domain_of_sample
from starglot.surveys.index import require_shards


def main(args: argparse.Namespace) -> None:
    spectra = Path(args.index).parent
    require_shards(args.index, spectra)
    domain, facts = domain_of_sample(
        Task.model_validate(args.settings["task"]),
        pq.read_table(args.sample),
        pq.read_table(args.labels),
        lambda shard: spectra / f"{shard}.parquet",
    )
    save_domain(domain, args.out, facts)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--out", required=True)
    run(main, command)
