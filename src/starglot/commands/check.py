"""Say of every external input whether it is there, with size, source and the account that it needs.

Arguments are YAML files, each laid over the one before.  The exit status is 1 when something that `run:` needs is
missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from starglot.config.load import read_config
from starglot.workflow import check


def parser() -> argparse.ArgumentParser:
    """Its arguments."""
    made = argparse.ArgumentParser(
        "starglot check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("config", nargs="+", help="config/config.yaml and overlays")
    return made


def run(arguments: Sequence[str]) -> None:
    """Print the table; StarglotError if something needed is missing."""
    inputs = check.external_inputs(read_config(*parser().parse_args(arguments).config))
    print(check.render(inputs), flush=True)
    check.require(inputs)
    print("everything that the run needs is here, or made by the run")
