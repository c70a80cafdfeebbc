"""Use of the cluster: Slurm's accounting of a project's jobs by rule, compared with their requests."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd

#: Snakemake's log of a run names each job's id, and in the path of its log the rule or group.
_SUBMITTED = re.compile(r"SLURM jobid (\d+) \(log: [^)]*/slurm_logs/(?:rule|group)_([^/]+)/")
_FIELDS = ("JobIDRaw", "State", "ElapsedRaw", "TimelimitRaw", "ReqMem", "MaxRSS", "TotalCPU", "AllocTRES")
_AT_ONCE = 500
_UNITS = {"K": 1 / 1024**2, "M": 1 / 1024, "G": 1.0, "T": 1024.0, "": 1 / 1024**3}


def cluster_use(logs: Path) -> tuple[pd.DataFrame, str]:
    """Jobs by rule: number, hours and memory asked and used, GPU hours; and a sentence when there is no such account.

    logs: the folder of Snakemake's logs (``.snakemake/log``).  A requeued job is counted each time.
    """
    rules = submitted(logs)
    if not rules:
        return pd.DataFrame(), "No job of this project went through Slurm: times are from the benchmark files alone."
    if shutil.which("sacct") is None:
        return pd.DataFrame(), "Jobs went through Slurm, but its accounting cannot be asked here (no sacct)."
    ids, lines = sorted(rules, key=int), []
    for start in range(0, len(ids), _AT_ONCE):
        command = ["sacct", "-P", "-n", "--duplicates", "-j", ",".join(ids[start : start + _AT_ONCE])]
        done = subprocess.run([*command, "--format", ",".join(_FIELDS)], capture_output=True, text=True)
        if done.returncode:
            return pd.DataFrame(), f"Slurm's accounting did not answer: {done.stderr.strip()}"
        lines += done.stdout.splitlines()
    return by_rule(lines, rules), ""


def submitted(logs: Path) -> dict[str, str]:
    """Slurm job id to the rule or group that it ran, from Snakemake's logs."""
    found: dict[str, str] = {}
    for path in sorted(logs.glob("*.snakemake.log")):
        found.update(_SUBMITTED.findall(path.read_text(encoding="utf-8", errors="replace")))
    return found


def by_rule(lines: list[str], rules: dict[str, str]) -> pd.DataFrame:
    """The table, from ``sacct -P`` lines: a job's own line, then those of its steps, which know the memory used."""
    jobs: list[dict[str, Any]] = []
    for line in lines:
        job, state, elapsed, limit, requested, used, cpu, allocated = line.split("|")
        if "." not in job:
            gpus = re.search(r"gres/gpu=(\d+)", allocated)
            jobs.append(
                {
                    "rule": rules.get(job, "?"),
                    "state": state.split()[0],
                    "hours": int(elapsed) / 3600,
                    "limit": int(limit) / 60 if limit.isdigit() else float("nan"),
                    "asked": gigabytes(requested),
                    "used": 0.0,
                    "cpu": _hours(cpu),
                    "gpus": int(gpus[1]) if gpus else 0,
                }
            )
        elif jobs:
            jobs[-1]["used"] = max(jobs[-1]["used"], gigabytes(used))
    frame = pd.DataFrame(jobs)
    frame["gpu hours"] = frame["hours"] * frame["gpus"]
    frame["again"] = ~frame["state"].isin(["COMPLETED", "RUNNING", "PENDING"])
    table = frame.groupby("rule").agg(
        **{
            "jobs": ("rule", "size"),
            "not completed": ("again", "sum"),
            "time asked (h)": ("limit", "max"),
            "longest (h)": ("hours", "max"),
            "memory asked (GB)": ("asked", "max"),
            "most memory (GB)": ("used", "max"),
            "hours in all": ("hours", "sum"),
            "CPU hours": ("cpu", "sum"),
            "GPU hours": ("gpu hours", "sum"),
        }
    )
    return table.reset_index().sort_values("hours in all", ascending=False, ignore_index=True)


def gigabytes(text: str) -> float:
    """Slurm's '1500M', '2.5G', '4096K' or '' in GB (1024 cubed)."""
    match = re.match(r"([\d.]+)([KMGT]?)", text)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def _hours(text: str) -> float:
    """Slurm's '1-02:03:04', '02:03:04' or '03:04.567' in hours."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part or 0)
    return int(days or 0) * 24 + seconds / 3600
