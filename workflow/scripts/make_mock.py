"""Write the mock release."""

from pathlib import Path

from starglot.cli import parser, run
from starglot.config.models import Mock
from starglot.mock.release import write_release


def main(args):
    write_release(Path(args.truth).parent, Mock.model_validate(args.settings["mock"]))


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--truth", required=True, help="the release is written to this file's folder")
    run(main, command)
