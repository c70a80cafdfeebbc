"""The profile in a fresh clone: `snakemake --profile slurm` submits to Slurm, with the resources that stand in it."""

import logging
import re
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from snakemake.cli import parse_args
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file
from snakemake_executor_plugin_slurm.utils import set_gres_string
from torch.distributed.run import get_args_parser as torchrun_options

PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "slurm")


@pytest.fixture
def clone(project_root, tmp_path, monkeypatch):
    for part in PARTS:
        (tmp_path / part).symlink_to(project_root / part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project_root(request):
    return request.config.rootpath


def test_the_literal_command_uses_the_slurm_executor(clone):
    _, args = parse_args(["--profile", "slurm"])
    assert args.executor == "slurm"
    assert args.retries == 2 and args.show_failed_logs and args.keep_going
    assert args.slurm_requeue and args.slurm_jobname_prefix == "starglot"
    assert args.groups["clean_shard"] == "clean" and args.group_components["clean"] == 64


def test_the_link_to_the_profile_is_tracked(project_root):
    listed = subprocess.run(["git", "ls-files", "-s", "slurm"], cwd=project_root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert listed.stdout.startswith("120000"), "slurm is no link"
    assert not (project_root / "profiles/default").exists()  # Snakemake would load it by itself, above --profile


def test_jobs_ask_for_what_the_profile_says(clone, project_root):
    text = (project_root / "tests/workflow/mini.yaml").read_text()
    (clone / "mini.yaml").write_text(text)
    (clone / "two.yaml").write_text(yaml.safe_dump({"models": {"llm-mini": {"training": {"gpus": 8, "nodes": 2}}}}))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            "slurm",
            "-n",
            "-p",
            "--configfile",
            "mini.yaml",
            "two.yaml",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    asked = {}
    rule = None
    for line in done.stdout.splitlines():
        words = line.split()
        if line.startswith("rule "):
            rule = words[1].rstrip(":")
        elif "resources:" in line:
            asked.setdefault(rule, line)
        elif "train_llm.py" in line:
            asked.setdefault("command", line)
    for part in ("slurm_account=astro", "mem_mb=16000", "runtime=60"):
        assert part in asked["read_survey"]
    for part in ("gpu=8", "nodes=2", "tasks=2", "mpi=srun", "mem_mb=64000", "runtime=1440"):
        assert part in asked["train_llm"]
    assert "--signal=URG@600" in asked["train_llm"] and "--ntasks-per-node=1" in asked["train_llm"]
    assert re.search(r"launch_training\.sh 2 4 \S+/workflow/scripts/train_llm\.py ", asked["command"])
    # torchrun reads abbreviations of its own options anywhere in the line: the script's must not be taken for such.
    command = shlex.split(asked["command"].split(" 2>&1")[0])
    script = next(at for at, word in enumerate(command) if word.endswith("workflow/scripts/train_llm.py"))
    told = torchrun_options().parse_args(["--nnodes", "2", *command[script:]])
    assert [told.training_script, *told.training_script_args] == command[script:]
    assert re.search(r"\bgpu=1\b", asked["predict_llm"])  # one process answers, however many trained


class Resources(dict):
    """A job's resources as the plugin has them: by key and by attribute."""

    __getattr__ = dict.__getitem__


#: What a site writes at the end of the profile (docs/cluster.md), and what the jobs of a rule then ask Slurm for.
SITE = """
set-resources:
  train_llm: {gpu_model: h200, constraint: a100, runtime: 720}
  predict_llm: {gpu: 0, gres: "gpu:1", slurm_partition: gpu, qos: gpu_day}
"""


def test_what_sites_differ_in_reaches_sbatch(clone, project_root):
    """A QOS, features, types of GPU, GPUs by --gres alone, a shorter limit, no account."""
    text = (project_root / "profiles/slurm/config.yaml").read_text()
    for here, there in (("  # qos: long  ", "  qos: long  "), ("  slurm_account: ?account\n", "")):
        assert here in text
        text = text.replace(here, there)
    (clone / "site").mkdir()
    (clone / "site/config.yaml").write_text(text + SITE)
    mini = yaml.safe_load((project_root / "tests/workflow/mini.yaml").read_text())
    mini["models"]["llm-mini"]["training"]["gpus"] = 1
    (clone / "mini.yaml").write_text(yaml.safe_dump(mini))
    command = ["snakemake", "--profile", "site", "-n", "--configfile", "mini.yaml"]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=True)
    asked: dict[str, dict[str, str]] = {}
    rule = ""
    for line in done.stdout.splitlines():
        if found := re.match(r"(?:rule|checkpoint) (\w+):", line):
            rule = found[1]
        elif "resources: " in line:
            stated = (part.split("=", 1) for part in line.partition("resources: ")[2].split(", ") if "=" in part)
            asked.setdefault(rule, {key: value for key, value in stated})

    def gres(rule: str) -> str:
        return set_gres_string(SimpleNamespace(resources=Resources(asked[rule]))).strip()

    assert asked["read_survey"]["qos"] == "long" and "slurm_account" not in asked["read_survey"]
    assert (asked["train_llm"]["constraint"], asked["train_llm"]["runtime"]) == ("a100", "720")
    assert gres("train_llm") == "--gpus=h200:1"
    partitions = read_partition_file(project_root / "profiles/slurm/partitions.yaml")
    numbers = {key: int(value) for key, value in asked["train_llm"].items() if value.isdigit()}
    job = SimpleNamespace(resources=numbers, threads=1, name="train_llm")
    assert get_best_partition(partitions, job, logging.getLogger()) == "gpu"
    assert asked["predict_llm"]["slurm_partition"] == "gpu" and asked["predict_llm"]["qos"] == "gpu_day"
    # Snakemake says 0 of a resource that is none; the plugin takes it for no GPU.
    assert (
        set_gres_string(SimpleNamespace(resources=Resources(asked["predict_llm"] | {"gpu": 0}))).strip()
        == "--gres=gpu:1"
    )
    assert asked["predict_llm"]["gpu"] == "0"


@pytest.mark.parametrize(
    ("asked", "partition"),
    [
        ({"mem_mb": 64000, "runtime": 1440, "gpu": 0}, "main"),
        ({"mem_mb": 1000, "runtime": 5}, "main"),
        ({"mem_mb": 16000, "runtime": 240, "gpu": 1}, "gpu"),
        ({"mem_mb": 64000, "runtime": 1440, "gpu": 8, "nodes": 2, "mpi": "srun"}, "gpu"),
    ],
)
def test_a_job_goes_to_the_gpus_because_it_asks_for_one(project_root, asked, partition):
    partitions = read_partition_file(project_root / "profiles/slurm/partitions.yaml")
    job = SimpleNamespace(resources=asked, threads=1, name="any")
    assert get_best_partition(partitions, job, logging.getLogger()) == partition


def test_the_profile_repeats_no_figure_of_a_rule(project_root):
    profile = yaml.safe_load((project_root / "profiles/slurm/config.yaml").read_text())
    assert "set-resources" not in profile and "set-threads" not in profile
