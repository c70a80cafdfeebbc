"""Models by name: configured ones, and those derived from them (:mod:`starglot.config.names`)."""

from __future__ import annotations

from dataclasses import replace

from starglot.config.baselines import Ensemble, LightGbm, Network, NetworkTraining
from starglot.config.faults import nearest
from starglot.config.llm import Llm
from starglot.config.models import Config, Model
from starglot.config.names import Derived, read_name
from starglot.errors import StarglotError


def derived(config: Config, name: str) -> Derived:
    """What the name of a model says, if it is configured or can be derived.

    Raises StarglotError for a model that is not configured, and for a fold that there is not.
    """
    said = read_name(name)
    if said.model not in config.models:
        raise StarglotError(f"there is no model '{said.model}': {nearest(said.model, config.models)}")
    if said.fold is not None and said.fold >= config.split.folds:
        raise StarglotError(
            f"there is no fold {said.fold} to leave out for '{name}'",
            allowed=f".f0 to .f{config.split.folds - 1} (split.folds)",
        )
    return said


def model_of(config: Config, name: str) -> Model:
    """Settings of a configured model, or of one derived from it (:mod:`starglot.config.names`).

    A seed is the model's own ``seed``, an ensemble's is its members'; a model that draws nothing has the same
    settings for all.  A fold is no setting: it decides what the model is trained on (:func:`sample_name`).

    Raises StarglotError as :func:`derived` does, and where a model has no passes that could be multiplied.
    """
    said = derived(config, name)
    model = config.models[said.model]
    if not said.is_derived:
        return model
    if said.passes is not None:
        model = _with_passes(model, name, said.passes)
    if isinstance(model, Ensemble):
        members = [replace(said, model=member, seed=_seed_of(config, member, said)).name for member in model.members]
        return model.model_copy(update={"members": members})
    if said.seed is not None and has_seed(model):
        model = model.model_copy(update={"seed": said.seed})
    return model


def own_seeds(config: Config, name: str) -> set[int]:
    """The seeds of a configured model: its own, an ensemble's members'; empty where nothing is drawn in training."""
    model = config.models[name]
    if isinstance(model, Ensemble):
        return {seed for member in model.members for seed in own_seeds(config, member)}
    seed = getattr(model, "seed", None)
    return set() if seed is None else {seed}


def has_seed(model: Model) -> bool:
    """Whether anything of a model's own training is drawn."""
    return "seed" in type(model).model_fields


def _seed_of(config: Config, member: str, said: Derived) -> int | None:
    return said.seed if has_seed(config.models[member]) else None


def has_passes(model: Model) -> bool:
    """Whether a model reads its spectra over and over, so that examples seen are an axis of their own."""
    return isinstance(model, Llm | Network | LightGbm)


def _with_passes(model: Model, name: str, factor: float) -> Model:
    """``model`` with ``factor`` times the epochs of every size (rounds of trees; at least one)."""
    if isinstance(model, Llm):
        epochs = model.training.epochs
        more = {size: n * factor for size, n in epochs.items()} if isinstance(epochs, dict) else epochs * factor
        return model.model_copy(update={"training": model.training.model_copy(update={"epochs": more})})
    if isinstance(model, Network):

        def longer(plan: NetworkTraining) -> NetworkTraining:
            return plan.model_copy(update={"epochs": max(1, round(plan.epochs * factor))})

        by_size = {size: longer(plan) for size, plan in model.by_size.items()}
        return model.model_copy(update={"training": longer(model.training), "by_size": by_size})
    if isinstance(model, LightGbm):
        return model.model_copy(update={"rounds": max(1, round(model.rounds * factor))})
    raise StarglotError(
        f"'{name}' cannot be: a model of kind {model.kind} makes no passes over its spectra that could be multiplied",
        allowed="endings in .x for llm, networks and lightgbm",
        todo="ask for it without the ending in .x",
    )


def sample_name(config: Config, model: str, size: str) -> str:
    """The sample that ``model`` is trained and tried on at ``size``: 'demo', or 'demo.f3' less fold 3."""
    return Derived(size, fold=derived(config, model).fold).name
