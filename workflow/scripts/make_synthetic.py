"""Write synthetic spectra of the mock's engine as a grid."""

import argparse

from starglot.cli import parser, run
from starglot.mock.grid import synthetic_grid, write_grid
from starglot.tables import write_digests


def main(args: argparse.Namespace) -> None:
    settings = args.settings
    write_grid(synthetic_grid(settings["spectra"], tuple(settings["snr"]), settings["seed"]), args.grid)
    write_digests([args.grid], args.digests)


if __name__ == "__main__":
    command = parser(__doc__)
    command.add_argument("--grid", required=True)
    command.add_argument("--digests", required=True, help="small file for the grid's digest")
    run(main, command)
