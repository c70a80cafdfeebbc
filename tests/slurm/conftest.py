"""A Slurm cluster on this machine, and a small project for each file of tests, which take its stages in turn."""

import os
import shutil
import subprocess

import pytest
from cluster_project import HERE, Project


@pytest.fixture(scope="session")
def cluster():
    """A running cluster; skips the test, with the reason, where none can be started without installing anything."""
    if not (shutil.which("slurmctld") or os.environ.get("STARGLOT_SLURM_TESTS")):
        pytest.skip("Slurm is not installed on this machine: STARGLOT_SLURM_TESTS=1 installs and starts it")
    done = subprocess.run([HERE / "start_cluster.sh"], capture_output=True, text=True, timeout=600)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()[-1:]
        pytest.skip(f"no Slurm cluster on this machine: {' '.join(said)}")


@pytest.fixture(scope="module")
def project(cluster, tmp_path_factory) -> Project:
    """A project, its catalogues made on this machine: the queue is for what follows."""
    made = Project(tmp_path_factory.mktemp("slurm") / "project", "tiny.yaml")
    made.run("results/catalog/shards/lamost.txt", profile=())
    return made
