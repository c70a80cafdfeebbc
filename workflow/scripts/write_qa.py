"""One sample as question-and-answer files."""

from pathlib import Path

import pyarrow.parquet as pq

from starglot.cli import parser, run
from starglot.config.models import Encoding, Task, Wavelength
from starglot.language.qa import write_qa


def main(args):
    settings = args.settings
    write_qa(
        Path(args.out),
        Task.model_validate(settings["task"]),
        Encoding.model_validate(settings["encoding"]),
        Wavelength.model_validate(settings["wavelength"]),
        sample=pq.read_table(args.sample),
        labels=pq.read_table(args.labels),
        shard_path=lambda shard: Path(args.spectra) / f"{shard}.parquet",
        files=settings["files"],
        seed=settings["seed"],
        workers=args.workers,
    )


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--spectra", required=True, help="folder of the cleaned spectra")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--out", required=True, help="folder of the files")
    run(main, command)
