"""Time and memory of a dry run with thousands of plates and a sweep of sizes, where everything is up to date.

A project is laid out with one small file for every output and the records that snakemake keeps of it, so that the
whole graph of jobs is built and every check is made.  With --direct, the simple alternative: rules that name every
shard as an input, in place of the one index.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "src")
SIZES = ("1e4", "3e4", "1e5", "3e5", "5e5", "1.5e6")


def project(folder: Path, plates: int, direct: bool) -> None:
    """The code, an overlay with a sweep of sizes, and catalogues and an inventory of ``plates`` shards."""
    for part in PARTS:
        source = ROOT / part
        shutil.copytree(source, folder / part) if source.is_dir() else shutil.copy(source, folder / part)
    # Where Slurm's own is installed and no cluster answers, importing the plugin of Snakemake waits 9 s for it.
    scontrol = folder / "bin/scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text("#!/bin/sh\nexit 1\n")
    scontrol.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    names = ("stellar", "mstellar", "apogee", "galah", "gaia_eso")
    for name in names:
        (data / f"{name}.fits").write_bytes(b"")
    (folder / "base").mkdir()
    over = {
        "surveys": {
            "lamost": {"stellar": "data/stellar.fits", "mstellar": "data/mstellar.fits", "spectra": "data"},
            **{name: {"catalog": f"data/{name}.fits"} for name in names[2:]},
        },
        "tasks": {"atmosphere": {"sample": {"sizes": {size: int(float(size)) for size in SIZES}}}},
        "models": {"llm-packed": {"base": "base", "training": {"epochs": 1.0}}},
        "run": {
            "tasks": ["atmosphere", "abundances"],
            "sizes": [*SIZES, "all"],
            "models": ["llm-packed", "class-mean", "ridge"],
            "sets": ["val", "test", "common"],
        },
    }
    (folder / "over.yaml").write_text(yaml.safe_dump(over))
    inventory = folder / "results/catalog/inventory/lamost"
    inventory.mkdir(parents=True)
    shards = [f"{55000 + number // 3}-HD{number:06d}B01" for number in range(plates)]
    for shard in shards:
        (inventory / f"{shard}.parquet").write_text(shard)
    listed = folder / "results/catalog/shards/lamost.txt"
    listed.parent.mkdir()
    listed.write_text("".join(f"{shard}\n" for shard in shards))
    if direct:
        rules = folder / "rules"
        for path in rules.glob("*.smk"):
            text = path.read_text()
            path.write_text(text.replace("index=view_index", "index=view_index, each=all_spectra"))


def environment(folder: Path) -> dict[str, str]:
    """What processes of the project see: its own code, and a Slurm that answers at once."""
    return {**os.environ, "PYTHONPATH": f"{folder}/src", "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}


def snakemake(folder: Path, *arguments: str) -> tuple[str, str]:
    """Run snakemake; returns its cost in words, and what it said."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, "--configfile", "over.yaml"]
    env = environment(folder)
    script = "import resource, subprocess, sys; r = subprocess.run(sys.argv[1:]);"
    script += "u = resource.getrusage(resource.RUSAGE_CHILDREN);"
    script += "print('COST', u.ru_maxrss, u.ru_utime + u.ru_stime); sys.exit(r.returncode)"
    started = time.perf_counter()
    measured = [sys.executable, "-c", script, *command]
    done = subprocess.run(measured, cwd=folder, capture_output=True, text=True, env=env)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
    peak, cpu = done.stdout.split("COST")[1].split()
    return f"{seconds:.1f} s ({float(cpu):.1f} s of CPU), {int(peak) / 2**20:.2f} GB", done.stdout + done.stderr


#: Run inside a project: make every output of the graph of jobs, empty and of one age, and record each job as done.
SETTLE = """
import asyncio, os, sys
from pathlib import Path
from snakemake.settings.types import ExecutionSettings
from starglot.workflow.rebuilds.plan import show_graph

def settle(workflow):
    workflow.execution_settings = ExecutionSettings()
    for job in workflow.dag.jobs:
        for path in map(Path, job.output):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(path.name)
            os.utime(path, (1.7e9, 1.7e9))
    for job in workflow.dag.jobs:
        workflow.async_run(workflow.persistence.finished(job))
    print("JOBS", len(list(workflow.dag.jobs)))

show_graph(["--cores", "1", "--configfile", "over.yaml"], settle)
"""


def settle(folder: Path) -> int:
    """Make and record all that there is to make; returns the number of jobs."""
    env = environment(folder)
    for path in [*(folder / "data").iterdir(), *(folder / "results").rglob("*")]:
        os.utime(path, (1.7e9, 1.7e9))
    jobs = 0
    # First without the catalogues' digests, which are taken once their tables are there; then with them; and what is
    # below the inventory is known once that is settled.
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", SETTLE], cwd=folder, capture_output=True, text=True, env=env)
        if "JOBS" not in done.stdout:
            sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
        jobs = int(done.stdout.split("JOBS")[1].split()[0])
    return jobs


def main() -> None:
    """Settle a project, then time dry runs: nothing to do, and one more size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=7000)
    parser.add_argument("--direct", action="store_true", help="every shard an input of every rule that reads spectra")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        project(folder, args.plates, args.direct)
        print(f"{args.plates} plates, {len(SIZES) + 1} sizes, {settle(folder)} jobs", flush=True)
        cost, said = snakemake(folder, "-n", "--quiet", "rules")
        assert "Nothing to be done" in said, said[-2000:]
        print(f"nothing to do: {cost}", flush=True)
        cost, _ = snakemake(folder, "-n", "--quiet", "rules", "-R", "clean_shard")
        print(f"everything from cleaning on: {cost}")


if __name__ == "__main__":
    main()
