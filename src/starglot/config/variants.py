"""Models by name: configured ones, and variants of them (:mod:`starglot.config.names`)."""

from __future__ import annotations

from dataclasses import replace

from starglot.config.by_size import at_size
from starglot.config.faults import nearest
from starglot.config.kinds.registry import FAMILIES, KINDS, family_of
from starglot.config.names import Variant, read_name
from starglot.config.root import Config, Model
from starglot.errors import StarglotError


def variant(config: Config, name: str) -> Variant:
    """What the name of a model says, if it is configured or a variant of one that is.

    Raises StarglotError for a model that is not configured, and for a fold that there is not.
    """
    said = read_name(name)
    if said.model not in config.models:
        raise StarglotError(
            f"there is no model '{said.model}': {nearest(said.model, config.models)}",
            where=name,
            allowed=", ".join(config.models),
            todo="correct the name, or define the model under models",
        )
    if said.fold is not None and said.fold >= config.split.folds:
        raise StarglotError(
            f"there is no fold {said.fold} to leave out",
            where=name,
            allowed=f".f0 to .f{config.split.folds - 1}",
            todo="name one of these, or raise split.folds",
        )
    return said


def model_of(config: Config, name: str) -> Model:
    """Settings of a configured model, or of one variants of it (:mod:`starglot.config.names`).

    A seed is the model's own ``seed``, an ensemble's is its members'; a model that draws nothing has the same
    settings for all.  A fold is no setting: it decides what the model is trained on (:func:`sample_name`).

    Raises StarglotError as :func:`variant` does, and where a model has no passes that could be multiplied.
    """
    said = variant(config, name)
    model = config.models[said.model]
    if not said.is_variant:
        return model
    if said.passes is not None:
        model = _with_passes(model, name, said.passes)
    if members := members_of(model):
        members = [replace(said, model=member, seed=_seed_of(config, member, said)).name for member in members]
        return model.model_copy(update={"members": members})
    if said.seed is not None and has_seed(model):
        model = model.model_copy(update={"seed": said.seed})
    return model


def model_at(config: Config, name: str, size: str) -> Model:
    """:func:`model_of`, with its training at one size."""
    return at_size(model_of(config, name), size)


def own_seeds(config: Config, name: str) -> set[int]:
    """The seeds of a configured model: its own, an ensemble's members'; empty where nothing is drawn in training."""
    model = config.models[name]
    if members := members_of(model):
        return {seed for member in members for seed in own_seeds(config, member)}
    seed = getattr(model, "seed", None)
    return set() if seed is None else {seed}


def has_seed(model: Model) -> bool:
    """Whether anything of a model's own training is drawn."""
    return "seed" in type(model).model_fields


def _seed_of(config: Config, member: str, said: Variant) -> int | None:
    return said.seed if has_seed(config.models[member]) else None


def has_passes(model: Model) -> bool:
    """Whether a model reads its spectra over and over, so that examples seen are an axis of their own."""
    return family_of(model).stretched is not None


def members_of(model: Model) -> list[str]:
    """The models whose predictions a model is made of; none for one that is trained by itself."""
    members: list[str] = getattr(model, "members", [])
    return members


def _with_passes(model: Model, name: str, factor: float) -> Model:
    """``model`` with ``factor`` times the passes at every size."""
    stretched = family_of(model).stretched
    if stretched is None:
        can = [kind for kind, it in KINDS.items() if FAMILIES[it.family].stretched]
        raise StarglotError(
            f"a model of kind {model.kind} has no number of passes to multiply",
            where=name,
            allowed=f"endings in .x for models of kind {', '.join(can)}",
            todo="leave out the ending in .x",
        )
    return stretched(model, factor)


def sample_name(config: Config, model: str, size: str) -> str:
    """The sample that ``model`` is trained and tried on at ``size``: 'demo', or 'demo.f3' less fold 3."""
    return Variant(size, fold=variant(config, model).fold).name
