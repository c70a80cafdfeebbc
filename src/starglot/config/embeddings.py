"""Bases that make embeddings of spectra, and the models that read them in place of flux."""

from __future__ import annotations

from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import EncoderBase
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.language_bases import patch_bases
from starglot.config.queries import starts_from
from starglot.config.recipes import View, Wavelength
from starglot.config.root import Config
from starglot.config.variants import members_of, model_of
from starglot.errors import StarglotError


def encoder_bases(config: Config) -> dict[str, EncoderBase]:
    """The bases of the configuration that are encoders, pre-trained here on the spectra of a view, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, EncoderBase)}


def aligned_bases(config: Config) -> dict[str, AlignedBase]:
    """The bases of the configuration that are aligned pairs of encoders, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, AlignedBase)}


def embedding_bases(config: Config) -> dict[str, EncoderBase | AlignedBase]:
    """Both, by name: bases whose embeddings a model may read."""
    return {**encoder_bases(config), **aligned_bases(config)}


def embedding_base(config: Config, model: str) -> str | None:
    """The base whose embeddings a model reads, in place of flux or beside its patches; None for one without."""
    settings = model_of(config, model)
    base = settings.encoder if isinstance(settings, PatchLlm) else getattr(settings, "base", None)
    return base if base in embedding_bases(config) else None


def line_of(config: Config, name: str) -> list[str]:
    """Such a base, the one that it goes on from, and so on, as far as they are configured."""
    bases, line = embedding_bases(config), list[str]()
    at: str | None = name
    while at in bases and at not in line:
        line.append(at)
        at = bases[at].init
    return line


def encoders_of(config: Config, name: str) -> list[str]:
    """The encoders that a base is made of, with those that they went on from: all that has seen spectra for it."""
    encoders, pairs = encoder_bases(config), aligned_bases(config)
    found = list[str]()
    for each in line_of(config, name):
        inside = pairs[each].encoders if each in pairs else (each,)
        found += [below for encoder in inside if encoder in encoders for below in line_of(config, encoder)]
    return list(dict.fromkeys(found))


def bases_under(config: Config, task: str, model: str) -> list[str]:
    """The bases whose training spectra a model has seen: its own base's, its start's, its members'.

    Pairs are of spectra that the two encoders have seen, so that an aligned pair has seen no further star.
    """
    start, members = starts_from(config, task, model), members_of(model_of(config, model))
    below = [(start[0], start[1])] if start else []
    below += [(task, member) for member in members]
    found = {name for each in below for name in bases_under(config, *each)}
    own, embeds = str(getattr(model_of(config, model), "base", None)), embedding_base(config, model)
    if own in patch_bases(config):
        found.add(own)
    return sorted(found.union(encoders_of(config, embeds) if embeds else ()))


def grid_of(config: Config, view: str) -> Wavelength | None:
    """The wavelengths of a view; None for one of no recipe."""
    recipe = config.recipes.get(View(view).recipe)
    return recipe.wavelength if recipe else None


def views_of(config: Config, name: str) -> list[str]:
    """The views whose spectra such a base embeds: one, or the two of an aligned pair, as far as it is configured."""
    base = config.bases[name]
    if isinstance(base, EncoderBase):
        return [base.view]
    pairs = config.pairs.get(getattr(base, "pairs", ""))
    return list(pairs.views) if pairs else []


def fitting_views(config: Config, name: str, view: str) -> list[str]:
    """The views of a base whose side may embed spectra of ``view``: itself, else those on the same wavelengths."""
    views = views_of(config, name)
    grid = grid_of(config, view)
    return [view] if view in views else [each for each in views if grid_of(config, each) == grid]


def embedding_view(config: Config, task: str, model: str) -> str | None:
    """The view of an aligned pair whose side embeds a task's spectra for a model; None for any other base.

    Raises StarglotError when none of the two, or either, is on the wavelengths of the task's view.
    """
    name = embedding_base(config, model)
    if name is None or name not in aligned_bases(config):
        return None
    own = config.tasks[task].view
    fitting = fitting_views(config, name, own)
    if len(fitting) != 1:
        raise StarglotError(
            f"task '{task}' sees {own}, whose wavelengths {len(fitting) or 'none'} of the views of '{name}' have",
            where=f"models.{model}",
            allowed=", ".join(views_of(config, name)),
            todo="name a task on one of these views, or on a recipe of the same wavelengths as one of them",
        )
    return fitting[0]
