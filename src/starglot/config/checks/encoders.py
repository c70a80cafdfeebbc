"""What is wrong with encoders, and with models that read their embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import EncoderBase, MaskedEncoderBase
from starglot.config.embeddings import (
    embedding_bases,
    encoder_bases,
    encoders_of,
    fitting_views,
    grid_of,
    line_of,
    views_of,
)
from starglot.config.faults import unknown, view_faults
from starglot.config.kinds.baselines import OnBase
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.strict import init_of

#: Values of a spectrum in which a masked encoder has something to hide in each sixth (models/encoders/masked.py).
_LEAST = 600


def encoder_faults(config: Config) -> Iterator[str]:
    """Of every encoder, and of every model that has one or is built on one."""
    encoders = encoder_bases(config)
    for name, base in encoders.items():
        yield from _encoder(config, f"bases.{name}", base)
    for name, model in config.models.items():
        at, base_name = f"models.{name}", getattr(model, "base", None)
        if isinstance(model, OnBase):
            yield from _reader(config, at, name, model, base_name) if base_name else ()
        elif base_name in embedding_bases(config):
            yield (
                f"{at}.base: '{base_name}' is an encoder of spectra, and no language model; kinds mlp and ridge read "
                "such a base, and kind patch_llm as its `encoder`"
            )
        if isinstance(model, PatchLlm) and model.encoder is not None:
            yield from _beside_patches(config, f"{at}.encoder", name, model.encoder)


def _encoder(config: Config, at: str, base: EncoderBase) -> Iterator[str]:
    yield from view_faults(config, f"{at}.view", base.view)
    yield from _start(config, at, base)
    if not isinstance(base, MaskedEncoderBase):
        return
    if base.width % base.heads:
        yield f"{at}: width ({base.width}) must be a multiple of heads ({base.heads})"
    recipe = config.recipes.get(View(base.view).recipe)
    if recipe and recipe.wavelength.size < _LEAST:
        yield f"{at}.view: the grid of '{base.view}' has {recipe.wavelength.size} values; {_LEAST} is the least"


def _start(config: Config, at: str, base: EncoderBase) -> Iterator[str]:
    """Of an encoder that goes on from another one."""
    encoders = encoder_bases(config)
    yield from going_on_faults(config, at, base, encoders, ("kind", "width", "blocks", "heads", "hidden"))
    start = encoders.get(base.init or "")
    if start and grid_of(config, base.view) != grid_of(config, start.view):
        yield f"{at}.view: {base.view} is on another grid than {start.view}, from which '{base.init}' has learnt"


def going_on_faults(
    config: Config,
    at: str,
    base: EncoderBase | AlignedBase,
    starts: Mapping[str, EncoderBase | AlignedBase],
    sizes: Sequence[str],
) -> Iterator[str]:
    """Of a base and the one of ``starts`` that its `init` names, with which it has these settings in common."""
    if base.init is None:
        if base.transfer is not None:
            yield f"{at}.transfer: it says how a base goes on from another one; name that in init"
        return
    if base.init not in starts:
        yield unknown(f"{at}.init", base.init, starts)
        return
    line = line_of(config, base.init)
    if starts[line[-1]].init in line:
        yield f"{at}.init: it starts, over other bases, from itself"
    for key in sizes:
        mine, theirs = getattr(base, key, None), getattr(starts[base.init], key, None)
        if mine != theirs:
            yield f"{at}.{key}: {mine}, but '{base.init}', which it starts from, has {theirs}; give both the same"


def _reader(config: Config, at: str, name: str, model: OnBase, base: str) -> Iterator[str]:
    """Of a model that reads embeddings."""
    bases = embedding_bases(config)
    if base not in bases:
        yield unknown(f"{at}.base", base, bases)
        return
    changed = [key for key in ("bin", "preparation") if key in model.model_fields_set and not _idle(model, key)]
    if changed:
        yield f"{at}: what reads embeddings sees no flux values; leave out {' and '.join(changed)}"
    plans = [plan for plan in (getattr(model, "training", None), *getattr(model, "by_size", {}).values()) if plan]
    if any(plan.augment.changes for plan in plans):
        yield f"{at}.training.augment: embeddings are made once, of flux as it is; leave augment out"
    yield from _views(config, f"{at}.base", name, base)


def _beside_patches(config: Config, at: str, name: str, encoder: str) -> Iterator[str]:
    """Of a language model that reads an embedding beside its patches."""
    bases = embedding_bases(config)
    if encoder in bases:
        yield from _views(config, at, name, encoder)
    else:
        yield unknown(at, encoder, bases)


def _views(config: Config, at: str, name: str, base: str) -> Iterator[str]:
    """Of a base whose embeddings a model reads: the views that it has learnt, and those of the model's tasks."""
    if name not in config.opened:
        return
    yield from unselected(config, at, base)
    for task in tasks_of(config, name):
        own, views = config.tasks[task].view, views_of(config, base)
        fitting = fitting_views(config, base, own)
        if not fitting:
            yield (
                f"{at}: task '{task}' sees {own}, '{base}' has learnt {' and '.join(views)}, on another grid; "
                "give the recipes of both the same wavelengths"
            )
        if len(fitting) > 1:
            yield (
                f"{at}: task '{task}' sees {own}, and both views of '{base}' have its wavelengths; name a task "
                f"on one of {' and '.join(fitting)}"
            )


def _idle(model: OnBase, key: str) -> bool:
    """Whether a setting has the value that changes no spectrum."""
    return getattr(model, key) in (1, "as_is")


def unselected(config: Config, at: str, base: str) -> Iterator[str]:
    """Of the encoders that a base is made of: those of whose views no spectra are selected."""
    for below in encoders_of(config, base):
        view = encoder_bases(config)[below].view
        if view not in config.views:
            yield (
                f"{at}: '{below}' learns from {view}, which no task that is built looks at, so that no spectra of it "
                "are selected; name such a task in run.tasks, or start a model from one (init)"
            )


def tasks_of(config: Config, name: str) -> list[str]:
    """Tasks at which a model is trained: those that are built, if it is, and those where others start from it."""
    tasks = [task for task in config.run.tasks if name in config.models_of(task)]
    swept = config.scaling.tasks if name in (config.scaling.models or []) else []
    starts = [(init, other) for other, model in config.opened.items() if (init := init_of(model))]
    started = [init.task for init, other in starts if (init.model or other) == name]
    return [task for task in dict.fromkeys([*tasks, *swept, *started]) if task in config.tasks]
