"""Say why jobs would run: which setting, definition or input changed, or which job before makes their inputs anew.

Takes the arguments of snakemake: starglot explain TARGET --configfile config/demo.yaml
"""

from __future__ import annotations

from collections.abc import Sequence

from starglot.workflow.rebuilds.explain import report
from starglot.workflow.rebuilds.plan import Plan


def run(arguments: Sequence[str]) -> None:
    """Print the reasons, or that there is nothing to do."""
    if list(arguments) in (["-h"], ["--help"]):
        print(__doc__)
        return
    plan = Plan(arguments)
    print(report(plan.jobs, plan.state / "code") if plan.jobs else "Nothing to be done: everything is as asked for.")
