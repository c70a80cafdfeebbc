"""Every error of ours says what to do next, and its tests would miss it: a user is not left with a verdict."""

import ast
from pathlib import Path

import pytest

from refusals import refused
from starglot.errors import StarglotError


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


@pytest.mark.parametrize(
    "fields",
    [
        {"todo": "run: snakemake qa"},
        {"todo": "run: snakemake qa", "where": "qa/17.parquet"},
        {"where": "qa/7.parquet"},
        {"todo": "run: snakemake clean", "where": "qa/7.parquet"},
    ],
    ids=["no place", "another place", "no next step", "another next step"],
)
def test_a_test_of_an_error_sees_what_is_missing(fields: dict[str, str]) -> None:
    whole = StarglotError("7 spectra are not there", where="qa/7.parquet", todo="run: snakemake qa")
    with refused(7, where="7.parquet", todo="snakemake qa"):
        raise whole
    with pytest.raises(AssertionError), refused(7, where="7.parquet", todo="snakemake qa"):
        raise StarglotError("7 spectra are not there", **fields)
    with pytest.raises(AssertionError), refused(17):
        raise whole
