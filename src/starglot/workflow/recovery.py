"""After a run was killed: what it left running ends, what it finished is kept, and the folder is free again.

A killed Snakemake leaves a lock and jobs that run on, on this machine or in Slurm's queue.  Started again beside them
it would write the same files a second time.  So every run notes itself when it starts (:func:`note_run`), and
recovery (:func:`recover`) looks for what is left of it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import psutil

from starglot.errors import StarglotError
from starglot.tables import read_json, write_json

log = logging.getLogger(__name__)

#: Slurm jobs of this project are named by this and the id of their run (profiles/slurm: slurm-jobname-prefix).
JOB_PREFIX = "starglot_"
_NOTE = ".snakemake/starglot.json"
#: Where Snakemake (9) keeps its locks, and a file for each output of a job that has begun and not ended.  It has no
#: command that tells of either; tests/workflow/test_recovery.py kills runs of the Snakemake that is installed.
_LOCKS = ".snakemake/locks"
_MARKS = ".snakemake/incomplete"
#: What decides what a run makes, besides its command line and the files named there.
_MADE_BY = ("Snakefile", "config", "rules", "workflow")
#: Seconds until processes that were asked to end are killed, and until cancelled Slurm jobs must be gone.
_GRACE, _GONE = 10, 180


def note_run(folder: Path, targets: Collection[str]) -> None:
    """Note in ``folder`` who runs there: machine, process, command line, and a digest of what decides the results."""
    if "--touch" in sys.argv:  # recovery's own call
        return
    options = [word for word in sys.argv[1:] if word not in targets and word != "--"]
    write_json(
        {
            "host": platform.node(),
            "process": os.getpid(),
            "options": options,
            "targets": list(targets),
            "digest": _digest(folder, options),
        },
        folder / _NOTE,
    )


def noted_command(folder: Path) -> str | None:
    """The command line of the last run in ``folder``, as :func:`note_run` noted it; None where none has."""
    if not (folder / _NOTE).is_file():
        return None
    note = read_json(folder / _NOTE)
    return _command(note["options"], note["targets"])


def _command(options: Sequence[str], targets: Sequence[str]) -> str:
    return shlex.join(["snakemake", *options, *(["--", *targets] if targets else [])])


def recover(folder: Path, elsewhere: bool = False, stop: bool = False) -> str | None:
    """End, keep and unlock what a killed run left in ``folder``; the command to run again, None if nothing was left.

    elsewhere: go on although the run was started on another machine (which cannot be seen from here);
    stop: end a run that is alive here, with its jobs, first.
    Raises StarglotError when a run is alive, or may be, and when Slurm jobs do not end.
    """
    folder = folder.resolve()
    noted = (folder / _NOTE).is_file()
    note = read_json(folder / _NOTE) if noted else {"options": [], "targets": []}
    locked = (folder / _LOCKS).is_dir() and any((folder / _LOCKS).iterdir())
    if not (noted or locked):
        return None
    if stop:
        _stop_the_living(folder)
    _refuse_the_living(folder, note.get("host", platform.node()), locked, elsewhere)
    by_slurm = "slurm" in " ".join(note["options"])
    # Slurm first: jobs of its own that run on this machine would else end as failed, and not as cancelled.
    ended = _cancel_slurm_jobs(folder, by_slurm) if locked or by_slurm else 0
    ended += _end_processes(folder)
    if not (locked or ended):
        return None
    options, targets = note["options"], note["targets"]
    log.info("unlocking %s", folder)
    _snakemake(folder, options, "--unlock", targets)
    if options:
        _keep_finished(folder, options, targets, unchanged=note["digest"] == _digest(folder, options))
    half_made = [] if "--rerun-incomplete" in options or "--profile" in options else ["--rerun-incomplete"]
    return _command([*half_made, *options], targets)


def _living(folder: Path) -> list[psutil.Process]:
    """The runs of Snakemake that are alive in ``folder``, on this machine; not the Snakemakes of their jobs."""
    return _here(folder, lambda words: _is_snakemake(words) and "--mode" not in words)


def _stop_the_living(folder: Path) -> None:
    """End the runs that are alive, and the jobs that they have on this machine, within seconds.

    Snakemake alone would wait for its jobs.  Those that it has in Slurm's queue are cancelled in recovery.
    """
    for run in _living(folder):
        log.info("stopping the run of process %d and its jobs", run.pid)
        # One that has ended meanwhile is as wanted; a run may be the child of the one before (`timeout snakemake`).
        with contextlib.suppress(psutil.NoSuchProcess):
            jobs = run.children(recursive=True)
            run.terminate()  # it begins no job any more; SIGINT would not reach one that a script put aside
            psutil.wait_procs([run], timeout=1)  # time to hear it: jobs that end before would count as failed
            for job in jobs:
                with contextlib.suppress(psutil.NoSuchProcess):
                    job.terminate()
            for left in psutil.wait_procs([run, *jobs], timeout=_GRACE)[1]:
                left.kill()


def _refuse_the_living(folder: Path, host: str, locked: bool, elsewhere: bool) -> None:
    for process in _living(folder):
        raise StarglotError(
            f"snakemake is running here (process {process.pid})",
            where=folder,
            todo="let it finish, or stop it and its jobs: make recover STOP=1",
        )
    if locked and host != platform.node() and not elsewhere:
        raise StarglotError(
            f"the last run was started on {host}, and may still be running there",
            where=folder,
            todo=f"recover on {host}; or here with --elsewhere, when nothing runs there any more",
        )


def _cancel_slurm_jobs(folder: Path, by_slurm: bool) -> int:
    """Cancel this folder's jobs and wait until Slurm has ended them all; how many there were.

    by_slurm: whether the run was told of Slurm; if not, a Slurm that does not answer is none of its business.
    """
    if shutil.which("squeue") is None:
        return 0
    try:
        jobs = _slurm_jobs(folder)
    except StarglotError as error:
        if by_slurm:
            raise
        log.warning(
            "Slurm is installed here and does not answer; the run did not use it, as far as can be seen (%s)", error
        )
        return 0
    if not jobs:
        return 0
    log.info("cancelling %d Slurm job(s) that the run left: %s", len(jobs), " ".join(jobs))
    subprocess.run(["scancel", *jobs], check=True)
    until = time.monotonic() + _GONE
    while left := _slurm_jobs(folder):
        if time.monotonic() > until:
            raise StarglotError(
                f"{len(left)} Slurm job(s) do not end: {' '.join(left)}",
                where=folder,
                todo="see what they wait for (squeue --me), and recover again",
            )
        time.sleep(1)
    return len(jobs)


def _slurm_jobs(folder: Path) -> list[str]:
    """Ids of this user's jobs that were submitted from ``folder`` and have not ended."""
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format", "%A|%j|%Z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise StarglotError("Slurm does not answer", where=listed.stderr.strip(), todo="try again when it does")
    rows = (line.split("|", 2) for line in listed.stdout.splitlines())
    own = (job for job, name, at in rows if name.startswith(JOB_PREFIX) and os.path.realpath(at) == str(folder))
    return sorted(set(own))


