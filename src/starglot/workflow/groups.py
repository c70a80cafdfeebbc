"""Groups of small jobs that stay as large as the profile says, whatever Snakemake has planned before.

Snakemake 9.27 cuts the jobs of a group into submissions of `group-components` jobs each time it looks at the graph,
and twice before the first job where a checkpoint is done already.  Its `GroupJobFactory` hands out the objects of the
time before, which have been merged, so that the second time 16 submissions of 16 jobs become one of 256, whose jobs
stand in others as well: its time limit is beyond what partitions allow, and two submissions write the same file.
"""

from __future__ import annotations

from snakemake.dag import DAG
from snakemake.jobs import GroupJobFactory

_plain_update = DAG.update_groups


def _update_anew(graph: DAG) -> None:
    """Cut groups as if for the first time; one that runs already stays the object that Snakemake waits for."""
    if not any(job.group and graph.is_running(job) for job in graph.jobs):
        graph.group_job_factory = GroupJobFactory()
    _plain_update(graph)


def bound_groups() -> None:
    """Have this process's Snakemake cut groups anew each time."""
    DAG.update_groups = _update_anew
