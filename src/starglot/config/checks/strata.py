"""What is wrong with the strata of a sample."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.faults import unknown
from starglot.config.tasks import Task


def strata_faults(at: str, task: Task) -> Iterator[str]:
    """Of a task's sample, whose key is ``at``."""
    strata = task.sample.strata
    if strata is None:
        return
    if strata.label not in task.labels:
        yield unknown(f"{at}.strata.label", strata.label, task.labels)
    if sorted(set(strata.edges)) != strata.edges:
        yield f"{at}.strata.edges: {strata.edges} do not rise"
    if task.sample.balanced:
        yield f"{at}.strata: a balanced sample has equal numbers of its groups; leave strata out, or balanced"
