"""Which models are asked what they have retained of their language, and which untuned ones they are compared with."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.bases.outside import base_slug
from starglot.config.faults import unknown
from starglot.config.kinds.llm import AdaptedBase
from starglot.config.names import read_name
from starglot.config.queries import language_models, run_language_models
from starglot.config.root import Config


def retention_models(config: Config, task: str) -> list[str]:
    """The language models that are asked: those named, else those that a task of `run:` is built with."""
    return run_language_models(config, task) if config.retention.models is None else config.retention.models


def untuned_name(config: Config, model: AdaptedBase) -> str:
    """Name of what ``model`` is compared with: its base without an adapter, quantised in the same way."""
    base = model.base if model.base in config.bases else base_slug(model.base, model.revision)
    return f"{base}-{model.quantisation}"


def untuned_models(config: Config) -> dict[str, AdaptedBase]:
    """Untuned model -> settings of one of the language models that are compared with it."""
    return {untuned_name(config, model): model for model in language_models(config).values()}


def retention_faults(config: Config) -> Iterator[str]:
    """What is wrong with the models that are to be asked."""
    known = language_models(config)
    for name in config.retention.models or []:
        if read_name(name).model not in known:
            yield unknown("retention.models", name, known)
