"""Bases of language models: those that the workflow makes, what these are made of, and those from outside."""

from __future__ import annotations

from typing import TypeAlias

from starglot.config.bases.masked_patches import MaskedPatchesBase
from starglot.config.bases.outside import base_slug
from starglot.config.bases.random import LikeBase, RandomBase
from starglot.config.bases.tiny import LanguageBase
from starglot.config.queries import LanguageModel, language_models
from starglot.config.root import Config

#: What may stand on a base from outside.
Lowest: TypeAlias = LanguageModel | MaskedPatchesBase | LikeBase


def tiny_bases(config: Config) -> dict[str, LanguageBase]:
    """The bases of the configuration that are small language models, pre-trained here, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, LanguageBase)}


def random_bases(config: Config) -> dict[str, RandomBase]:
    """The bases of the configuration that nothing is taught, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, RandomBase)}


def like_bases(config: Config) -> dict[str, LikeBase]:
    """The bases of the configuration that are made in the shape of another one, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, LikeBase)}


def patch_bases(config: Config) -> dict[str, MaskedPatchesBase]:
    """The bases of the configuration that have learnt to fill in hidden patches, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, MaskedPatchesBase)}


def is_tiny(config: Config, name: str) -> bool:
    """Whether a base is one of the demonstrations' tiny ones, or goes on from one."""
    over = patch_bases(config).get(name)
    return (over.base if over else name) in tiny_bases(config) | random_bases(config)


def hub_or_folder_bases(config: Config) -> dict[tuple[str, str | None], list[str]]:
    """Base models that the workflow does not make itself, with revision -> the models in `run:` that use them."""
    users: dict[tuple[str, str | None], list[str]] = {}
    for name, model in language_models(config).items():
        lowest = below(config, model)
        if lowest.base not in config.bases:
            users.setdefault((lowest.base, lowest.revision), []).extend([name] if name in config.run.models else [])
    return users


def outside_bases(config: Config) -> dict[str, tuple[str, str | None]]:
    """The same bases by the file that says what is there: Hugging Face id or folder, and its pinned revision."""
    return {base_slug(*base): base for base in hub_or_folder_bases(config)}


def below(config: Config, model: LanguageModel | MaskedPatchesBase) -> Lowest:
    """What stands on a model's lowest base: the model, or a base that is made of another one."""
    found: Lowest = model
    found = patch_bases(config).get(found.base, found)
    return like_bases(config).get(found.base, found)
