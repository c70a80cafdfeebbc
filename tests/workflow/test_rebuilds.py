"""The rebuild table: what each change rebuilds is what rebuilds.yaml says, job by job."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import yaml
from rebuild_changes import CHANGES, CODE, configs, snakemake

from starglot.rebuilds.table import expanded, read_table

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
FILE = read_table(ROOT / "tests/workflow/rebuilds.yaml")
ROWS = FILE["changes"]

#: Rules that keep finished work.
DEAR = set(expanded({"everything dear": "all"}, FILE["groups"]))

Rows = list[dict[str, Any]]
Jobs = set[tuple[str, str]]


def dear_of(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """What a column of a row says of the dear rules."""
    return {rule: which for rule, which in expanded(row.get(column) or {}, FILE["groups"]).items() if rule in DEAR}


def tried_together() -> list[Rows]:
    """Rows that list dear jobs, in as few runs of snakemake as can tell them apart.

    Changes that make nothing dear anew are all made to one project: had one of them reached a dear job, that job
    would not hand its work back.  Of the others, those go together that have no dear rule in common.
    """
    rows = [row for row in ROWS if dear_of(row, "listed")]
    free = [row for row in rows if dear_of(row, "listed") == dear_of(row, "handed back")]
    groups = [free]
    for row in (row for row in rows if row not in free):
        apart = (
            one for one in groups[1:] if not any(dear_of(row, "listed").keys() & dear_of(o, "listed") for o in one)
        )
        group = next(apart, None)
        if group is None:
            groups.append(group := [])
        group.append(row)
    return groups


def named(rows: Rows) -> str:
    """The changes of some rows."""
    return "+".join(row["change"] for row in rows)


class Planner:
    """Processes that plan runs of snakemake (planner.py), two at a time."""

    def __init__(self) -> None:
        self.idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        script = str(ROOT / "tests/workflow/planner.py")
        self.all = [
            subprocess.Popen(
                [sys.executable, script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        for each in self.all:
            self.idle.put(each)

    def jobs(self, folder: Path, arguments: Iterable[str] = ()) -> Jobs:
        """(rule, wildcards) of the jobs that snakemake would run."""
        process = self.idle.get()
        try:
            asked = {"folder": str(folder), "arguments": [*arguments, "--configfile", *configs(folder)]}
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        finally:
            self.idle.put(process)
        assert "jobs" in answer, answer
        return {(rule, wildcards) for rule, wildcards in answer["jobs"]}

    def close(self) -> None:
        for each in self.all:
            each.stdin.close()
            each.wait()


@pytest.fixture(scope="module")
def planner():
    planner = Planner()
    yield planner
    planner.close()


@pytest.fixture(scope="module")
def settled(mini, tmp_path_factory):
    """The mini's results beside its release as files of one's own, run to the report in the documented steps."""
    folder = tmp_path_factory.mktemp("settled") / "project"
    folder.mkdir()
    for part in CODE:
        source = ROOT / part
        shutil.copytree(source, folder / part) if source.is_dir() else shutil.copy(source, folder / part)
    for part in ("results", ".snakemake"):
        shutil.copytree(mini.folder / part, folder / part)
    shutil.move(folder / "results/mock", folder / "data")
    shutil.copy(mini.folder / "mini.yaml", folder)
    surveys = yaml.safe_load((folder / "mini.yaml").read_text())["surveys"]
    own = yaml.safe_dump({"mock": None, "surveys": surveys}).replace("results/mock", "data")
    (folder / "own.yaml").write_text(own)
    said = "".join(snakemake(folder, "--", target) for target in ("inventory", "clean", "all"))
    return folder, said


@pytest.fixture(scope="module")
def planned(settled, planner, tmp_path_factory, request):
    """Changes (of the tests that were asked for) -> the project after them, and the jobs that are then listed."""
    called = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = {named(params["rows"]): params["rows"] for params in called if "rows" in params}

    def plan(rows):
        folder = tmp_path_factory.mktemp(rows[0]["change"]) / "project"
        shutil.copytree(settled[0], folder, symlinks=True, copy_function=_copy)
        arguments = [word for row in rows for word in CHANGES[row["change"]](folder) or []]
        return folder, planner.jobs(folder, arguments), arguments

    with ThreadPoolExecutor(2) as pool:
        return {changes: pool.submit(plan, rows) for changes, rows in asked.items()}


def _copy(source: str, target: str) -> None:
    """Code and records are copied, large or many files linked: a change replaces files, and writes into none."""
    if f"{os.sep}results{os.sep}" in source or f"{os.sep}data{os.sep}" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def universe(settled, planner):
    """All jobs of the settled project."""
    jobs = planner.jobs(settled[0], ["--forceall"])
    assert len(jobs) > 50
    return jobs


def expected(listed: Mapping[str, object], known: Jobs, first: str) -> Jobs:
    """The jobs that a row of the table stands for."""
    found: Jobs = set()
    for rule, which in expanded(listed, FILE["groups"]).items():
        mine = {wildcards for name, wildcards in known if name == rule}
        if which == "all":
            found |= {(rule, wildcards) for wildcards in mine}
        else:
            for pattern in which:
                pattern = re.sub(r"\bfirst$", first, pattern)
                found |= {(rule, name) for name in fnmatch.filter(mine, pattern)} or {(rule, pattern)}
    return found


def test_there_are_enough_changes_each_with_its_reason():
    assert len(ROWS) >= 30 and len({row["change"] for row in ROWS}) == len(ROWS)
    assert {row["change"] for row in ROWS} == set(CHANGES)
    assert all(row["title"] and row["why"] for row in ROWS)


def test_survey_files_that_moved_are_read_again_and_nothing_dear_runs(settled):
    _, said = settled
    ran = set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", said, re.MULTILINE))
    assert {"read_survey", "inventory", "clean_shard", "build_report"} <= ran
    assert not ran & (DEAR | {"draw_sample", "write_qa"})


@pytest.mark.parametrize("rows", [[row] for row in ROWS], ids=named)
def test_a_change_lists_what_the_table_says(rows, planned, universe):
    folder, listed, _ = planned[named(rows)].result()
    first = sorted((folder / "results/catalog/selected/lamost").glob("*.parquet"))[0].stem
    assert sorted(listed) == sorted(expected(rows[0]["listed"], universe | listed, first))


@pytest.mark.parametrize("rows", tried_together(), ids=named)
def test_of_the_jobs_listed_these_hand_their_work_back(rows, planned, universe):
    """All that should be handed back, and of what is made anew a job of each rule."""
    folder, listed, arguments = planned[named(rows)].result()
    logs = folder / "results/logs"
    shutil.rmtree(logs)
    dear = sorted((rule, name) for rule, name in listed if rule in DEAR)
    should = {job for row in rows for job in expected(row.get("handed back") or {}, universe | listed, "")}
    # The last of each rule: its model starts from no other.
    anew = {rule: name for rule, name in dear if (rule, name) not in should}
    tried = {*should, *anew.items()}
    assert should <= set(dear) and tried
    snakemake(folder, *arguments, "--", *(f"results/{made(rule, name)}" for rule, name in sorted(tried)))
    assert all(_log(logs, rule, name) for rule, name in tried)
    back = {(rule, name) for rule, name in tried if "handing back" in _log(logs, rule, name)}
    assert sorted(back) == sorted(should)


def made(rule: str, wildcards: str) -> str:
    """What a job of a dear rule makes, under results/."""
    path = wildcards.replace(" ", "/")
    if rule == "build_base":
        return f"bases/{path}/manifest.json"
    return f"models/{path}/manifest.json" if rule.startswith("train_") else f"predictions/{path}.raw.parquet"


def _log(logs: Path, rule: str, wildcards: str) -> str:
    """The log of one job."""
    path = logs.joinpath(rule, *wildcards.split()).with_suffix("") if wildcards else logs / rule
    return Path(f"{path}.log").read_text()
