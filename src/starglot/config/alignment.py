"""Aligned pairs of encoders: which of them a run builds, and what must fit between pairs, encoders and views."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.aligned import AlignedBase
from starglot.config.faults import unknown, view_faults
from starglot.config.models import Config
from starglot.config.queries import encoder_bases
from starglot.config.surveys import Surveys


def aligned_bases(config: Config) -> dict[str, AlignedBase]:
    """The bases of the configuration that are aligned pairs of encoders, by name."""
    return {name: base for name, base in config.bases.items() if isinstance(base, AlignedBase)}


def pair_faults(config: Config) -> Iterator[str]:
    """Of every definition of pairs, and of those that are built."""
    for name, pairs in config.pairs.items():
        for view in pairs.views:
            yield from view_faults(config, f"pairs.{name}.views", view)
        if pairs.surveys[0] == pairs.surveys[1]:
            yield f"pairs.{name}.views: both are of {pairs.surveys[0]}; name views of two surveys"
    for name in config.run.pairs:
        if name not in config.pairs:
            yield unknown("run.pairs", name, config.pairs)
    for name in config.used_pairs:
        for survey in config.pairs[name].surveys:
            if survey in Surveys.model_fields and survey not in config.surveys.named():
                yield f"pairs.{name}: it is built and needs spectra of {survey}, but surveys.{survey} is null"


def alignment_faults(config: Config) -> Iterator[str]:
    """Of every aligned pair of encoders, and of those that are tabulated."""
    encoders, aligned = encoder_bases(config), aligned_bases(config)
    for name, base in aligned.items():
        at = f"bases.{name}"
        if base.pairs not in config.pairs:
            yield unknown(f"{at}.pairs", base.pairs, config.pairs)
            continue
        views = config.pairs[base.pairs].views
        for encoder, view, place in zip(base.encoders, views, ("first", "second"), strict=True):
            if encoder not in encoders:
                yield unknown(f"{at}.encoders", encoder, encoders)
            elif encoders[encoder].view != view:
                yield (
                    f"{at}.encoders: '{encoder}' reads {encoders[encoder].view}, the {place} view of pairs "
                    f"'{base.pairs}' is {view}; give the encoders in the order of the views"
                )
        for key, width, heads in (("shared", base.shared, base.heads), ("own", base.own, max(1, base.heads // 2))):
            if width % heads:
                yield f"{at}.{key}: {width} must be a multiple of its {heads} attention heads"
    for name in config.run.bases:
        if name not in config.bases:
            yield unknown("run.bases", name, aligned)
        elif name not in aligned:
            yield (
                f"run.bases: '{name}' is of kind {config.bases[name].kind}; only kind aligned is judged, and a base "
                "that a model stands on is built without being named here"
            )
    for model, settings in config.models.items():
        stands_on = getattr(settings, "base", None)
        if stands_on in aligned:
            yield f"models.{model}.base: '{stands_on}' is an aligned pair of encoders; no model reads it yet"
