"""Planning a run is light: no library of the jobs is imported, no network is asked, and reasons are said in words."""

import subprocess
import sys

import pytest
import yaml

pytestmark = pytest.mark.workflow

PROGRAM = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"the network was asked: {args}")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from snakemake import cli

try:
    cli.main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
heavy = "torch transformers peft accelerate bitsandbytes deepspeed datasets astropy fitsio sklearn scipy matplotlib"
print("HEAVY", [name for name in [*heavy.split(), "lightgbm"] if name in sys.modules])
"""


def test_a_dry_run_imports_nothing_heavy_and_asks_no_network(fresh):
    arguments = ["-n", "--cores", "1", "--configfile", "mini.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=fresh.folder, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr[-3000:]
    assert "train_llm" in done.stdout + done.stderr
    assert "HEAVY []" in done.stdout


def explain(project, *arguments):
    script = project.folder / "workflow/scripts/explain.py"
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True)


def test_explain_says_what_is_not_there_yet(fresh):
    said = explain(fresh, "results/catalog/galah.parquet", "--configfile", "mini.yaml")
    assert not said.returncode, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0] == "make_mock" and "are not there" in lines[1]
    assert "read_survey galah" in lines and "    its input is made anew by make_mock" in lines


def test_explain_hands_on_what_snakemake_cannot_plan(fresh):
    said = explain(fresh, "results/nothing.parquet", "--configfile", "mini.yaml")
    assert said.returncode and "results/nothing.parquet" in said.stderr and "Traceback" not in said.stderr


def test_explain_names_leaf_and_module(mini, tmp_path):
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump({"models": {"llm-mini": {"training": {"learning_rate": 2.0e-3}}}}))
    said = explain(mini, "train", "--configfile", "mini.yaml", str(over))
    assert not said.returncode, said.stderr
    assert "setting model.training.learning_rate: 0.003 -> 0.002" in said.stdout
    assert "train_baseline" not in said.stdout and "write_qa" not in said.stdout
    assert "Nothing to be done" in explain(mini, "train", "--configfile", "mini.yaml").stdout
