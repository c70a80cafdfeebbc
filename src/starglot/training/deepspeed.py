"""ZeRO stage 3 (paper 3.3): weights, gradients and optimiser states shared out over the GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starglot.config.kinds.llm import Training

if TYPE_CHECKING:
    from torch import nn


def zero_3(training: Training) -> dict[str, Any]:
    """The DeepSpeed configuration of a training; ``auto`` is filled in by Hugging Face's Trainer.

    Nothing is offloaded: a quantised 8B model fits one GPU, and sharding pays from 70B on.  16-bit weights are
    gathered on saving, so that the adapter comes out as one file whatever the number of GPUs.
    """
    return {
        "train_micro_batch_size_per_gpu": training.batch,
        "gradient_accumulation_steps": training.accumulate,
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_optimization": {
            "stage": 3,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "stage3_gather_16bit_weights_on_model_save": True,
            "stage3_param_persistence_threshold": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "reduce_bucket_size": "auto",
        },
        "zero_allow_untested_optimizer": True,
        "wall_clock_breakdown": False,
    }


@contextmanager
def whole(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Parameters that ZeRO-3 has shared out, each in one piece in every process as long as the context lasts.

    All processes enter it together.  Others are as they are.
    """
    sharded = [each for each in parameters if hasattr(each, "ds_id")]
    if not sharded:
        yield
        return
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters(sharded):
        yield


def sizes(parameters: Iterable[nn.Parameter]) -> list[int]:
    """Numbers that each parameter has, shared out or not."""
    return [int(getattr(each, "ds_numel", each.numel())) for each in parameters]


def on_the_cpu() -> None:
    """Let ZeRO-3 run between CPU processes, over gloo: the recipe can be tried, and tested, without a GPU.

    Accelerate leaves DeepSpeed out on a CPU, and DeepSpeed would compile a shared-memory transport for a minute.
    Neither has a setting against it, so that both are told in what they keep private (accelerate 1.15, DeepSpeed
    0.19; tests/contract/test_private_interfaces.py looks whether it is there).
    Call it under a launcher, before the training's arguments are made.
    """
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_CPU)
