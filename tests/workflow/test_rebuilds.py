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
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import yaml
from rebuild_changes import CHANGES, CODE, configs, snakemake

from starglot.workflow.rebuilds.table import expanded, read_table

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
FILE = read_table(ROOT / "tests/workflow/rebuilds.yaml")
ROWS = FILE["changes"]

#: Rules that keep finished work, and rows in which they are listed.
DEAR = set(expanded({"everything dear": "all"}, FILE["groups"]))
TRIED = [row for row in ROWS if DEAR & set(expanded(row["listed"], FILE["groups"]))]

#: A survey's file and code after which work is done anew; of other causes, `make test-long` runs the jobs.
ANEW = {"replace_file", "edit_digits"}

Row = dict[str, Any]
Rules = frozenset[str]
Jobs = set[tuple[str, str]]


def back(row: Row) -> Rules:
    """Dear rules of which jobs are listed and handed back."""
    return frozenset(DEAR & set(expanded(row.get("handed back") or {}, FILE["groups"])))


def anew(row: Row) -> Rules:
    """Dear rules of which jobs are listed and do their work."""
    listed, handed = (expanded(row.get(column) or {}, FILE["groups"]) for column in ("listed", "handed back"))
    return frozenset(rule for rule in DEAR & set(listed) if handed.get(rule) != listed[rule])


class Trial:
    """Changes made to one project, and what a run of snakemake then shows of dear rules.

    back: rules whose jobs hand their work back after all of the changes, hence after each; anew: rule -> the one
    change that makes a job of it do its work.
    """

    def __init__(self, rows: list[Row]):
        self.rows = rows
        causes = {rule: [row for row in rows if rule in anew(row)] for rule in DEAR}
        self.back = {rule for row in rows for rule in back(row) if not causes[rule]}
        self.anew = {rule: by[0] for rule, by in causes.items() if len(by) == 1}

    def __str__(self) -> str:
        return "+".join(row["change"] for row in self.rows)

    def is_long(self) -> bool:
        """Whether it shows no more than that work is done anew, by another cause than those of ANEW."""
        return not self.back and not ANEW & {row["change"] for row in self.rows}


def trials() -> list[Trial]:
    """As few trials as show of every change, and every dear rule that it lists, what the table says.

    What is handed back is seen of many changes at once: had one of them reached a job, that job would do its work.
    What is done anew is seen where no other of the changes has that effect on the rule.
    """
    calm = [row for row in TRIED if not anew(row)]
    mixed = [row for row in TRIED if anew(row) and back(row)]
    effects = {anew(row) for row in mixed}
    if not effects or frozenset.intersection(*effects):  # a rule that no trial would leave alone
        effects.add(frozenset())
    found = [Trial([*calm, *(row for row in mixed if anew(row) == effect)]) for effect in sorted(effects, key=sorted)]
    shown = {row["change"] for trial in found for row in trial.anew.values()}
    rest = [row for row in TRIED if anew(row) and row["change"] not in shown]
    apart: list[list[Row]] = []
    for row in sorted(rest, key=lambda row: len(anew(row)), reverse=True):
        free = [rows for rows in apart if not any(anew(row) & anew(other) for other in rows)]
        if free:
            free[0].append(row)
        else:
            apart.append([row])
    return [*found, *map(Trial, apart)]


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


@dataclass
class Changed:
    """A project after changes, the jobs that snakemake then lists, and its further arguments."""

    folder: Path
    listed: Jobs
    arguments: list[str]


@pytest.fixture(scope="module")
def changed(settled, planner, tmp_path_factory):
    """Makes changes to a copy of the settled project."""

    def change(*rows: Row) -> Changed:
        folder = tmp_path_factory.mktemp(rows[0]["change"]) / "project"
        shutil.copytree(settled[0], folder, symlinks=True, copy_function=_copy)
        arguments = [word for row in rows for word in CHANGES[row["change"]](folder) or []]
        return Changed(folder, planner.jobs(folder, arguments), arguments)

    return change


def wanted(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """Values of a parameter of this file's tests that were asked for."""
    mine = [item for item in request.session.items if item.path == Path(__file__) and hasattr(item, "callspec")]
    return [item.callspec.params[parameter] for item in mine if parameter in item.callspec.params]


@pytest.fixture(scope="module")
def planned(changed, request):
    """Change -> the project after it, two made at a time."""
    with ThreadPoolExecutor(2) as pool:
        return {row["change"]: pool.submit(changed, row) for row in wanted(request, "row")}


@pytest.fixture(scope="module")
def carried_out(changed, universe, request):
    """Trial -> what should be handed back, and what was, of the jobs that it runs; two trials at a time."""

    def carry_out(trial: Trial) -> tuple[dict[tuple[str, str], bool], dict[tuple[str, str], bool]]:
        project = changed(*trial.rows)
        known = universe | project.listed
        should: dict[tuple[str, str], bool] = {}
        for row in trial.rows:
            handed = expected(row.get("handed back") or {}, known)
            should |= {job: True for job in handed if job[0] in trial.back}
            done = expected(row["listed"], known) - handed
            for rule in (rule for rule, cause in trial.anew.items() if cause is row):
                # The last: a model that starts from no other.
                should[max(job for job in done if job[0] == rule)] = False
        assert set(should) <= project.listed
        logs = project.folder / "results/logs"
        shutil.rmtree(logs)
        paths = [f"results/{made(rule, name)}" for rule, name in sorted(should)]
        snakemake(project.folder, *project.arguments, "--", *paths)
        return should, {job: "handing back" in _log(logs, *job) for job in should}

    with ThreadPoolExecutor(2) as pool:
        return {str(trial): pool.submit(carry_out, trial) for trial in wanted(request, "trial")}


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


def expected(listed: Mapping[str, Any], known: Jobs, first: str = "") -> Jobs:
    """The jobs that a row of the table stands for; first: the name of the first shard."""
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


def test_every_row_with_dear_jobs_is_tried_in_both_columns():
    back_seen = {(row["change"], rule) for trial in trials() for row in trial.rows for rule in trial.back & back(row)}
    anew_seen = {(row["change"], rule) for trial in trials() for rule, row in trial.anew.items()}
    assert len(TRIED) > 30 and {row["change"] for row in TRIED} >= ANEW
    assert back_seen == {(row["change"], rule) for row in TRIED for rule in back(row)}
    assert anew_seen >= {(row["change"], rule) for row in TRIED for rule in anew(row)}


@pytest.mark.parametrize("row", ROWS, ids=[row["change"] for row in ROWS])
def test_a_change_lists_what_the_table_says(row, planned, universe, settled):
    project = planned[row["change"]].result()
    first = sorted((project.folder / "results/catalog/selected/lamost").glob("*.parquet"))[0].stem
    assert sorted(project.listed) == sorted(expected(row["listed"], universe | project.listed, first))


@pytest.mark.parametrize(
    "trial", [pytest.param(trial, marks=[pytest.mark.long] * trial.is_long(), id=str(trial)) for trial in trials()]
)
def test_of_the_jobs_listed_these_hand_their_work_back(trial, carried_out):
    """All that should be handed back, and of what is done anew a job of each rule."""
    should, did = carried_out[str(trial)].result()
    assert should and did == should


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
