"""Download base models into the local Hugging Face cache, on a node with network access.

Either those that a run needs, CONFIG being YAML files, each laid over the one before; or, with --model, the one that
a trained model stands on, at the commit that it was trained on.

Jobs and predictions are offline.  The token comes from the environment variable HF_TOKEN, or from `hf auth login`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from starglot.config.bases.outside import is_hub_id
from starglot.config.language_bases import hub_or_folder_bases
from starglot.config.load import read_config
from starglot.workflow.fetch import fetch_base


def parser() -> argparse.ArgumentParser:
    """Its arguments and options."""
    made = argparse.ArgumentParser(
        "starglot fetch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("config", nargs="*", metavar="CONFIG", help="config/config.yaml and overlays")
    made.add_argument("--model", metavar="MODEL", help="a trained model: a folder, a .zip, or hf:OWNER/NAME")
    return made


def run(arguments: Sequence[str]) -> None:
    """Fetch each base, and say where it is."""
    understood = parser()
    given = understood.parse_args(arguments)
    if bool(given.config) == bool(given.model):
        understood.error("either CONFIG or --model is needed")
    bases = _of_model(given.model) if given.model else _of_run(given.config)
    for base, revision in bases:
        print(f"{base}: {fetch_base(base, os.environ.get('HF_TOKEN'), revision)}")
    if not bases:
        print(f"{'this model' if given.model else 'this run'} needs no base model from outside")


def _of_run(files: Sequence[str]) -> list[tuple[str, str | None]]:
    return [base for base, users in hub_or_folder_bases(read_config(*files)).items() if users]


def _of_model(source: str) -> list[tuple[str, str | None]]:
    from starglot.inference.sources import folder_of
    from starglot.models.folder import read_description

    base = read_description(folder_of(source))["base"]
    return [(base["name"], base["revision"])] if base and is_hub_id(base["name"]) else []
