"""What is wrong with encoders, and with models that read their embeddings."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.baselines import Mlp
from starglot.config.encoders import EncoderBase, MaskedEncoderBase
from starglot.config.faults import unknown, view_faults
from starglot.config.models import Config
from starglot.config.queries import encoder_bases, encoder_line
from starglot.config.recipes import View, Wavelength
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
        if isinstance(model, Mlp) and base_name is not None:
            yield from _reader(config, at, name, model)
        elif base_name in encoders:
            yield f"{at}.base: '{base_name}' is an encoder of spectra, and no language model; a kind: mlp reads it"


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
    if base.init is None:
        if base.transfer is not None:
            yield f"{at}.transfer: it says how an encoder goes on from another one; name that in init"
        return
    if base.init not in encoders:
        yield unknown(f"{at}.init", base.init, encoders)
        return
    start = encoders[base.init]
    line = encoder_line(config, base.init)
    if encoders[line[-1]].init in line:
        yield f"{at}.init: it starts, over other encoders, from itself"
    for key in ("kind", "width", "blocks", "heads", "hidden"):
        mine, theirs = getattr(base, key, None), getattr(start, key, None)
        if mine != theirs:
            yield f"{at}.{key}: {mine}, but '{base.init}', which it starts from, has {theirs}; give both the same"
    if _grid(config, base.view) != _grid(config, start.view):
        yield f"{at}.view: {base.view} is on another grid than {start.view}, from which '{base.init}' has learnt"


def _reader(config: Config, at: str, name: str, model: Mlp) -> Iterator[str]:
    """Of a network that reads embeddings."""
    encoders = encoder_bases(config)
    if model.base not in encoders:
        yield unknown(f"{at}.base", str(model.base), encoders)
        return
    if (model.bin, model.preparation) != (1, "as_is"):
        yield f"{at}: what reads embeddings sees no flux values; leave out bin and preparation"
    if any(plan.augment.changes for plan in (model.training, *model.by_size.values())):
        yield f"{at}.training.augment: embeddings are made once, of flux as it is; leave augment out"
    if name not in config.opened:
        return
    view = encoders[model.base].view
    for below in encoder_line(config, model.base):
        if encoders[below].view in config.views:
            continue
        yield (
            f"{at}.base: '{below}' learns from {encoders[below].view}, which no task that is built looks at, so "
            "that no spectra of it are selected; name such a task in run.tasks, or start the model from one (init)"
        )
    for task in _tasks_of(config, name):
        own = config.tasks[task].view
        if _grid(config, own) != _grid(config, view):
            yield (
                f"{at}.base: task '{task}' sees {own}, '{model.base}' has learnt {view}, on another grid; give both "
                "recipes of the same wavelengths"
            )


def _tasks_of(config: Config, name: str) -> list[str]:
    """Tasks at which a model is trained: those that are built, if it is, and those where others start from it."""
    tasks = config.run.tasks if name in config.run.models else []
    swept = config.scaling.tasks if name in (config.scaling.models or []) else []
    starts = [(init, other) for other, model in config.opened.items() if (init := init_of(model))]
    started = [init.task for init, other in starts if (init.model or other) == name]
    return [task for task in dict.fromkeys([*tasks, *swept, *started]) if task in config.tasks]


def _grid(config: Config, view: str) -> Wavelength | None:
    recipe = config.recipes.get(View(view).recipe)
    return recipe.wavelength if recipe else None
