"""Groups of small jobs that stay as large as the profile says, reserve what they use, and start Snakemake once.

Snakemake 9.27 cuts the jobs of a group into submissions of `group-components` jobs each time it looks at the graph,
and twice before the first job where a checkpoint is done already.  Its `GroupJobFactory` hands out the objects of the
time before, which have been merged, so that the second time 16 submissions of 16 jobs become one of 256, whose jobs
stand in others as well: its time limit is beyond what partitions allow, and two submissions write the same file.

It reserves processors and memory for as many jobs of a submission at once as `cores` allows.  The Slurm plugin (2.8)
runs them one after the other (it starts `snakemake --executor slurm-jobstep --jobs 1`, which waits for each), so that
16 shards that need a processor each would reserve 16 and use one.

The plugin starts a Snakemake of its own for each job of a submission, in an ``srun`` of its own.  It reads the same
files again and takes as much processor time as a small job does; the Snakemake that holds the submission runs the
jobs itself, as on one machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snakemake.dag import DAG
from snakemake.exceptions import print_exception
from snakemake.jobs import GroupJobFactory
from snakemake.logging import logger
from snakemake.resources import GroupResources, Resource, SizedResources
from snakemake.settings.types import GroupSettings
from snakemake_executor_plugin_slurm_jobstep import Executor as JobStep
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

#: What is said of a submission as a whole: its time, and how many nodes it has.
_OF_ALL = ("runtime", "_nodes")

_plain_update = DAG.update_groups
_side_by_side = GroupResources.basic_layered
_plain_run = JobStep.run_job


def _update_anew(graph: DAG) -> None:
    """Cut groups as if for the first time; one that runs already stays the object that Snakemake waits for."""
    if not any(job.group and graph.is_running(job) for job in graph.jobs):
        graph.group_job_factory = GroupJobFactory()
    _plain_update(graph)


def _one_at_a_time(
    toposorted_jobs: list[list[Any]], constraints: Any, run_local: bool, **given: Any
) -> Mapping[str, Any]:
    """What a submission reserves: of everything as much as the largest of its jobs needs, and Snakemake's time.

    The time stays that of `cores` jobs at once: limits of single jobs leave room for slow ones, which do not all come
    together, and their sum would be beyond what partitions allow.
    """
    found = dict(_side_by_side(toposorted_jobs, constraints, run_local, **given))
    if run_local:
        return found
    alone = [_side_by_side([[job]], constraints, run_local, **given) for level in toposorted_jobs for job in level]
    for name, value in found.items():
        if isinstance(value, int) and name not in _OF_ALL:
            found[name] = max(each.get(name, 0) for each in alone)
    for name in SizedResources:
        if f"{name}_mb" in found:
            found[name] = Resource(name, found[f"{name}_mb"]).format_human_friendly()
    return found


def _run_in_this_process(self: Any, job: Any) -> None:
    """A job of a submission, run to its end: by this process where it holds a group, else as the plugin does it."""
    if self.workflow.group_settings.local_groupid == GroupSettings.local_groupid:
        _plain_run(self, job)
        return
    submitted = SubmittedJobInfo(job)
    self.report_job_submission(submitted)
    local = ExecutorPluginRegistry().get_plugin("local").executor(self.workflow, logger)
    try:
        local.run_single_job(job).result()
    except Exception as error:  # whatever a job ends in, as in Snakemake's own callback
        print_exception(error, self.workflow.linemaps)
        self.report_job_error(submitted)
    else:
        self.report_job_success(submitted)
    finally:
        local.shutdown()


def bound_groups() -> None:
    """Have this process's Snakemake cut groups anew each time, reserve for one job of each at a time, and run it."""
    DAG.update_groups = _update_anew
    GroupResources.basic_layered = _one_at_a_time
    JobStep.run_job = _run_in_this_process
