"""Accept results as current after an edit of the code that leaves them as they are: nothing runs again for it.

Accepted are the target and all that it is made from, as far as only code was edited; any other change still counts.
The decision is recorded in <results>/accepted.json and in the target's manifest, and the report shows it.

python workflow/scripts/accept.py --because "loop unrolled, same values" TARGET --configfile config/demo.yaml
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from explain import Plan

from starglot.errors import StarglotError
from starglot.rebuilds.accepted import RECORDS, Acceptance, add_accepted, note_in_manifest
from starglot.rebuilds.explain import Job, causes, edited_definitions


def main(because: str, arguments: list[str]) -> None:
    """Record the decision for every job of the plan whose code alone has changed; say what still runs."""
    accepted = 0
    while True:
        plan = Plan(arguments)
        records = [_record(job, plan.state / "code", because) for job in plan.jobs if job.only_code()]
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other arguments go to snakemake: targets, --configfile, --profile.",
    )
    parser.add_argument("--because", required=True, help="why the edit changes no result; goes on record")
    known, others = parser.parse_known_args()
    try:
        main(known.because, others)
    except StarglotError as error:
        sys.exit(f"error: {error}")
