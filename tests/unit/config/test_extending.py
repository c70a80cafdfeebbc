"""All that docs/extending.md adds: the configuration takes it, and no job that was there before counts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doors import extend, overlay

#: Hash of the code of every job of some scripts, for wildcards that the mini has and those that the page adds.
HASHES = """
import json
import sys

import yaml

from starglot.config.load import load_config, merge
from starglot.config.picked import picked
from starglot.workflow.provenance.code import code_definitions

project, overlay = sys.argv[1], json.loads(sys.argv[2])
raw = {}
for name in ("config/config.yaml", "tests/workflow/mini.yaml"):
    raw = merge(raw, yaml.safe_load(open(f"{project}/{name}")))
config, found = load_config(merge(raw, overlay)), {}
for name, wildcards in json.loads(sys.argv[3]):
    script = f"{project}/workflow/scripts/{name}.py"
    found[f"{name} {sorted(wildcards.values())}"] = code_definitions(script, picked(config, wildcards))
print(json.dumps(found))
"""
LLM, NETWORK = ({"task": "atmosphere", "model": name} for name in ("llm-mini", "cnn"))
BEFORE: list[tuple[str, dict[str, str]]] = [
    *(("read_survey", {"survey": survey}) for survey in ("lamost", "apogee", "galah", "gaia_eso")),
    ("match_survey", {"survey": "lamost", "other": "apogee"}),
    *((script, {"survey": "lamost"}) for script in ("select_stars", "clean_shard")),
    *((script, {}) for script in ("make_mock", "inventory", "count_labels", "tabulate_paper", "build_report")),
    *((script, {"task": "atmosphere"}) for script in ("collect_labels", "draw_sample", "tabulate_residuals")),
    ("write_qa", {"task": "atmosphere", "encoding": "mini"}),
    ("build_base", {"base": "tiny"}),
    *((script, LLM) for script in ("train_llm", "predict_llm")),
    *((script, NETWORK) for script in ("train_network", "predict_network")),
]
AFTER: list[tuple[str, dict[str, str], str]] = [
    ("read_survey", {"survey": "tiles"}, "starglot.surveys.tiles:read_catalog"),
    ("clean_shard", {"survey": "tiles"}, "starglot.surveys.tiles_spectra:read"),
    ("collect_labels", {"task": "heat"}, "starglot.labels:LABELS[theta]"),
    ("write_qa", {"task": "heat", "encoding": "spaced"}, "starglot.flux_text:FLUX_TEXTS[spaced]"),
    ("write_qa", {"task": "heat", "encoding": "mini"}, "starglot.forms:FORMS[bare]"),
    ("build_base", {"base": "mine"}, "starglot.models.qwen:build_qwen"),
    ("train_llm", {"task": "heat", "model": "reader"}, "starglot.flux_text:FLUX_TEXTS[spaced]"),
    ("train_network", {"task": "heat", "model": "line"}, "starglot.models.baselines.linear:LinearNetwork"),
]


def definitions(project: Path, src: Path, over: dict[str, Any], jobs: list[Any]) -> dict[str, dict[str, str]]:
    """Definitions behind the code of jobs, by job, as the package in ``src`` has them."""
    command = [sys.executable, "-c", HASHES, str(project), json.dumps(over), json.dumps([job[:2] for job in jobs])]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(src)})
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def extended(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's folder, with all that the page adds."""
    copy = tmp_path_factory.mktemp("extended")
    shutil.copytree(project / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    extend(copy)
    return copy / "src"


def test_no_job_that_was_there_counts_what_the_page_adds(project: Path, extended: Path) -> None:
    was = definitions(project, project / "src", {}, BEFORE)
    assert definitions(project, extended, overlay(), BEFORE) == was


def test_jobs_of_the_new_names_count_what_they_pick(project: Path, extended: Path) -> None:
    found = definitions(project, extended, overlay(), AFTER)
    for (script, wildcards, part), parts in zip(AFTER, found.values(), strict=True):
        assert part in parts, (script, wildcards)
        others = {"starglot.surveys.lamost:read_catalog", "starglot.surveys.lamost_spectra:read"}
        assert not others & set(parts), (script, wildcards)
