"""The rebuild table: what each change runs, from the file that a test holds to the page that a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

#: Rule (or group of the file) to 'all', or to patterns of wildcards.
Listed = Mapping[str, Any]

#: Marks between which the table stands in docs/rebuilds.md.
BEGIN = "<!-- rebuild table: generated from tests/workflow/rebuilds.yaml -->"
END = "<!-- end of the rebuild table -->"


def read_table(path: Path) -> dict[str, Any]:
    """``groups`` (name -> rules) and ``changes`` (rows: change, title, listed, handed back, why)."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def expanded(listed: Listed, groups: Mapping[str, Listed]) -> dict[str, Any]:
    """``listed`` with every group replaced by its rules; 'all' of a rule outdoes its patterns."""
    found: dict[str, Any] = {}
    for name, which in listed.items():
        parts = expanded(groups[name], groups) if name in groups else {name: which}
        for rule, some in parts.items():
            before = found.get(rule, [])
            found[rule] = "all" if "all" in (some, before) else [*before, *some]
    return found


def markdown(table: Mapping[str, Any]) -> str:
    """The rows as a table of the docs, and the groups below it."""
    lines = ["| change | jobs listed | of these, handed back | why |", "|---|---|---|---|"]
    for row in table["changes"]:
        back = _words(row.get("handed back") or {})
        listed = _words(row["listed"])
        lines.append(f"| {row['title']} | {listed or '**nothing**'} | {back or '-'} | {row['why']} |")
    lines += ["", "| group of jobs | rules |", "|---|---|"]
    lines += [f"| *{name}* | {_words(rules)} |" for name, rules in table["groups"].items() if len(rules) > 1]
    return "\n".join(lines)


def with_table(page: str, table: Mapping[str, Any]) -> str:
    """A page with the table between its two marks."""
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n\n{markdown(table)}\n\n{END}{rest.split(END)[1]}"


def _words(listed: Listed) -> str:
    """Rules by name; groups in italics; patterns in brackets."""
    return ", ".join(_word(name, which) for name, which in listed.items())


def _word(name: str, which: Any) -> str:
    if which != "all":
        return f"{name} ({', '.join(f'`{pattern}`' for pattern in which)})"
    return f"*{name}*" if " " in name or name == "report" else name
