"""Paths of the configuration that Snakemake or a command would not take as they are: refused, each by its key."""

from __future__ import annotations

import re
from collections.abc import Iterator

from starglot.config.queries import language_models, made_by_mock
from starglot.config.root import Config

#: In the name of a file that it makes or waits for, Snakemake reads {x} as a wildcard and <x> as a path of its own.
_TAKEN = re.compile(r"[{}<>]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def path_faults(config: Config) -> list[str]:
    """A sentence for every path that cannot be used; blanks, quotes and letters of any alphabet can."""
    return [
        *(f"{at}: {why}" for at, path, own in _paths(config) for why in _refused(path, own)),
        *_outside_the_mock(config),
    ]


def _paths(config: Config) -> Iterator[tuple[str, str, bool]]:
    """Where a path stands, the path, and whether Snakemake makes it or waits for it."""
    yield "results", config.results, True
    if config.state is not None:
        yield "state", config.state, False
    for at, path in _catalogues(config):
        yield at, path, True
    for at, path in _roots(config):
        yield at, path, False
    for name, model in language_models(config).items():
        yield f"models.{name}.base", model.base, True
        plans = {"training": model.training, **{f"by_size.{size}": plan for size, plan in model.by_size.items()}}
        for at, plan in plans.items():
            if plan.rehearsal is not None:
                yield f"models.{name}.{at}.rehearsal.file", plan.rehearsal.file, True
    for name, path in config.retention.sets.items():
        yield f"retention.sets.{name}", path, True


def _catalogues(config: Config, in_mock: bool = False) -> Iterator[tuple[str, str]]:
    for name, survey in config.surveys.named().items():
        for key, path in survey.catalogs.items():
            if not in_mock or made_by_mock(config, name):
                yield f"surveys.{name}.{key}", path


def _roots(config: Config, in_mock: bool = False) -> Iterator[tuple[str, str]]:
    for name, survey in config.surveys.with_spectra().items():
        if not in_mock or made_by_mock(config, name):
            yield f"surveys.{name}.spectra", survey.spectra


def _refused(path: str, own: bool) -> Iterator[str]:
    """What is wrong with one path; ``own``: Snakemake makes it or waits for it."""
    if not path.strip():
        yield "this is empty; give a path"
    elif path != path.strip():
        yield f"{path!r} begins or ends with a blank; take it away"
    if _CONTROL.search(path):
        yield f"{path!r} has a line break or another control character; rename the folder or file"
    if path.startswith("-"):
        yield f"{path!r} would be taken for an option of a command; write its whole path, from /"
    if own and _TAKEN.search(path):
        yield f"{path!r} has one of {{ }} < >, which Snakemake takes for its own; rename it, or link to it"


def _outside_the_mock(config: Config) -> Iterator[str]:
    """A mock release is written to one folder, under the names that the configuration gives its files.

    Surveys that it has no files of are read beside it.
    """
    if config.mock is None:
        return
    folder = f"{config.results}/mock"
    paths = [*_catalogues(config, in_mock=True), *_roots(config, in_mock=True)]
    if outside := [at for at, path in paths if not path.startswith(f"{folder}/")]:
        yield f"mock: the mock release lies in '{folder}' (`results`); elsewhere: {', '.join(outside)}"
