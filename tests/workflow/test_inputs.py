"""Everything that a rule reads is among its inputs: seen from the files that the mini's jobs opened."""

import json
import os
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

#: Jobs of a finished project, as lines of JSON.
PROGRAM = """
import json, sys
from starglot.workflow.rebuilds.plan import show_graph

def look(workflow):
    for job in workflow.dag.jobs:
        if job.shellcmd:
            facts = {"rule": job.rule.name, "command": job.shellcmd, "input": list(map(str, job.input))}
            print("JOB", json.dumps({**facts, "output": list(map(str, job.output))}))

show_graph(sys.argv[1:], look)
"""

#: What a job may read besides its inputs, by rule: part of a path below results/, and why it is no input.
BESIDE = {
    "*": {
        "state/": "finished and unfinished work, by a digest of all that it depends on",
        "spectra/lamost/paper/.finished/": "the same, of cleaned shards",
    },
    "make_mock": {"mock/": "what it has just written, for its digests"},
    "clean_shard": {"mock/lamost/spectra/": "the files that the inventory has listed, with their sizes and times"},
    "build_report": {"benchmarks/": "times and memory of the jobs: no page is made anew for them alone"},
}


@pytest.fixture(scope="module")
def jobs(mini):
    """The mini's jobs, by the arguments of their scripts."""
    command = [sys.executable, "-c", PROGRAM, "--cores", "2", "--configfile", "mini.yaml"]
    done = subprocess.run(command, cwd=mini.folder, capture_output=True, text=True, check=True)
    listed = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("JOB ")]
    return {arguments(shlex.split(job["command"])): job for job in listed if "workflow/scripts/" in job["command"]}


def arguments(words):
    """Name of the script and its arguments, from a command line, without settings: the page's name what there is."""
    at = next(at for at, word in enumerate(words) if word.endswith(".py"))
    words = words[at : words.index("2>&1") if "2>&1" in words else None]
    if "--settings" in words:
        given = words.index("--settings")
        words = [*words[:given], *words[given + 2 :]]
    return (Path(words[0]).name, *words[1:])


def allowed(job, root):
    """Files and folders (with '/' at their end) that a job may read."""
    inputs = [(root.parent / path).resolve() for path in job["input"]]
    outputs = [(root.parent / path).resolve() for path in job["output"]]
    found = [str(path) for path in (*inputs, *outputs)]
    found += [
        f"{path.parent}/.spill{end}" for path in outputs for end in ("", "/")
    ]  # questions on their way into files
    for path in (*inputs, *outputs):
        if path.name == "manifest.json":  # a model's folder answers by itself
            found.append(f"{path.parent}/")
        if (
            path.name == "index.tsv"
        ):  # stands for all shards: it holds the digests of spectra and rejected, which make up selected
            found += [f"{path.parent}/", f"{root / 'catalog/selected'}/"]
    return [*found, *(f"{root}/{part}" for rule in ("*", job["rule"]) for part in BESIDE.get(rule, {}))]


def test_everything_that_a_job_reads_is_among_its_inputs(mini, jobs):
    root = (mini.traced / "results").resolve()
    undeclared, traced = defaultdict(set), set()
    for trace in mini.opened.iterdir():
        first, *lines = trace.read_text(encoding="utf-8").splitlines()
        job = jobs.get(arguments(json.loads(first)))
        if job is None:  # asked for by a test, beside the mini
            continue
        traced.add(job["rule"])
        may, written = allowed(job, root), set()
        for kind, path in (line.split(" ", 1) for line in lines):
            if kind == "w":
                written.add(path)
            elif os.path.isdir(path):  # opened to have its entries written to the disk
                continue
            elif path.startswith(f"{root}/") and path not in written and not path.endswith(".partial"):
                if not any(path == one or (one.endswith("/") and path.startswith(one)) for one in may):
                    undeclared[job["rule"]].add(path.removeprefix(f"{root}/"))
    assert not undeclared, dict(undeclared)
    assert traced >= {
        "build_report",
        "draw_paper",
        "tabulate_residuals",
        "collect_labels",
        "train_llm",
        "predict_llm",
    }
    assert traced == {job["rule"] for job in jobs.values()}
