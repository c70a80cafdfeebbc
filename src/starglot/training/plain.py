"""Training of the baselines that are fitted in one go: class mean, ridge and kernel ridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from starglot.models.baselines.class_mean import fit_class_mean
from starglot.models.baselines.constant import fit_constant
from starglot.models.baselines.files import save
from starglot.models.baselines.kernel_ridge import fit_kernel_ridge
from starglot.models.baselines.knn import fit_knn
from starglot.models.baselines.ridge import fit_ridge
from starglot.models.baselines.template_fit import fit_template_fit
from starglot.registry import Registry
from starglot.training.baselines import Fitted, Work


def fit_plain(work: Work) -> Fitted:
    """Fit, and write ``baseline.safetensors``."""
    given = {} if work.base is None else {"base": work.base}
    weights, facts = FITS[work.settings.kind](work.settings, work.train, work.val, work.shard_path, **given)
    save(weights, work.settings.kind, work.task, work.made)
    return Fitted({}, {}, facts)


Fit = Callable[..., tuple[dict[str, np.ndarray], dict[str, list[Any]]]]
#: Kind of model -> its fit.
FITS: Registry[Fit] = Registry(
    {
        "class_mean": fit_class_mean,
        "ridge": fit_ridge,
        "kernel_ridge": fit_kernel_ridge,
        "constant": fit_constant,
        "knn": fit_knn,
        "template_fit": fit_template_fit,
    }
)
