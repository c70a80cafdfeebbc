"""Download base models into the local Hugging Face cache, on a node with network access; jobs then run offline.

Give configuration files (fetches what their `run:` needs) or one `--base` with the `--manifest` to write.
The token comes from the environment variable HF_TOKEN, or from `hf auth login`.
"""

from __future__ import annotations

import argparse
import os

from starglot import cli
from starglot.check import hub_or_folder_bases
from starglot.config.load import read_config
from starglot.fetch import fetch_base
from starglot.tables import write_json


def main(args: argparse.Namespace) -> None:
    """Fetch each base; write what was found where asked."""
    bases = [args.base] if args.base else []
    if args.config:
        bases += [base for base, users in hub_or_folder_bases(read_config(*args.config)).items() if users]
    for base in bases:
        folder = fetch_base(base, os.environ.get("HF_TOKEN"))
        print(f"{base}: {folder}")
        if args.manifest:
            files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
            write_json({"base": base, "revision": folder.name, "files": files}, args.manifest)
    if not bases:
        print("this run needs no base model from outside")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="*", help="config/config.yaml and overlays")
    parser.add_argument("--base", help="a Hugging Face id or a folder")
    parser.add_argument("--manifest", help="with --base: JSON file that lists what is there")
    cli.run(main, parser)
