"""Download base models into the local Hugging Face cache, on a node with network access; jobs then run offline.

Give configuration files (fetches what their `run:` needs) or one `--base` with the `--manifest` to write, which says
what is there: the commit of a Hugging Face id, and the digests of the files that decide what the model does.
The token comes from the environment variable HF_TOKEN, or from `hf auth login`.
"""

from __future__ import annotations

import argparse
import os

from starglot import cli
from starglot.config.derive import hub_or_folder_bases
from starglot.config.load import read_config
from starglot.fetch import fetch_base
from starglot.fingerprint import memory
from starglot.models.bases import describe
from starglot.tables import write_json


def main(args: argparse.Namespace) -> None:
    """Fetch each base; write what was found where asked."""
    bases = [(args.base, args.revision or None)] if args.base else []
    if args.config:
        bases += [base for base, users in hub_or_folder_bases(read_config(*args.config)).items() if users]
    for base, revision in bases:
        folder = fetch_base(base, os.environ.get("HF_TOKEN"), revision)
        print(f"{base}: {folder}")
        if args.manifest:
            found = describe(base, memory(args.state), revision)
            write_json({**found, "asked": revision}, args.manifest)
    if not bases:
        print("this run needs no base model from outside")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="*", help="config/config.yaml and overlays")
    parser.add_argument("--base", help="a Hugging Face id or a folder")
    parser.add_argument("--revision", nargs="?", help="with --base: branch, tag or commit (empty: main)")
    parser.add_argument("--manifest", help="with --base: JSON file that says what is there")
    parser.add_argument("--state", default="state/bases", help="with --manifest: folder beside the memory of digests")
    cli.run(main, parser)
