"""Planning a run is light: no library of the jobs is imported, no network is asked, and reasons are said in words."""

import re
import subprocess
import sys
from types import SimpleNamespace

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
    command = [sys.executable, "-m", "starglot", "explain", *arguments]
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


def listed(project, overlay, *targets):
    """(rule, wildcards) of the jobs that a dry run lists."""
    done = project.snakemake("-n", *targets, overlays=("mini.yaml", str(overlay)))
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)*)", done.stdout + done.stderr, re.M)
    return {
        (rule, " ".join(re.findall(r"\w+=([^,\n]+)", "".join(re.findall("wildcards: (.*\n)", body)))))
        for rule, body in jobs
    }


def test_the_sweep_trains_what_is_missing_and_a_new_size_adds_only_itself(mini, tmp_path):
    sweep = {"models": ["ridge", "lightgbm"], "seeds": [0, 1], "passes": [1], "sizes": ["mini"]}
    over, more = tmp_path / "over.yaml", tmp_path / "more.yaml"
    over.write_text(yaml.safe_dump({"scaling": sweep}))
    more.write_text(yaml.safe_dump({"scaling": {**sweep, "sizes": ["small", "mini"]}}))
    one, two = listed(mini, over, "scaling"), listed(mini, more, "scaling")
    assert one == {  # ridge is there: `run:` has it, and nothing of it is drawn
        ("train_baseline", "atmosphere lightgbm mini"),
        ("train_baseline", "atmosphere lightgbm.s1 mini"),
        ("predict_baseline", "atmosphere lightgbm mini test"),
        ("predict_baseline", "atmosphere lightgbm.s1 mini test"),
        ("tabulate_scaling", "atmosphere"),
        ("scaling", ""),
    }
    assert two - one == {("draw_sample", "atmosphere small")} | {
        job
        for model in ("ridge", "lightgbm", "lightgbm.s1")
        for job in (
            ("train_baseline", f"atmosphere {model} small"),
            ("predict_baseline", f"atmosphere {model} small common"),
        )
    }
    assert one < two


def test_taking_the_inventory_again_runs_nothing_else(mini):
    """As docs say it, with `--`, in a project that has been cleaned."""
    command = "snakemake -n --cores 2 --configfile mini.yaml -R inventory -- inventory"
    done = subprocess.run([sys.executable, "-m", *command.split()], cwd=mini.folder, capture_output=True, text=True)
    rules = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", done.stdout + done.stderr, re.M)
    assert rules == ["inventory"]


def test_a_model_that_cannot_be_derived_says_why(mini):
    for name, allowed in (("ridge.f9", ".f0 to "), ("ridge.x2", ".x for models of kind ")):
        path = f"results/models/atmosphere/{name}/mini/manifest.json"
        done = mini.snakemake("-n", path, check=False)
        said = done.stdout + done.stderr
        assert done.returncode and f"where:   {name}\n" in said and allowed in said


GRID = {
    "mock": {"synthetic": 300},
    "surveys": {
        "synthetic": {
            "release": "mock",
            "spectra": "results/mock/grids",
            "grids": ["own.npz"],
            "coverage": [3700.0, 9099.0],
        }
    },
    "tasks": {
        "physics": {
            "question": {"form": "abundances", "labels": ["mg_fe", "ca_fe"]},
            "sample": {
                "source": "synthetic",
                "view": "synthetic/paper",
                "groups": None,
                "balanced": False,
                "sizes": {"grid": None},
            },
        },
        "abundances": {"question": {"labels": ["mg_fe", "ca_fe"]}},
    },
    "models": {"llm-patches": {"init": {"task": "physics", "size": "grid"}, "by_size": {"all": {"replay": 0.5}}}},
}
RUN = {"tasks": ["abundances", "physics"], "sizes": ["all", "grid"], "models": ["llm-patches"], "validation": []}


def planned(project, overlay, *targets):
    done = project.snakemake("-n", *targets, overlays=("mini.yaml", str(overlay)))
    return re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", done.stdout, re.MULTILINE)


