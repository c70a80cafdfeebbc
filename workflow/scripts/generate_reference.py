"""Write config/schema.json and the reference's pages from the typed configuration models, and the rebuild table."""

from __future__ import annotations

import argparse
from pathlib import Path

from starglot import cli
from starglot.config import reference
from starglot.tables import write_text
from starglot.workflow.rebuilds import table


def main(args: argparse.Namespace) -> None:
    """Write the files below the project's root."""
    write_text(reference.schema_json(), args.root / "config" / "schema.json")
    pages = {args.root / "docs" / name: text for name, text in reference.reference_pages().items()}
    for path in set((args.root / "docs" / "reference").glob("*.md")) - set(pages):  # of a key that is no more
        path.unlink()
    for path, text in pages.items():
        write_text(text, path)
    rebuilds = args.root / "docs" / "rebuilds.md"
    rows = table.read_table(args.root / "tests" / "workflow" / "rebuilds.yaml")
    write_text(table.with_table(rebuilds.read_text(encoding="utf-8"), rows), rebuilds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    cli.run(main, parser)
