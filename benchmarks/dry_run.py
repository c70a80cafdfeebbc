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
        "tasks": {"atmosphere": {"sizes": {size: int(float(size)) for size in SIZES}}},
        "models": {"llm-packed": {"base": "base", "training": {"epochs": 1.0}}},
        "run": {
            "tasks": ["atmosphere", "abundances"],
            "sizes": [*SIZES, "all"],
            "models": ["llm-packed", "class-mean", "ridge"],
            "sets": ["val", "test", "common"],
        },
    }
    (folder / "over.yaml").write_text(yaml.safe_dump(over))
    inventory = folder / "results/catalog/inventory"
    inventory.mkdir(parents=True)
    shards = [f"{55000 + number // 3}-HD{number:06d}B01" for number in range(plates)]
    for shard in shards:
        (inventory / f"{shard}.parquet").write_text(shard)
    (folder / "results/catalog/shards.txt").write_text("".join(f"{shard}\n" for shard in shards))
    if direct:
        rules = folder / "rules"
        for path in rules.glob("*.smk"):
            text = path.read_text()
            index = 'index="<results>/spectra/index.tsv"'
            path.write_text(text.replace(index, f"{index}, each=all_spectra"))


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, str]:
    """Run snakemake; returns seconds, peak memory (GB) and what it said."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, "--configfile", "over.yaml"]
    env = {**os.environ, "PYTHONPATH": f"{folder}/src"}
    script = "import resource,subprocess,sys;r=subprocess.run(sys.argv[1:]);"
    script += "print('PEAK',resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);sys.exit(r.returncode)"
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=folder, capture_output=True, text=True, env=env
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
    return seconds, int(done.stdout.split("PEAK")[1]) / 2**20, done.stdout + done.stderr


def settle(folder: Path) -> int:
    """Make every output, empty, and let snakemake record it as made by `--touch`; returns the number of files."""
    made = 0
    for _ in range(2):  # what lies below the inventory is known once that is there
        _, _, said = snakemake(folder, "--summary")
        names = [line.split("\t")[0] for line in said.splitlines() if line.startswith("results/")]
        for path in (folder / name for name in names):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(path.name)
                made += 1
        snakemake(folder, "--touch", "--quiet", "all")
    return made


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
        print(f"{args.plates} plates, {len(SIZES) + 1} sizes, {settle(folder)} files", flush=True)
        seconds, peak, said = snakemake(folder, "-n", "--quiet", "rules")
        assert "Nothing to be done" in said, said[-2000:]
        print(f"nothing to do: {seconds:.1f} s, {peak:.2f} GB", flush=True)
        shutil.rmtree(folder / "results/spectra")
        seconds, peak, said = snakemake(folder, "-n", "--quiet", "rules", "-R", "clean_shard")
        jobs = next(line for line in said.splitlines() if line.startswith("total"))
        print(f"everything from cleaning on: {jobs.split()[-1]} jobs, {seconds:.1f} s, {peak:.2f} GB")


if __name__ == "__main__":
    main()
