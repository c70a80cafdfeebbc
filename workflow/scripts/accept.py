"""Accept results as current after an edit of the code that leaves them as they are: nothing runs again for it.

Accepted are the target and all that it is made from, as far as only code was edited; any other change still counts.
The decision is recorded in <results>/accepted.json, and the report shows it.

python workflow/scripts/accept.py --because "loop unrolled, same values" TARGET --configfile config/demo.yaml
"""

from __future__ import annotations

import argparse
import datetime
import sys

from explain import Plan

from starglot.errors import StarglotError
from starglot.rebuilds.accepted import RECORDS, Acceptance, add_accepted
from starglot.rebuilds.explain import causes, edited_modules


def main(because: str, arguments: list[str]) -> None:
    """Record the decision for every job of the plan whose code alone has changed; say what still runs."""
    plan = Plan(arguments)
    code = plan.state / "code"
    records = []
    for job in plan.jobs:
        if job.only_code():
            kept, given = job.code_change() or ("", "")
            modules = edited_modules(code, kept, job.modules) or ["not on record"]
            records.append(
                Acceptance(
                    target=job.target,
                    script=job.script,
                    wildcards=dict(job.wildcards),
                    kept=kept,
                    given=given,
                    modules=tuple(modules),
                    because=because,
                    date=datetime.date.today().isoformat(),
                )
            )
            print(f"accepted: {job.target} (code {kept} for {given}: {', '.join(modules)})")
    if records:
        add_accepted(plan.results / RECORDS, records)
    left = Plan(arguments).jobs
    for job in left:
        print(f"still runs: {job.target}: {'; '.join(causes(job, code))}")
    if not records:
        print("nothing was accepted: no result differs by its code alone")


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
