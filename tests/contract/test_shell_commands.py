"""No value reaches a shell unquoted: names, paths and settings come from catalogues and from users."""

from __future__ import annotations

import ast
import io
import re
import string
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
RULES = [PROJECT / "Snakefile", *sorted((PROJECT / "rules").glob("*.smk"))]

#: What may stand in a command without :q, and why.
ALLOWED = {"threads": "a whole number that Snakemake has counted itself"}


def commands(text: str) -> Iterator[str]:
    """The command of every `shell:` in a Snakefile; raises ValueError for one that is not of plain literals."""
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT)
    ]
    for at, token in enumerate(tokens):
        if (token.string, tokens[min(at + 1, len(tokens) - 1)].string) != ("shell", ":"):
            continue
        parts = []
        for part in tokens[at + 2 :]:
            if part.type != tokenize.STRING:
                break
            if not re.match("['\"]", part.string):
                raise ValueError(f"line {part.start[0]}: a shell command of another kind of text: {part.string}")
            parts.append(ast.literal_eval(part.string))
        if not parts:
            raise ValueError(f"line {token.start[0]}: a shell command that is not a text")
        yield "".join(parts)


def unquoted(command: str) -> list[str]:
    """What a shell command takes in without quoting it."""
    fields = [(name, form) for _, name, form, _ in string.Formatter().parse(command) if name is not None]
    return [name for name, form in fields if form != "q" and name not in ALLOWED]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_value_in_a_shell_command_is_quoted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = list(commands(text))
    assert len(found) == len(re.findall(r"^\s+shell:", text, re.M))
    for command in found:
        assert not unquoted(command), command
        # Within quotes of the command's own, a quoted value would be bare.
        outside = re.sub(r"'\{\{\}\}'", "", command)
        assert "'" not in outside and '"' not in outside and "`" not in outside, command


def test_no_rule_runs_a_command_in_another_way() -> None:
    for path in RULES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s+(run|script|notebook|wrapper|cwl):", text, re.M), path
        assert not re.search(r"\bshell\(|os\.system|subprocess", text), path


def test_what_is_not_quoted_is_found() -> None:
    rule = 'rule one:\n    shell:\n        "cat {input} {output:q}"\n        " {params.x} -t {threads} > {log:q}"\n'
    (command,) = commands(rule)
    assert unquoted(command) == ["input", "params.x"]
    with pytest.raises(ValueError):
        list(commands('rule one:\n    shell:\n        f"cat {path}"\n'))
    with pytest.raises(ValueError):
        list(commands("rule one:\n    shell:\n        made_elsewhere\n"))


def test_one_block_says_what_a_run_begins_with() -> None:
    """Of several `onstart` blocks Snakemake keeps the last, without a word."""
    blocks = [line for path in RULES for line in path.read_text().splitlines() if line.startswith("onstart:")]
    assert len(blocks) == 1
