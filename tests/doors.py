"""What docs/extending.md adds to the project, read from the page and done to a copy of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from starglot.config.load import merge

PAGE = Path(__file__).parents[1] / "docs/extending.md"
_BLOCK = re.compile(
    r'^```\w+ (?P<what>title|entries|overlay)(?:="(?P<file>.*?)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)
_ENTRY = re.compile(r"# in (\w+)$")


@dataclass(frozen=True)
class Block:
    """A block of the page: a module, entries of registries in a file, or an overlay of the configuration."""

    what: str
    file: str
    text: str


def blocks() -> list[Block]:
    """Every block of the page that is to be done."""
    return [Block(found["what"], found["file"] or "", found["text"]) for found in _BLOCK.finditer(PAGE.read_text())]


def overlay() -> dict[str, Any]:
    """All blocks of configuration together."""
    merged: dict[str, Any] = {}
    for block in blocks():
        if block.what == "overlay":
            merged = merge(merged, yaml.safe_load(block.text))
    return merged


def extend(project: Path, word: str = "") -> None:
    """Add the page's modules and entries to a copy of the project; ``word``: those alone whose text has it."""
    for block in blocks():
        path = project / block.file
        if word not in block.text or block.what == "overlay":
            continue
        if block.what == "title":
            assert not path.exists(), path
            path.write_text(block.text)
        else:
            text = path.read_text()
            for registry, entry in _entries(block.text):
                text = _inserted(text, registry, entry)
            imported = "".join(f"{line}\n" for line in block.text.splitlines() if line.startswith("from "))
            first = re.search(r"^from starglot\.", text, re.MULTILINE)
            assert first, path
            path.write_text(text[: first.start()] + imported + text[first.start() :])


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Registry and entry, a line or several."""
    entries: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if found := _ENTRY.search(line):
            entries.append((found[1], [line]))
        elif entries and not line.startswith("from "):
            entries[-1][1].append(line)
    yield from ((registry, "\n".join(lines)) for registry, lines in entries)


def _inserted(text: str, registry: str, entry: str) -> str:
    """A file's text with an entry more: at the beginning of a registry, or of the fields of a class."""
    begins = rf"^{registry}\b.*?Registry\(\s*\{{"
    if registry == "Surveys":
        begins = r'^class Surveys\(Strict\):\n    """.*?"""\n'
    found = re.search(begins, text, re.MULTILINE | re.DOTALL)
    assert found, registry
    indented = "\n".join(f"    {line}" for line in entry.splitlines())
    return f"{text[: found.end()]}\n{indented}\n{text[found.end() :]}"
