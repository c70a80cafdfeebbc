"""Write the mock release."""

from pathlib import Path

from starglot.cli import parser, run
from starglot.config.models import Mock
from starglot.mock.release import write_release


def main(args):
    write_release(Path(args.out), Mock.model_validate(args.settings["mock"]))


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--out", required=True, help="folder of the release")
    run(main, command)
