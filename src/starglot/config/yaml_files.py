"""What a YAML file says that its reader would keep to itself: keys given twice, numbers and dates that are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def yaml_faults(path: str | Path) -> list[str]:
    """A sentence for every key that stands twice in a map of a file, and every value that YAML 1.1 reads as another.

    Such are 010 (eight), 1:30 (ninety) and 2020-01-01 (a date); 1e5 is text, and is said where a number is wanted.
    Nothing of a file that is not there or is no YAML.
    """
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    return [f"{path}, line {line}: {why}" for line, why in _faults(root, (), set())] if root is not None else []


def _faults(node: Node, at: tuple[str, ...], seen: set[int]) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) in a node and all below it; ``at``: keys on the way to it."""
    if id(node) in seen:  # an alias stands for what was looked at before
        return
    seen.add(id(node))
    if isinstance(node, ScalarNode):
        yield from ((node.start_mark.line + 1, f"{'.'.join(at)}: {why}") for why in _misread(node))
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _faults(item, at, seen)
    elif isinstance(node, MappingNode):
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if isinstance(key, ScalarNode) and (key.tag, name) in first:
                before = first[key.tag, name]
                yield line, f"{'.'.join((*at, name))}: this key is given twice (first in line {before}); keep one"
            first[key.tag, name] = line
            if isinstance(key, ScalarNode):
                yield from ((line, f"{'.'.join((*at, name))}: {why}") for why in _misread(key))
            yield from _faults(value, (*at, name), seen)


def _misread(node: ScalarNode) -> Iterator[str]:
    """What is to be said of a value without quotes that YAML 1.1 reads as something else than it looks like."""
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind in ("int", "float") and ":" in text:
        yield f"YAML reads {text} as a number in base 60; put it in quotes"
    elif kind == "int" and _OCTAL.fullmatch(text):
        yield f"YAML reads {text} as {int(text.replace('_', ''), 8)} (octal); leave the zero out, or put it in quotes"
    elif kind == "timestamp":
        yield f"YAML reads {text} as a date; put it in quotes"
