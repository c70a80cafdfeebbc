"""Figures of the page: which there are, and where they stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from starglot.config import derive
from starglot.config.models import Config
from starglot.evaluation.presentation import named_labels

#: Figures of a task, model, size and set: the section that they stand in, and what they show.
_DRAWN = {
    "predicted": ("models", "Predicted against catalogue value"),
    "kiel": ("models", "Kiel diagram, catalogue beside prediction"),
    "planes": ("classes", "[X/Fe] against [Fe/H], label above prediction"),
    "confusion": ("classes", "Class of the catalogue against class answered"),
    "trends": ("classes", "Residuals along S/N, Teff, log g and [Fe/H]"),
    "worst": ("outliers", "The spectra with the largest errors"),
    "calibration": (
        "calibration",
        "Quality of the uncertainties: coverage, PIT, coverage of 68 % intervals by label",
    ),
    "repeats": ("calibration", "Differences between visits of one star, against S/N"),
}

#: Figures of a whole task; their kind is their section.
_OF_TASK = {
    "scaling": "Error against the number of training spectra",
    "degradation": "Error on spectra that differ from those learnt",
}

#: Of these kinds the first figure of the leading model heads the page.
_LEADING = ("predicted", "kiel", "planes")

#: A caption names this many labels at most.
_NAMED = 6


@dataclass(frozen=True)
class FigureFile:
    """A figure (``{stem}.png``, mostly with ``.svg`` beside it), its caption, and the section that it stands in."""

    stem: Path
    caption: str
    section: str

    def file(self, ending: str) -> Path:
        """The figure's file with that ending."""
        return self.stem.with_name(f"{self.stem.name}.{ending}")


def figures_of(
    config: Config,
    folder: Path,
    leading: Collection[tuple[str, str, str, str]],
    is_there: Callable[[Path], bool] = Path.is_file,
) -> list[FigureFile]:
    """The figures of ``run:`` that were drawn, in the page's order.

    leading: (task, model, size, set) of the model that leads; its first three figures make the headline;
    is_there: whether a figure's PNG is to be shown.
    """
    drawn = [figure for figure in _all(config, folder) if is_there(figure.file("png"))]
    names = {figure.stem.name for figure in drawn}
    heads = []
    for kind in _LEADING:
        wanted = ["_".join((kind, *key)) for key in leading]
        heads += [name for name in wanted if name in names][:1]
    return [
        FigureFile(figure.stem, figure.caption, "headline" if figure.stem.name in heads else figure.section)
        for figure in drawn
    ]


def _all(config: Config, folder: Path) -> Iterator[FigureFile]:
    runs = [
        (task, model, size)
        for task in config.run.tasks
        for size in derive.sizes_of(config, task)
        for model in config.run.models
    ]
    for task, model, size in runs:
        labels = named_labels(config.tasks[task].labels, _NAMED)
        run = f"{labels} ({task}), {model}, size {size}"
        for name in config.run.sets:
            for kind, (section, shows) in _DRAWN.items():
                stem = folder / f"{kind}_{task}_{model}_{size}_{name}"
                yield FigureFile(stem, f"{shows}: {run}, set {name}.", section)
        yield FigureFile(folder / f"training_{task}_{model}_{size}", f"Loss in training: {run}.", "cost")
    own_line = "Own-line test: response of each abundance to its own element alone (mock)."
    yield FigureFile(folder / "own_line", own_line, "classes")
    for number, figure in derive.paper_figures(config).items():
        yield FigureFile(
            folder / f"figure_{number}",
            f"Figure {number} of the paper, here: {named_labels(figure['labels'], _NAMED)} by {figure['model']} "
            f"({figure['task']}, size {figure['size']}) against {figure['survey']}, stars outside training.",
            "external",
        )
    for kind, shows in _OF_TASK.items():
        for task in config.run.tasks:
            labels = named_labels(config.tasks[task].labels, _NAMED)
            yield FigureFile(folder / f"{kind}_{task}", f"{shows}: {labels} ({task}).", kind)
