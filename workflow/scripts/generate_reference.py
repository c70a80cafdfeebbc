"""Write config/schema.json and docs/reference.md from the typed configuration models."""

from __future__ import annotations

import argparse
from pathlib import Path

from starglot import cli
from starglot.config import reference
from starglot.tables import write_text


def main(args: argparse.Namespace) -> None:
    """Write both files below the project's root."""
    write_text(reference.schema_json(), args.root / "config" / "schema.json")
    write_text(reference.reference_markdown(), args.root / "docs" / "reference.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    cli.run(main, parser)
