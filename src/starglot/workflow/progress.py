"""A run as lines of a terminal: which job is done, how many of how many, and about how long the rest will take.

Knows nothing of Snakemake; ``snakemake_logger_plugin_starglot`` tells it what happens.
"""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Jobs that must have ended before a time is named: below, this machine's speed is not known.
_KNOWN_AFTER = 5

#: Share of the remaining jobs whose rules have no known time, above which none is named.
_UNKNOWN_SHARE = 0.1

#: Lines of a failed job's log that are shown where it has no error message of ours.
_TAIL = 15


@dataclass(frozen=True)
class Job:
    """A running job: its rule, what it is in words, the cores that it has, when it began, and its logs."""

    rule: str
    what: str
    threads: int
    began: float
    logs: tuple[str, ...]


class Progress:
    """Counts jobs and estimates the time that is left.

    expected: core-seconds of a job by rule, as measured in an earlier run, on whatever machine; they are scaled to
    this one by the jobs that have ended here, and give way to this run's own mean of a rule.
    """

    def __init__(
        self, expected: Mapping[str, float] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected = dict(expected or {})
        self._clock = clock
        self._planned: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._first: float | None = None
        self.running: dict[int, Job] = {}
        self.total = 0
        self.done = 0
        self.failed = 0

    def plan(self, jobs: Mapping[str, int]) -> None:
        """Take the number of jobs by rule that a run begins with."""
        self._planned = Counter(jobs)
        self.total = sum(jobs.values())

    def start(self, number: int, rule: str, what: str, threads: int = 1, logs: Sequence[str] = ()) -> None:
        """Note that job ``number`` of the run begins."""
        now = self._clock()
        self._first = now if self._first is None else self._first
        self.running[number] = Job(rule, what, threads, now, tuple(logs))

    def finish(self, number: int) -> str:
        """Note that a job is done; the line that says so."""
        job = self._end(number)
        self.done += 1
        self.total = max(self.total, self.done)
        left = self.seconds_left()
        width = len(str(self.total))
        time_left = "" if left is None or self.done == self.total else f", ~{in_words(max(10.0, round(left, -1)))}"
        return f"[{self.done:>{width}}/{self.total}{time_left}] {job.what if job else f'job {number}'}"

    def fail(self, number: int) -> list[str]:
        """Note that a job has failed; lines that say which, what went wrong, and where its log is."""
        job = self._end(number)
        self.failed += 1
        what, logs = (job.what, job.logs) if job else (f"job {number}", ())
        lines = [f"FAILED: {what}"]
        for log in logs:
            lines += [f"    {line}" for line in complaint(Path(log))]
        return lines + [f"    log: {log}" for log in logs]

    def stop(self, number: int) -> str:
        """Note that a job was ended with the run; the line that says so."""
        job = self._end(number)
        return f"stopped: {job.what if job else f'job {number}'}"

    def elapsed(self) -> float:
        """Seconds since the first job began."""
        return 0.0 if self._first is None else self._clock() - self._first

    def seconds_left(self) -> float | None:
        """Seconds until the run ends, if jobs go on as they went; None while too little is known to say."""
        if sum(self._ended.values()) < _KNOWN_AFTER:
            return None
        now = self._clock()
        spent = sum(self._spent.values()) + sum((now - job.began) * job.threads for job in self.running.values())
        if not (spent > 0 and self.elapsed() > 0):
            return None
        cores = spent / self.elapsed()
        remaining = self._planned - self._ended
        open_rules = {rule: self._core_seconds(rule) for rule in remaining}
        unknown = sum(remaining[rule] for rule, seconds in open_rules.items() if seconds is None)
        unknown += max(0, self.total - self.done - sum(remaining.values()))
        if unknown > _UNKNOWN_SHARE * (self.total - self.done):
            return None
        rest = sum(remaining[rule] * (seconds or 0.0) for rule, seconds in open_rules.items())
        for job in self.running.values():
            rest -= min((now - job.began) * job.threads, open_rules.get(job.rule) or 0.0)
        return max(0.0, rest) / cores

    def _core_seconds(self, rule: str) -> float | None:
        """Core-seconds of a job of ``rule``: this run's mean, or another run's at this machine's speed."""
        if self._ended[rule]:
            return self._spent[rule] / self._ended[rule]
        if rule not in self._expected:
            return None
        known = [name for name in self._ended if name in self._expected]
        before = sum(self._expected[name] * self._ended[name] for name in known)
        return self._expected[rule] * (sum(self._spent[name] for name in known) / before) if before > 0 else None

    def _end(self, number: int) -> Job | None:
        job = self.running.pop(number, None)
        if job is not None:
            self._ended[job.rule] += 1
            self._spent[job.rule] += (self._clock() - job.began) * job.threads
        return job


def described(rule: str, wildcards: Mapping[str, str]) -> str:
    """A job in words: 'train llm-demo, atmosphere, size demo', 'clean shard 60000-X', 'draw paper 3'."""
    rest = dict(wildcards)
    words = rule.replace("_", " ")
    if "model" in rest and rule.startswith(("train_", "predict_")):
        words = f"{words.split()[0]} {rest.pop('model')}"
        named = [words]
    else:
        named = [" ".join([words, *([str(rest.pop(next(iter(rest))))] if rest else [])])]
    named += [f"{name} {value}" if name in ("size", "set") else str(value) for name, value in rest.items()]
    return ", ".join(named)


def in_words(seconds: float) -> str:
    """A time in two digits or so: '40 s', '9 min', '2.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def complaint(log: Path) -> list[str]:
    """What a failed job said at the end of its log: its message, an exception without its traceback, or its end."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    said = max((i for i, line in enumerate(lines) if " error: " in line or ": stopped by SIG" in line), default=None)
    if said is not None:
        return lines[said:]
    trace = max((i for i, line in enumerate(lines) if line.startswith("Traceback (most recent")), default=None)
    if trace is not None:
        frames = (i for i in range(trace + 1, len(lines)) if not lines[i].startswith(" "))
        return lines[next(frames, trace) :][-_TAIL:]
    return lines[-_TAIL:]


def read_expected(path: Path) -> dict[str, float]:
    """Core-seconds of a job by rule, from a table with columns ``rule`` and ``core_seconds``; none without it."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["rule"]: float(row["core_seconds"]) for row in csv.DictReader(file, delimiter="\t")}
