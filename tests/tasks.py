"""Tasks for tests, in few words."""

from collections.abc import Sequence
from typing import Any

from starglot.config.tasks import Task


def task_of(form: str, labels: Sequence[str], *, decimals: Any = None, ask_all: float = 0.5, **sample: Any) -> Task:
    """A task; sample: fields of ``config.tasks.Sample`` over those of one of LAMOST that takes all spectra."""
    question = {"form": form, "labels": list(labels), "decimals": decimals or {}, "ask_all": ask_all}
    plain = {"source": "lamost", "balanced": False, "sizes": {"all": None}}
    return Task.model_validate({"question": question, "sample": {**plain, **sample}})
