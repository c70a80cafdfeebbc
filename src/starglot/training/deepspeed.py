"""ZeRO stage 3 (paper 3.3): weights, gradients and optimiser states shared out over the GPUs."""

from __future__ import annotations

import os
from typing import Any

from starglot.config.kinds.llm import Training


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
