"""The plan of a page: which runs, tables and figures it shows, and where they stand.

Made from the configuration where the workflow is planned; the job that makes the page is told the plan, so that a key
of the configuration that the page does not show makes no new page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from starglot.config import paper, queries
from starglot.config.root import Config
from starglot.evaluation.presentation import named_labels
from starglot.report.figure_files import FigureFile

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

#: Figures of a whole task.
_OF_TASK = {
    "scaling": "Error against the number of training spectra",
    "ablation": "Error with one setting varied at a time",
    "degradation": "Error on spectra that differ from those learnt",
}

#: Figures of a task at which models go on from another view.
_CARRIED = {
    "strategies": "Prediction against label, by model",
    "mmd": "[alpha/Fe] against [Fe/H], by strategy",
    "landscapes": "Loss about what each strategy has learnt",
    "saliency": "Sensitivity of [Fe/H] to flux, by strategy",
    "transfer_parameters": "Accuracy by number of trained parameters, and from scratch by learning rate",
}

#: Of these kinds the first figure of the leading model heads the page.
_LEADING = ("predicted", "kiel", "planes")

#: A caption names this many labels at most.
_NAMED = 6


#: Tables of a task that the page lists behind the paper's.
_FURTHER = (
    "external",
    "scaling",
    "degradation",
    "altered",
    "ablation",
    "retention",
    "calibration",
    "budget",
    "tails",
    "folds",
    "paired",
    "comparison",
    "limit",
)

#: How the configuration is printed: in one order, so that a file laid out anew makes no new page.
_YAML: dict[str, Any] = {"sort_keys": True, "allow_unicode": True, "default_flow_style": None, "width": 110}


def report_plan(
    config: Config,
    results: Path,
    is_there: Callable[[Path], bool] = Path.is_file,
    forecast: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """What the page of ``run:`` shows, as JSON can hold it (read by :func:`starglot.report.inputs.inputs_of`).

    settings: the configuration as far as somebody wrote it down, as YAML; leading: task, model, size and set whose
    predictions are shown star by star, in the page's order (of sorted JSON, lists alone keep theirs); runs: task,
    model and size; figures: name, caption and section.

    is_there: whether a table or figure is to be shown; the workflow shows those that are inputs of the page.
    forecast: rule -> core-seconds that were expected of it (:func:`starglot.workflow.processor_cost.core_seconds`).
    """
    leading = _leading(config)
    written = queries.dump(config, exclude_unset=True)
    tables = results / "tables"
    figures = figures_of(config, results / "figures", leading.values(), is_there)
    return {
        "settings": yaml.safe_dump(written, **_YAML),
        "folder": config.results,
        "language_models": queries.run_language_models(config),
        "release": _spectra_of(config),
        "mock": config.mock is not None,
        "objects": queries.about_spectra(config)["objects"],
        "leading": list(leading.values()),
        "runs": _runs(config),
        "sets": config.run.sets,
        "figures": [(figure.stem.name, figure.caption, figure.section) for figure in figures],
        "numbered": [number for number in range(1, 9) if is_there(tables / f"table_{number}.csv")],
        "views": {task: config.tasks[task].view for task in config.run.tasks},
        "forecast": {rule: round(seconds, 1) for rule, seconds in (forecast or {}).items()},
        "further": [path.stem for path in _further(config, results) if is_there(path)],
    }


def _spectra_of(config: Config) -> str:
    """Surveys and releases that the spectra are of: 'LAMOST (dr11_v1.1)'."""
    surveys = config.surveys.with_spectra()
    viewed = [surveys[name] for name in queries.viewed_surveys(config, config.run.tasks)]
    return ", ".join(f"{survey.title} ({survey.release})" for survey in viewed)


def shown_on_request(config: Config, results: Path) -> list[Path]:
    """Tables and figures that the page has a place for, as far as they are there: some are made on request alone."""
    leading = _leading(config).values()
    figures = [figure.file("png") for figure in figures_of(config, results / "figures", leading)]
    return [*(path for path in _further(config, results) if path.is_file()), *figures]


def _leading(config: Config) -> dict[str, tuple[str, str, str, str]]:
    return {
        task: (
            task,
            queries.leading_model(config, task),
            queries.sizes_of(config, task)[-1],
            queries.judged_set(config),
        )
        for task in config.run.tasks
    }


def _runs(config: Config) -> list[tuple[str, str, str]]:
    return [
        (task, model, size)
        for task in config.run.tasks
        for size in queries.sizes_of(config, task)
        for model in config.models_of(task)
    ]


def _further(config: Config, results: Path) -> list[Path]:
    names = [f"{kind}_{task}" for kind in _FURTHER for task in config.run.tasks]
    of_all = ("own_line", "leakage", "transfer_1", "transfer_a2", "transfer_a1", "specclip_1")
    return [results / "tables" / f"{name}.csv" for name in ("redshift_1", "redshift_2", *names, *of_all)]


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
    for task, model, size in _runs(config):
        labels = named_labels(config.tasks[task].labels, _NAMED)
        run = f"{labels} ({task}), {model}, size {size}"
        for name in config.run.sets:
            for kind, (section, shows) in _DRAWN.items():
                stem = folder / f"{kind}_{task}_{model}_{size}_{name}"
                yield FigureFile(stem, f"{shows}: {run}, set {name}.", section)
        yield FigureFile(folder / f"training_{task}_{model}_{size}", f"Loss in training: {run}.", "cost")
    yield FigureFile(folder / "redshift_1", "Predicted against true redshifts, by model.", "models")
    yield FigureFile(folder / "redshift_2", "Redshifts: failures among the surest answers, by model.", "models")
    own_line = "Own-line test: response of each abundance to its own element alone (mock)."
    yield FigureFile(folder / "own_line", own_line, "classes")
    for number, figure in paper.paper_figures(config).items():
        yield FigureFile(
            folder / f"figure_{number}",
            f"Figure {number} of the paper, here: {named_labels(figure['labels'], _NAMED)} by {figure['model']} "
            f"({figure['task']}, size {figure['size']}) against {figure['survey']}, stars outside training.",
            "external",
        )
    for kind, shows in _OF_TASK.items():
        for task in config.run.tasks:
            labels = named_labels(config.tasks[task].labels, _NAMED)
            section = "scaling" if kind == "ablation" else kind
            yield FigureFile(folder / f"{kind}_{task}", f"{shows}: {labels} ({task}).", section)
    sizes = "Accuracy by number of training spectra and strategy."
    yield FigureFile(folder / "transfer_sizes", sizes, "transfer")
    for kind, shows in _CARRIED.items():
        for task in config.run.tasks:
            yield FigureFile(folder / f"{kind}_{task}", f"{shows} ({task}).", "transfer")
    for task in config.run.tasks:
        shows = f"Accuracy on questions of language, relative to the base, against the error on spectra ({task})."
        yield FigureFile(folder / f"retention_{task}", shows, "models")
