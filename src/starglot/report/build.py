"""The report: one HTML file that opens anywhere, without a network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa

from starglot.errors import StarglotError
from starglot.evaluation.class_probability import class_reliability
from starglot.evaluation.presentation import said_of
from starglot.evaluation.residuals import ALL, read_predictions
from starglot.evaluation.summary import answer_counts, class_confusion
from starglot.evaluation.tables_io import read_table
from starglot.labels import CLASSES
from starglot.report.accounts import (
    acceptances,
    cautions,
    conservation,
    made,
    rejections,
    rule_times,
    sample_counts,
    scalings,
    shortages,
    trainings,
    versions,
)
from starglot.report.cluster import cluster_use
from starglot.report.figures import EmbeddedFigure, embedded
from starglot.report.further import further_tables, numbered_tables
from starglot.report.headline import FEW, brackets, learnt, main_table, standings, subject, wins
from starglot.report.html_table import HtmlTable, html_table, smallest
from starglot.report.inputs import ReportInputs
from starglot.report.outliers import outliers
from starglot.tables import write_text

_COVERED = ("coverage_68", "coverage_68_lo", "coverage_68_hi", "coverage_95", "coverage_95_lo", "coverage_95_hi")


def build_report(inputs: ReportInputs, out: Path) -> None:
    """Write the report of ``inputs`` to ``out``; the same inputs give the same bytes.

    Raises StarglotError when a file that ``inputs`` names is not there.
    """
    _check(inputs)
    templates = files("starglot.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["said"] = partial(said_of, inputs.objects)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": True, "allow_nan": False}
    page = environment.get_template("report.html.j2").render(**_content(inputs))
    write_text(page, out)


def _check(inputs: ReportInputs) -> None:
    needed = [
        *inputs.residuals.values(),
        *inputs.headlines.values(),
        *inputs.predictions.values(),
        *inputs.samples.values(),
        *inputs.selected,
        *inputs.spectra,
        *inputs.rejected,
        *([inputs.table_1] if inputs.table_1 else []),
        *inputs.numbered.values(),
        *inputs.further,
    ]
    absent = [path for path in needed if not path.is_file()]
    if absent:
        raise StarglotError(
            f"{len(absent)} file(s) of the report are not there",
            where=f"first: {absent[0]}",
            todo="build them first: snakemake tables",
        )


def _content(inputs: ReportInputs) -> dict[str, Any]:
    """Everything that the template shows."""
    held, conserved = conservation(inputs)
    cluster, no_cluster = cluster_use(inputs.run_logs) if inputs.run_logs else (pd.DataFrame(), "")
    scaled, scaling_notes = scalings(inputs.calibrations)
    figures: dict[str, list[EmbeddedFigure]] = defaultdict(list)
    for figure in inputs.figures:
        figures[figure.section].append(embedded(figure))
    return {
        "mock": inputs.mock,
        "objects": inputs.objects,
        "made": made(inputs),
        "release": inputs.release,
        "tasks": [_task(inputs, task) for task in inputs.headlines],
        "outliers": [
            found for task in inputs.headlines if inputs.spectra and (found := outliers(inputs, task)) is not None
        ],
        "counts": _table_1(inputs.table_1),
        "conserved": conserved,
        "conservation": held if inputs.spectra else "",
        "rejected": _shown("rejected", rejections(list(inputs.rejected)), "Rejected spectra by reason"),
        "samples": _shown("samples", sample_counts(inputs.samples), "Spectra by class and split"),
        "answers": _shown("answers", answer_counts(inputs.predictions), "Answers by what could be read"),
        "calibration": [_calibration(inputs, task) for task in inputs.residuals],
        "scalings": _shown(
            "scalings",
            scaled,
            "How uncertainties were scaled on validation stars",
            ["sigma = scale x sqrt(sigma_raw^2 + floor^2); N counts validation rows.", *scaling_notes],
            fold=("task", "size", "set"),
        ),
        "shortages": shortages(inputs.samples),
        "numbered": numbered_tables(inputs.numbered),
        "further": further_tables(inputs.further),
        "figures": figures,
        "trainings": _shown("trainings", trainings(inputs.models), "What each training did and took"),
        "times": _shown(
            "times",
            rule_times(inputs.benchmarks, inputs.forecast) if inputs.benchmarks else pd.DataFrame(),
            "Time and memory by rule",
        ),
        "cluster": _shown(
            "cluster",
            cluster,
            "What the cluster did, against what was asked",
            [
                "Slurm's own account, by rule or group of rules; a job that came back counts each time.",
                "Time, memory: the most of any one job.",
            ],
        ),
        "no_cluster": no_cluster,
        "settings": inputs.settings,
        "accepted": _shown(
            "accepted",
            acceptances(inputs.accepted),
            "Results kept after an edit of the code, as a person judged",
        ),
        "versions": html_table("versions", versions(inputs.models), "Versions"),
    }


def _shown(name: str, frame: pd.DataFrame, caption: str, *args: Any, **kwargs: Any) -> HtmlTable | None:
    """:func:`html_table`, or None for a frame without rows."""
    return html_table(name, frame, caption, *args, **kwargs) if len(frame) else None


def _task(inputs: ReportInputs, task: str) -> dict[str, Any]:
    headline, residuals = read_table(inputs.headlines[task]), read_table(inputs.residuals[task])
    _, _, size, name = inputs.leading[task]
    many = headline["label"].nunique() > FEW
    skill = _FLATTERS + _SKILL if set(residuals["class"]) & set(CLASSES) else _SKILL
    llms = inputs.language_models
    by_label = standings(headline, size, name, llms)
    return {
        "name": task,
        "sentences": [*(wins(headline, size, name, llms) if many else by_label), *learnt(inputs, task, headline)],
        "by_label": by_label if many else [],
        "cautions": cautions(inputs, task, headline["label"].nunique()),
        "main": main_table(task, headline, size, name),
        "headline": html_table(
            f"headline-{task}",
            headline,
            f"{subject(task, headline)}: all classes together",
            [brackets(headline), "Bold: the smallest robust scatter for a label.", skill],
            fold=("task", "set", "size", "n_unparsable"),
            bold=smallest(headline, "robust"),
            group="label",
        ),
        "residuals": html_table(
            f"residuals-{task}",
            residuals.drop(columns=["n_no_truth", "n_no_sigma", "n_seen"]),
            f"{subject(task, residuals)}: predicted minus catalogue value by model, label and class",
            [brackets(residuals)],
            fold=("task", "set", "size"),
            group="label",
        ),
        "confusions": _classes(
            inputs,
            task,
            class_confusion,
            "classes",
            "class of the catalogue (rows) against class answered (columns), in spectra",
        ),
        "reliability": _classes(
            inputs,
            task,
            class_reliability,
            "class-probability",
            "probability that models state of their class against the share that is right, by what is stated",
        ),
        "leaked": int(residuals.loc[residuals["class"] == ALL, "n_seen"].sum()),
    }


def _classes(
    inputs: ReportInputs, task: str, tabulate: Callable[[pa.Table], pd.DataFrame], name: str, shows: str
) -> HtmlTable | None:
    """What ``tabulate`` makes of the classes answered, of every model that answers one."""
    frames = [
        tabulate(read_predictions(path)).assign(model=model, size=size, set=of_set)
        for (of, model, size, of_set), path in inputs.predictions.items()
        if of == task
    ]
    found = [frame for frame in frames if len(frame)]
    if not found:
        return None
    rows = pd.concat(found, ignore_index=True)
    keys = ["model", "size", "set"]
    return html_table(
        f"{name}-{task}",
        rows[[*keys, *rows.columns.drop(keys)]],
        f"{task.capitalize()}: {shows}",
        fold=("size", "set"),
        group="model",
    )


_FLATTERS = "R2 over A to M stars flatters: the class alone explains most of Teff. "
_SKILL = "Within-class skill is 1 - SS_res / SS about the class mean; 0 is what the class alone is worth."


def _table_1(path: Path | None) -> HtmlTable | None:
    if path is None:
        return None
    return html_table("table-1", read_table(path), "Table 1. Spectra with a valid label, by class")


def _calibration(inputs: ReportInputs, task: str) -> dict[str, Any]:
    """Coverage of sigma at 68 and 95 %, all classes, of models that give one; no table where a fuller one has it."""
    rows = read_table(inputs.residuals[task])
    rows = rows[rows["class"] == ALL]
    given = rows[rows["coverage_68"].notna()]
    without = sorted(set(rows["model"]) - set(given["model"]))
    columns = ["model", "size", "set", "label", "n", "n_no_sigma", *_COVERED, "interval", "split_by"]
    fuller = any(path.stem == f"calibration_{task}" for path in inputs.further)
    return {
        "task": task,
        "without": without,
        "table": html_table(
            f"coverage-{task}",
            given[columns].reset_index(drop=True),
            f"{subject(task, given)}: share of spectra whose catalogue value lies within the stated uncertainty "
            "(wanted: 0.680 and 0.950)",
            [brackets(given)],
            fold=("size", "set", "n_no_sigma"),
        )
        if len(given) and not fuller
        else None,
    }
