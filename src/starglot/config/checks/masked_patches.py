"""What is wrong with bases that learn to fill in hidden patches, and with the models on them."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.bases.masked_patches import MaskedPatchesBase
from starglot.config.bases.outside import is_hub_id
from starglot.config.checks.encoders import tasks_of
from starglot.config.embeddings import grid_of
from starglot.config.faults import unknown, view_faults
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.language_bases import like_bases, patch_bases, random_bases
from starglot.config.patches import Patches
from starglot.config.queries import LanguageModel, language_models
from starglot.config.root import Config


def patch_base_faults(config: Config) -> Iterator[str]:
    """Of every such base, and of every language model on one."""
    bases = patch_bases(config)
    for name, base in bases.items():
        yield from _base(config, f"bases.{name}", base)
    for name, model in language_models(config).items():
        if model.base in bases:
            yield from _model(config, f"models.{name}", name, model, bases[model.base])


def _base(config: Config, at: str, base: MaskedPatchesBase) -> Iterator[str]:
    yield from view_faults(config, f"{at}.view", base.view)
    if base.encoding not in config.encodings:
        yield unknown(f"{at}.encoding", base.encoding, config.encodings)
    elif not isinstance(config.encodings[base.encoding], Patches):
        yield f"{at}.encoding: '{base.encoding}' has no patches to hide; name one of form patches"
    below = random_bases(config) | like_bases(config)
    if base.base in config.bases and base.base not in below:
        yield (
            f"{at}.base: '{base.base}' is of kind {config.bases[base.base].kind}; such a base goes on from one of "
            "kind random or like, a folder or a Hugging Face id"
        )
    random = random_bases(config).get(base.base)
    if random and base.lora.rank > random.hidden:
        yield f"{at}.lora.rank: {base.lora.rank} is out of range 1-{random.hidden} (the base's width)"
    if base.revision and (base.base in config.bases or not is_hub_id(base.base)):
        yield f"{at}.revision: '{base.base}' is no Hugging Face id; only these have revisions"


def _model(config: Config, at: str, name: str, model: LanguageModel, base: MaskedPatchesBase) -> Iterator[str]:
    if not isinstance(model, PatchLlm):
        yield f"{at}.base: '{model.base}' has learnt to read patch tokens; give this model kind: patch_llm"
    elif model.encoding != base.encoding:
        yield f"{at}: its base '{model.base}' was made for encoding '{base.encoding}', not '{model.encoding}'"
    if name not in config.opened:
        return
    if base.view not in config.views:
        yield (
            f"{at}.base: '{model.base}' learns from {base.view}, which no task that is built looks at, so that no "
            "spectra of it are selected; name such a task in run.tasks"
        )
    for task in tasks_of(config, name):
        own = config.tasks[task].view
        if grid_of(config, own) != grid_of(config, base.view):
            yield (
                f"{at}.base: task '{task}' sees {own}, '{model.base}' has learnt {base.view}, on another grid; give "
                "the recipes of both the same wavelengths"
            )