def _end_processes(folder: Path) -> int:
    """End scripts and job processes that a killed run left on this machine; how many there were."""
    left = list(_here(folder, lambda words: _is_snakemake(words) or any("workflow/scripts/" in w for w in words)))
    if not left:
        return 0
    log.info("ending %d process(es) that the run left: %s", len(left), " ".join(str(one.pid) for one in left))
    for process in left:
        process.terminate()
    for process in psutil.wait_procs(left, timeout=_GRACE)[1]:
        process.kill()
    psutil.wait_procs(left, timeout=_GRACE)
    return len(left)


def _here(folder: Path, wanted: Callable[[Sequence[str]], bool]) -> list[psutil.Process]:
    """This user's processes that work in ``folder`` and whose words are ``wanted``; not this one, nor its parents."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid in mine or process.uids().real != os.getuid() or process.cwd() != str(folder):
                continue
            words = process.cmdline()
        except psutil.Error:  # ended meanwhile, or none of our business
            continue
        if wanted(words):
            found.append(process)
    return found


def _is_snakemake(words: Sequence[str]) -> bool:
    """Whether a command line is Snakemake's: the program, or its module run by Python."""
    return any(Path(word).name == "snakemake" or "snakemake/__main__.py" in word for word in words[:3])


def _keep_finished(folder: Path, options: Sequence[str], targets: Sequence[str], unchanged: bool) -> None:
    """Record what jobs finished when no Snakemake was there to see it; remove it where settings or code have changed.

    Without a record Snakemake would take these files for current for ever, whatever changes.
    """
    half_made, summary = _half_made(folder), _snakemake(folder, options, "--summary", targets)
    unseen = [name for name in _unrecorded(summary) if name not in half_made]
    if not unseen:
        return
    if unchanged:
        log.info("keeping %d file(s) that were finished after the run was killed", len(unseen))
        _snakemake(folder, [*options, "--force"], "--touch", unseen)
    else:
        log.info("settings or code have changed since: %d file(s) finished meanwhile are made anew", len(unseen))
        for name in unseen:
            (folder / name).unlink(missing_ok=True)


def _unrecorded(summary: str) -> list[str]:
    """Files that are there, current by time, and without a record, from Snakemake's summary table."""
    rows = (line.split("\t") for line in summary.splitlines()[1:])
    return [row[0] for row in rows if len(row) >= 6 and row[3] == "-" and row[4] == "ok" and row[5] == "no update"]


def _half_made(folder: Path) -> set[str]:
    """Files that Snakemake marked when their jobs began, and whose jobs did not end: markers are named by them."""
    marks = folder / _MARKS
    names = (str(path.relative_to(marks)) for path in marks.rglob("*") if path.is_file())
    encoded = (name.replace("@", "").replace("/", "") for name in names)  # a long name is folders
    return {base64.urlsafe_b64decode(name).decode() for name in encoded}


def _snakemake(folder: Path, options: Sequence[str], action: str, targets: Sequence[str]) -> str:
    """Run Snakemake in ``folder`` for ``action``; its standard output.  Raises StarglotError when it fails."""
    command = [sys.executable, "-m", "snakemake", *options, action, "--", *targets]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise StarglotError(
            f"snakemake {action} fails: {done.stderr.strip()[-2000:]}",
            where=folder,
            todo="correct the cause, and recover again",
        )
    return done.stdout


def _digest(folder: Path, options: Sequence[str]) -> str:
    """Digest of a command line, the files that it names, and the files that decide what a run makes."""
    named = [folder / word for word in options if (folder / word).is_file()]
    places = [*(folder / part for part in _MADE_BY), Path(__file__).parent, *named]
    every = (path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*"))))
    digest = hashlib.sha256(repr(list(options)).encode())
    for path in every:
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
