"""Download the base models that a run needs into the local Hugging Face cache, on a node with network access.

Jobs are offline.  The token comes from the environment variable HF_TOKEN, or from `hf auth login`.
Arguments are YAML files, each laid over the one before.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from starglot.config.load import read_config
from starglot.config.queries import hub_or_folder_bases
from starglot.workflow.fetch import fetch_base


def run(arguments: Sequence[str]) -> None:
    """Fetch each base, and say where it is."""
    parser = argparse.ArgumentParser(
        "starglot fetch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="+", help="config/config.yaml and overlays")
    config = read_config(*parser.parse_args(arguments).config)
    bases = [base for base, users in hub_or_folder_bases(config).items() if users]
    for base, revision in bases:
        print(f"{base}: {fetch_base(base, os.environ.get('HF_TOKEN'), revision)}")
    if not bases:
        print("this run needs no base model from outside")
