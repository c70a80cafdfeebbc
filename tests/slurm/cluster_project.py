"""A project folder in which Slurm runs are started, watched and killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "profiles", "slurm")
#: Laid over the profile: one processor a job; looks at the queue, and an end, that do not wait as on a real cluster.
QUICK = (
    "--max-threads",
    "1",
    "--cores",
    "2",
    "--latency-wait",
    "5",
    "--slurm-init-seconds-before-status-checks",
    "5",
    "--max-jobs-per-timespan",
    "100/1s",
)


class Project:
    """A folder in which snakemake --profile slurm runs as a user would run it."""

    def __init__(self, folder: Path, *overlays: str, own_code: bool = False):
        """own_code: the code is the project's own, to be edited."""
        self.folder, self.overlays = folder, overlays
        self.code = folder if own_code else ROOT
        folder.mkdir(parents=True)
        for part in (*PARTS, *(["src"] if own_code else [])):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part) if own_code else (folder / part).symlink_to(ROOT / part)
        shutil.copy(ROOT / "tests/workflow/mini.yaml", folder)
        for path in HERE.glob("*.yaml"):
            shutil.copy(path, folder)

    def start(self, *targets: str, options: tuple[str, ...] = (), profile: tuple[str, ...] = ("--profile", "slurm")):
        """Start snakemake; the process, its words in ``said()``."""
        command = [sys.executable, "-m", "snakemake", *profile, *(QUICK if profile else ("--cores", "2")), *options]
        command += ["--configfile", "mini.yaml", *self.overlays, "--", *targets]
        with open(self.folder / "said.txt", "w") as words:
            return subprocess.Popen(command, cwd=self.folder, stdout=words, stderr=words, env=self.environment())

    def run(self, *targets: str, check: bool = True, **how) -> str:
        """Run snakemake to its end; what it said."""
        process = self.start(*targets, **how)
        process.wait(timeout=900)  # a run that hangs; how long one takes is not looked at
        assert not (check and process.returncode), self.said()[-8000:]
        return self.said()

    def environment(self) -> dict[str, str]:
        """The environment of a run: what jobs inherit."""
        return {**os.environ, "PYTHONPATH": str(self.code / "src"), "OMP_NUM_THREADS": "1"}

    def recover(self) -> str:
        """Run the one documented command; what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "starglot", "recover"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=self.environment(),
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    def path(self, *parts: str) -> Path:
        """A path under results/."""
        return self.folder.joinpath("results", *parts)

    def jobs(self) -> list[str]:
        """Ids of this folder's jobs that are in the queue."""
        listed = slurm("squeue", "--me", "--noheader", "--format", "%A|%Z").split()
        return [line.split("|")[0] for line in listed if line.split("|")[1] == str(self.folder)]

    def send(self, script: str, number: int) -> int:
        """Send a signal to a running script of the project and to the shell around it; how many processes got it."""
        sent = 0
        for running in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if running.cwd() == str(self.folder) and script in " ".join(running.cmdline()):
                    running.send_signal(number)
                    sent += 1
        return sent

    def accounted(self, rule: str) -> list[dict[str, str]]:
        """Slurm's account of this folder's jobs of a rule, requeued ones more than once, in order of their end."""
        names = ("JobIDRaw", "State", "ReqMem", "ReqCPUS", "TimelimitRaw", "Start", "End", "Comment", "WorkDir")
        rows = slurm("sacct", "-X", "--duplicates", "-P", "-n", "--format", ",".join(names), "-S", "now-2hours")
        every = [dict(zip(names, row.split("|"), strict=True)) for row in rows.splitlines()]
        own = [row for row in every if row["WorkDir"] == str(self.folder) and rule in row["Comment"]]
        return sorted(own, key=lambda row: row["End"])


def slurm(*command: str) -> str:
    """What a Slurm command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_until(what: str, true, project: Project, process: subprocess.Popen | None = None, seconds: float = 300):
    """Wait for something to come true; fails with the run's words when it does not, or when the run ends first."""
    until = time.monotonic() + seconds
    while not true():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > until:
            raise AssertionError(
                f"{'ended before' if ended else 'waited in vain for'}: {what}\n{project.said()[-6000:]}"
            )
        time.sleep(0.1)


def kill(process: subprocess.Popen, number: int = signal.SIGKILL) -> None:
    """Send a signal to a run and wait for its end."""
    process.send_signal(number)
    process.wait(timeout=120)
