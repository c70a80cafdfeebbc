"""Training that takes longer than its time limit: warned minutes before, it saves a checkpoint and requeues its job.

A scheduler's limit is a day where an epoch is a week.  Slurm sends a signal before the limit (``--signal``, asked for
by the rule); training finishes its step, saves a checkpoint and puts its own job back into the queue (``scontrol
requeue``).  Snakemake sees one job that waits and runs again, always with the same time: no attempt is used up, and a
real error still fails at once.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from types import FrameType
from typing import TYPE_CHECKING

from starglot.errors import StarglotError

if TYPE_CHECKING:
    from transformers import Trainer

log = logging.getLogger(__name__)

#: Slurm signals all processes of a job step, also the shells, ``tee`` and Snakemake around the training.  Of the
#: signals that may be sent this is one that those who do not know it ignore; USR1 would end them.
SIGNAL = signal.SIGURG
#: Seconds that a job waits to be ended by the scheduler once it has been put back.
_PATIENCE = 120
_stop_requested = False


def listen() -> None:
    """Note ``SIGNAL`` from now on: also while a model is loading, and then training ends after its first step."""
    global _stop_requested
    _stop_requested = False
    signal.signal(SIGNAL, _note)


def _note(number: int, frame: FrameType | None) -> None:
    global _stop_requested
    _stop_requested = True


def stop_requested() -> bool:
    """Whether this process was told that its time is nearly up."""
    return _stop_requested


def another_turn(trainer: Trainer) -> None:
    """Put this job back into Slurm's queue and wait for its end; without Slurm, stop with a message.

    Raises StarglotError when the job is not ended: Slurm does not take it back, or there is no Slurm.
    """
    step, steps = trainer.state.global_step, trainer.state.max_steps
    log.info("stopped by a signal after step %d of %d; the checkpoint is saved", step, steps)
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        asks = trainer.is_world_process_zero()
        refused = asks and subprocess.run(["scontrol", "requeue", job], check=False).returncode
        if not refused:
            time.sleep(_PATIENCE)  # Slurm ends all processes of a job that it takes back
    raise StarglotError(
        f"training was stopped by a signal after step {step} of {steps}",
        where=str(trainer.args.output_dir),
        todo="run the same command again: it continues from there",
    )
