"""The jobs that snakemake would run, with what its records and the disk say of them."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starglot.config.picked import picked
from starglot.errors import StarglotError
from starglot.hashing import file_digest
from starglot.workflow.provenance.code import code_definitions
from starglot.workflow.rebuilds.explain import Job

#: The series of Snakemake whose private steps :func:`show_graph` takes.
_SERIES = "9"


def show_graph(arguments: Sequence[str], look: Callable[[Any], None]) -> None:
    """Have Snakemake build its graph of jobs, as a run with ``arguments`` would, and show its Workflow to ``look``.

    Nothing runs.  Snakemake prints its graph, and has no public way to ask what is in it: for this once, what
    ``--summary`` calls is replaced; it builds the graph by the same two private steps and does not print it.

    Raises StarglotError when Snakemake is not of a release that this was made for, and, with its own words, when it
    cannot plan.
    """
    import snakemake
    from snakemake import cli
    from snakemake.workflow import Workflow

    if snakemake.__version__.split(".")[0] != _SERIES:
        raise StarglotError(
            "the graph of jobs cannot be looked at with this release of Snakemake",
            where=f"snakemake {snakemake.__version__}",
            allowed=f"snakemake {_SERIES}",
            todo="make setup",
        )
    shown = False

    def instead(workflow: Any, detailed: bool = False) -> None:
        nonlocal shown
        workflow._prepare_dag(forceall=workflow.dag_settings.forceall, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        look(workflow)
        shown = True

    summary, Workflow.summary = Workflow.summary, instead
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            cli.main(["--summary", *arguments])
    except SystemExit as end:
        if not shown:
            raise StarglotError(
                f"snakemake cannot plan this; it says:\n{said.getvalue().strip()}",
                where=f"snakemake {' '.join(arguments)}",
                todo="correct what it names, then plan again",
            ) from end
    finally:
        Workflow.summary = summary


class Plan:
    """The jobs that snakemake would run for some arguments, in order, and where the workflow keeps things.

    Raises StarglotError as :func:`show_graph` does.
    """

    def __init__(self, arguments: Sequence[str]):
        self.jobs: list[Job] = []
        self.results = self.state = self.scripts = Path()
        show_graph(arguments, self._take)

    def _take(self, workflow: Any) -> None:
        config = workflow.globals["CONFIG"]
        self.results, self.state = Path(config.results), Path(config.state_dir)
        self.scripts = scripts_of(workflow)
        order = {job: level for level, jobs in enumerate(workflow.dag.toposorted()) for job in jobs}
        planned = [job for job in workflow.dag.needrun_jobs() if job.output]
        for job in sorted(planned, key=lambda job: (order[job], job.rule.name, str(job.output[0]))):
            self.jobs.append(_described(workflow, job))


def scripts_of(workflow: Any) -> Path:
    """The folder of the workflow's scripts."""
    return Path(workflow.basedir) / "workflow" / "scripts"


def _described(workflow: Any, job: Any) -> Job:
    """A job of snakemake's, with what its record and the disk say."""
    record, reason, dag = workflow.persistence, workflow.dag.reason(job), workflow.dag
    target = job.output[0]
    named = re.search(r"/(\w+)\.py\b", job.rule.shellcmd or "")
    script = named[1] if named else str(job.params.get("script", ""))
    metadata = record.metadata(target)
    remade = {str(path) for path in reason.updated_input_run}
    # Below a checkpoint that runs, the inputs are not known yet.
    waits = any(path.flags.get("checkpoint_target") for path in job.input)
    inputs = set(map(str, job.input))
    known = inputs if metadata is None or metadata.input is None or waits else set(metadata.input)
    checksums = (metadata.input_checksums if metadata else None) or {}
    if metadata is None:
        changed = [str(path) for path in reason.updated_input]
    else:
        changed = [path for path in checksums if path in inputs - remade and _differs(path, checksums[path])]
    lasting = {repr(value) for value in job.non_derived_params}
    before = [other for other in dag.dependencies[job] if dag.needrun(other) and other.output]
    return Job(
        rule=job.rule.name,
        wildcards=dict(job.wildcards.items()),
        target=str(target),
        script=script,
        forced=bool(reason.forced),
        missing=sorted(str(path) for path in job.output if not os.path.exists(path)),
        before=None if metadata is None else metadata.params,
        now={name: repr(value) for name, value in job.params.items() if repr(value) in lasting},
        command=metadata is not None and metadata.code not in (None, job.rule.shellcmd),
        added=sorted(inputs - known),
        removed=sorted(known - inputs),
        changed=sorted(changed),
        after=sorted({" ".join([other.rule.name, *other.wildcards]) for other in before}),
        definitions=_definitions(workflow, job, script) if script else {},
    )


def _definitions(workflow: Any, job: Any, script: str) -> dict[str, str]:
    """Hash of each definition that the job's code is made of."""
    config = workflow.globals["CONFIG"]
    return code_definitions(scripts_of(workflow) / f"{script}.py", picked(config, dict(job.wildcards.items())))


def _differs(path: str, recorded: str) -> bool:
    """Whether a small input's content is another than the recorded one (algorithm:hex, or hex alone)."""
    if not os.path.isfile(path) or recorded is None:
        return False
    algorithm, _, value = recorded.rpartition(":")
    return algorithm in ("", "sha256") and file_digest(path) != value
