"""Make sure that a base model is in the local Hugging Face cache, and write down what is there.

The token comes from the environment variable HF_TOKEN, or from `hf auth login`.
"""

from __future__ import annotations

import argparse
import os

from starglot import cli
from starglot.fingerprint import memory
from starglot.models.bases import describe
from starglot.tables import write_json
from starglot.workflow.fetch import fetch_base


def main(args: argparse.Namespace) -> None:
    """Fetch the base; write the commit of a Hugging Face id, and digests of the files that decide what it does."""
    revision = args.revision or None
    print(f"{args.base}: {fetch_base(args.base, os.environ.get('HF_TOKEN'), revision)}")
    write_json({**describe(args.base, memory(args.state), revision), "asked": revision}, args.manifest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="a Hugging Face id or a folder")
    parser.add_argument("--revision", nargs="?", help="branch, tag or commit (empty: main)")
    parser.add_argument("--manifest", required=True, help="JSON file that says what is there")
    parser.add_argument("--state", required=True, help="folder beside the memory of digests")
    cli.run(main, parser)
