"""Aligned pairs of encoders: what must fit between pairs, encoders and views."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.bases.aligned import AlignedBase
from starglot.config.checks.encoders import going_on_faults, unselected
from starglot.config.embeddings import aligned_bases, encoder_bases, grid_of, views_of
from starglot.config.faults import unknown, view_faults
from starglot.config.root import Config
from starglot.config.surveys.registry import Surveys


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
        yield from _start(config, at, base)
    for name in config.run.bases:
        if name in aligned:
            yield from unselected(config, f"run.bases: {name}", name)
        elif name not in config.bases:
            yield unknown("run.bases", name, aligned)
        else:
            yield (
                f"run.bases: '{name}' is of kind {config.bases[name].kind}; only kind aligned is judged, and a base "
                "that a model stands on is built without being named here"
            )


def _start(config: Config, at: str, base: AlignedBase) -> Iterator[str]:
    """Of an aligned pair that goes on from another one."""
    aligned, encoders = aligned_bases(config), encoder_bases(config)
    yield from going_on_faults(config, at, base, aligned, ("shared", "own", "heads", "hidden"))
    if base.init not in aligned:
        return
    start = aligned[base.init]
    for mine, theirs in zip(base.encoders, start.encoders, strict=True):
        one, other = encoders.get(mine), encoders.get(theirs)
        if one and other and (one.kind, one.width) != (other.kind, other.width):
            yield (
                f"{at}.encoders: '{mine}' is of another kind or width than '{theirs}', on which '{base.init}' stands"
            )
    for mine, theirs in zip(views_of(config, base.init), config.pairs[base.pairs].views, strict=False):
        if grid_of(config, mine) != grid_of(config, theirs):
            yield f"{at}.pairs: {theirs} is on another grid than {mine}, which '{base.init}' has learnt from"
