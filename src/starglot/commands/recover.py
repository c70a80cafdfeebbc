"""After a run was killed: end what it left running, keep what it finished, unlock; then run it again."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from starglot.workflow.recovery import recover


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser("starglot recover", description=__doc__)
    made.add_argument("--elsewhere", action="store_true", help="the run's machine is gone: go on without asking it")
    made.add_argument("--stop", action="store_true", help="end a run that is alive here, with its jobs, first")
    made.add_argument("--quiet", action="store_true", help="say nothing when there is nothing to recover")
    return made


def run(arguments: Sequence[str]) -> None:
    """Recover the folder that one stands in; StarglotError when the run may be alive."""
    args = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="recover: %(message)s", stream=sys.stderr)
    again = recover(Path.cwd(), args.elsewhere, args.stop)
    if again:
        logging.info("done; next: %s", again)
    elif not args.quiet:
        logging.info("nothing to recover: no lock, no job, no process of a run in this folder")