def test_a_synthetic_stage_stands_before_the_surveys(fresh, tmp_path):
    """Its grid is made, read and cleaned like a survey's, the survey's stage starts from it and goes back to it."""
    over = tmp_path / "over.yaml"
    over.write_text(yaml.safe_dump({**GRID, "run": RUN}))
    model = "results/models/abundances/llm-patches/all/manifest.json"
    jobs = planned(fresh, over, model)
    names = [name for name, _ in jobs]
    assert names.count("make_synthetic") == 1 and names.count("train_patches") == 2
    assert {name for name in names if "external" in name} == set()
    text = {name + re.search(r"output: (\S+)", body)[1]: body for name, body in jobs if "output: " in body}
    survey, physics = (
        text[f"train_patchesresults/models/{task}/llm-patches/{size}/manifest.json"]
        for task, size in (("abundances", "all"), ("physics", "grid"))
    )
    for path in (
        "results/models/physics/llm-patches/grid/manifest.json",
        "results/samples/physics/grid.parquet.sha256",
        "results/labels/physics.parquet.sha256",
        "results/spectra/synthetic/paper/index.tsv",
    ):
        assert path in survey, path
    assert "replayed" not in physics and "results/spectra/synthetic/paper/index.tsv" in physics


def test_a_grid_that_nothing_asks_for_plans_nothing_more(fresh, tmp_path):
    over, model = tmp_path / "over.yaml", "results/models/atmosphere/ridge/mini/manifest.json"
    over.write_text(yaml.safe_dump({key: GRID[key] for key in ("mock", "surveys")}))
    (none := tmp_path / "none.yaml").write_text("{}")
    with_grid, without = planned(fresh, over, model), planned(fresh, none, model)
    assert [name for name, _ in with_grid] == [name for name, _ in without]


def test_a_submission_holds_no_more_jobs_than_the_profile_says(mini):
    """With an inventory that is done, Snakemake cuts groups twice: no two share a job, and none grows."""
    groups = ["--groups", "clean_shard=clean", "--group-components", "clean=2"]
    command = ["snakemake", "-n", "--cores", "2", "-R", "clean_shard", *groups, "--configfile", "mini.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--", "clean"], cwd=mini.folder, capture_output=True, text=True, timeout=600
    )
    assert not done.returncode, done.stderr[-3000:]
    blocks = re.split(r"Group job clean ", done.stdout + done.stderr)[1:]
    shards = [re.findall(r"rule clean_shard:\n(?:.*\n)*?.*shard=(\S+)", block) for block in blocks]
    assert sorted(map(len, shards)) == [1, 2] and len({name for group in shards for name in group}) == 3


def test_a_submission_reserves_what_its_largest_job_needs(monkeypatch):
    """Its jobs run one after the other: 64 plates of a processor each reserve one, for the time of four."""
    import snakemake.api  # noqa: F401  the parts below import each other
    from snakemake.dag import DAG
    from snakemake.resources import GroupResources, Resource, Resources
    from snakemake_executor_plugin_slurm_jobstep import Executor

    from starglot.workflow.groups import bound_groups

    monkeypatch.setattr(Executor, "run_job", Executor.run_job)
    monkeypatch.setattr(DAG, "update_groups", DAG.update_groups)
    monkeypatch.setattr(GroupResources, "basic_layered", GroupResources.basic_layered)
    bound_groups()

    def job(**needs):
        needs = {"_cores": 1, "_nodes": 1, "runtime": 20, "mem_mb": 3000, "slurm_account": "astro", **needs}
        return SimpleNamespace(resources=needs, pipe_group=None)

    limits = Resources({name: Resource(name, value) for name, value in {"_cores": 16, "_nodes": None}.items()})

    def reserved(jobs, run_local=False):
        return GroupResources.basic_layered(
            toposorted_jobs=[jobs], constraints=limits, run_local=run_local, additive_resources=["runtime"]
        )

    plates = reserved([job() for _ in range(64)])
    assert (plates["_cores"], plates["mem_mb"], plates["runtime"], plates["_nodes"]) == (1, 3000, 80, 1)
    assert plates["slurm_account"] == "astro" and plates["mem"] == "3 GB"
    mixed = reserved([job(), job(_cores=2, mem_mb=9000), job(gpu=1), job(runtime=60)])
    assert (mixed["_cores"], mixed["mem_mb"], mixed["gpu"], mixed["runtime"]) == (2, 9000, 1, 60)
    # Nothing else runs jobs of a group one at a time: on the own machine Snakemake's account stands.
    assert reserved([job() for _ in range(4)], run_local=True)["_cores"] == 4
