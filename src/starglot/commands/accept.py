"""Accept results as current after an edit of the code that leaves them as they are: nothing runs again for it.

Accepted are the target and all that it is made from, as far as only code was edited; any other change still counts.
The decision is recorded in <results>/accepted.json and in the target's manifest, and the report shows it.  A training
that has begun and is not finished is accepted, too: it then goes on from its checkpoint.

starglot accept --because "loop unrolled, same values" TARGET --configfile config/demo.yaml

With --as-begun, trainings that have begun are finished with the code that they began with.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from pathlib import Path

from starglot.training.begun import Begun, accept, begun_for, definitions_of, finish_as_begun
from starglot.workflow.rebuilds.accepted import RECORDS, Acceptance, add_accepted, note_in_manifest
from starglot.workflow.rebuilds.explain import Job, causes, edited_definitions
from starglot.workflow.rebuilds.plan import Plan

AS_BEGUN = "finished with the code that the training began with"


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser(
        "starglot accept",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other arguments go to snakemake: targets, --configfile, --profile.",
    )
    decision = made.add_mutually_exclusive_group(required=True)
    decision.add_argument("--because", help="why the edit changes no result; goes on record")
    decision.add_argument(
        "--as-begun", action="store_true", help="finish trainings that have begun with the code that they began with"
    )
    return made


def run(arguments: Sequence[str]) -> None:
    """Take the decision and its reason; all other arguments are snakemake's."""
    known, others = parser().parse_known_args(arguments)
    accept_all(known.because, others)


def accept_all(because: str | None, arguments: Sequence[str]) -> None:
    """Record the decision for every job of the plan whose code alone has changed; say what still runs.

    because: the reason; None: trainings alone, to be finished with the code that they began with.
    """
    accepted = 0
    while True:
        plan = Plan(arguments)
        records = [_record(job, plan.state / "code", because) for job in plan.jobs if because and job.only_code()]
        for job, begun in _begun(plan):
            records.append(_decided(job, begun, because, plan.scripts))
        if not records:
            break
        for record in records:
            note_in_manifest(record, ".")
            print(
                f"accepted: {record.target} (code {record.kept} for {record.given}: {', '.join(record.definitions)})"
            )
        # What lies below the inventory is planned once that need not run.
        add_accepted(plan.results / RECORDS, records)
        accepted += len(records)
    for job in plan.jobs:
        print(f"still runs: {job.name}: {'; '.join(causes(job, plan.state / 'code'))}")
    if not accepted:
        print("nothing was accepted: no result differs by its code alone")


def _begun(plan: Plan) -> list[tuple[Job, Begun]]:
    """Jobs that would restart a training that began with other code, each with the latest such training."""
    found = ((job, begun_for(plan.state, job.target)) for job in plan.jobs if job.target in job.missing)
    return [(job, begun[-1]) for job, begun in found if begun and begun[-1].code != job.expected_code()]


def _decided(job: Job, begun: Begun, because: str | None, scripts: Path) -> Acceptance:
    """Note the decision where the training has begun, and what the workflow has to know of it."""
    given, here = job.expected_code(), definitions_of(scripts / f"{job.script}.py")
    if because is None:
        finish_as_begun(begun)
    else:
        accept(begun, given, here, job.definitions, because)
    return Acceptance(
        target=job.target,
        script=job.script,
        wildcards=dict(job.wildcards),
        kept=begun.code,
        given=given,
        definitions=tuple(begun.edited(here) or ["not on record"]),
        because=because or AS_BEGUN,
        date=datetime.date.today().isoformat(),
    )


def _record(job: Job, code: Path, because: str) -> Acceptance:
    kept, given = job.code_change() or ("", "")
    return Acceptance(
        target=job.target,
        script=job.script,
        wildcards=dict(job.wildcards),
        kept=kept,
        given=given,
        definitions=tuple(edited_definitions(code, kept, job.definitions) or ["not on record"]),
        because=because,
        date=datetime.date.today().isoformat(),
    )
