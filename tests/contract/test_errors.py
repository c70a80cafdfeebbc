"""Every error of ours says what to do next: a user who meets one is not left with a verdict."""

import ast
from pathlib import Path


def raised(path: Path) -> list[ast.Call]:
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "StarglotError"]


def test_an_error_has_a_next_step_and_a_place_or_what_was_allowed(project: Path) -> None:
    found = {path: raised(path) for path in (project / "src/starglot").rglob("*.py")}
    assert sum(map(len, found.values())) > 100
    wanting = []
    for path, calls in found.items():
        for call in calls:
            given = {keyword.arg for keyword in call.keywords}
            if "todo" not in given or not given & {"where", "allowed"}:
                wanting.append(f"{path.relative_to(project)}:{call.lineno}")
    assert not wanting, "errors without a `todo`, or with neither `where` nor `allowed`"
