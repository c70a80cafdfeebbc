"""A project folder of its own for every workflow test, and a mini of the main job, made once for all."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
TRACED = str(Path(__file__).parent / "traced")
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "slurm")


class Project:
    """A folder in which snakemake runs as a user would run it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        #: Where a traced run was made, and where its jobs note the files that they open and the functions they run.
        self.traced = folder
        self.opened, self.called = folder.parent / "opened", folder.parent / "called"
        for part in PARTS:
            if not (folder / part).exists():
                (folder / part).symlink_to(ROOT / part)
        shutil.copy(ROOT / "tests/workflow/mini.yaml", folder / "mini.yaml")

    def snakemake(
        self,
        *args: str,
        overlays: tuple[str, ...] = ("mini.yaml",),
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ):
        """Run snakemake on two cores with the mini's configuration; returns the finished process."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", *overlays, "--", *args]
        flags = [arg for arg in args if arg.startswith("-")]
        if flags:
            targets = [arg for arg in args if not arg.startswith("-")]
            command = [
                sys.executable,
                "-m",
                "snakemake",
                "--cores",
                "2",
                *flags,
                "--configfile",
                *overlays,
                "--",
                *targets,
            ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive", **(env or {})},
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def path(self, *parts: str) -> Path:
        """A path under results/."""
        return self.folder.joinpath("results", *parts)

    def copy_made(self, folder: Path) -> None:
        """What was made, and Snakemake's records of it, into another project's folder."""
        for part in ("results", ".snakemake"):
            shutil.copytree(self.folder / part, folder / part, copy_function=_copy)


def _copy(source: str, target: str) -> None:
    """Results are linked, as who makes one anew replaces it; what is written into (logs, records) is copied."""
    written = any(f"{os.sep}{part}{os.sep}" in source for part in ("logs", "benchmarks", ".snakemake"))
    shutil.copy2(source, target) if written else os.link(source, target)


@pytest.fixture(scope="session")
def mini(tmp_path_factory, worker_id) -> Project:
    """The mini of the main job, run once to its report: a copy of this process's own, to work in."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent  # which all processes have in common
    with FileLock(shared / "mini.lock"):
        made = _make_mini(shared / "mini")
    project = Project(tmp_path_factory.mktemp("mini") / "project")
    made.copy_made(project.folder)
    project.traced, project.opened, project.called = made.folder, made.opened, made.called
    return project


def _make_mini(folder: Path) -> Project:
    """The mini, made here by the process that comes first, and traced (traced/sitecustomize.py)."""
    project, finished = Project(folder / "project"), folder / "finished"
    if finished.exists():
        return project
    project.opened.mkdir(exist_ok=True)
    project.called.mkdir(exist_ok=True)
    traced = {
        "STARGLOT_OPENED": str(project.opened),
        "STARGLOT_CALLED": str(project.called),
        "PYTHONPATH": os.pathsep.join(filter(None, (TRACED, os.environ.get("PYTHONPATH")))),
    }
    project.snakemake("--max-jobs-per-timespan=1000/5s", env=traced)
    finished.touch()
    return project


@pytest.fixture
def fresh(tmp_path) -> Project:
    """An empty project folder."""
    return Project(tmp_path / "project")
