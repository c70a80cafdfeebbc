"""Say of every external input whether it is there, with size, source and the account that it needs.

Arguments are YAML files, each laid over the one before.  The exit status is 1 when something that `run:` needs is
missing.
"""

from __future__ import annotations

import argparse

from starglot import check, cli
from starglot.config.load import read_config


def main(args: argparse.Namespace) -> None:
    """Print the table, then fail if something needed is missing."""
    inputs = check.external_inputs(read_config(*args.config))
    print(check.render(inputs), flush=True)
    check.require(inputs)
    print("everything that the run needs is here, or made by the run")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", help="config/config.yaml and overlays")
    cli.run(main, parser)
