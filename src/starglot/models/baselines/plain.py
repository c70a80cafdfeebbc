"""Kinds that are fitted in one go, by how they read spectra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starglot.config.tasks import Task
from starglot.models.baselines.class_mean import read_class_mean
from starglot.models.baselines.constant import read_constant
from starglot.models.baselines.kernel_ridge import read_kernel_ridge
from starglot.models.baselines.knn import read_knn
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.ridge import read_ridge
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.template_fit import read_template_fit
from starglot.registry import Registry
from starglot.spectra.sample_flux import ShardPath

#: Settings, task, the model's folder, rows, shard to file -> what the model says of them.
READERS: Registry[Callable[[Any, Task, Path, Rows, ShardPath], Answer]] = Registry(
    {
        "class_mean": read_class_mean,
        "ridge": read_ridge,
        "kernel_ridge": read_kernel_ridge,
        "constant": read_constant,
        "knn": read_knn,
        "template_fit": read_template_fit,
    }
)
