"""The report: one HTML file that opens anywhere, without a network."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from starglot.errors import StarglotError
from starglot.evaluation.residuals import ALL, read_predictions
from starglot.evaluation.summary import answer_counts, class_confusion, ordering
from starglot.evaluation.tables_io import read_table
from starglot.glossary import LABELS
from starglot.report.accounts import (
    acceptances,
    conservation,
    rejections,
    rule_times,
    sample_counts,
    scalings,
    shortages,
    split_counts,
    trainings,
    versions,
)
from starglot.report.cluster import cluster_use
from starglot.report.further import further_tables, numbered_tables
from starglot.report.html_table import HtmlTable, html_table
from starglot.report.inputs import FigureFile, ReportInputs
from starglot.tables import write_text

#: A sentence names this many labels at most.
_NAMED = 6

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
    thrown = rejections(list(inputs.rejected))
    samples = sample_counts(inputs.samples)
    trained = trainings(inputs.models)
    times = rule_times(inputs.benchmarks) if inputs.benchmarks else pd.DataFrame()
    cluster, no_cluster = cluster_use(inputs.run_logs) if inputs.run_logs else (pd.DataFrame(), "")
    scaled, scaling_notes = scalings(inputs.calibrations)
    taken = acceptances(inputs.accepted)
    leading = [figure for figure in inputs.figures if figure.leads]
    return {
        "mock": inputs.mock,
        "release": inputs.release,
        "tasks": [_task(inputs, task, [f for f in leading if f.task == task]) for task in inputs.headlines],
        "counts": _table_1(inputs.table_1),
        "conserved": conserved,
        "conservation": held if inputs.spectra else "",
        "rejected": html_table("rejected", thrown, "Rejected spectra by reason") if len(thrown) else None,
        "samples": html_table("samples", samples, "Spectra by class and split") if len(samples) else None,
        "answers": html_table("answers", answer_counts(inputs.predictions), "Answers by what could be read"),
        "calibration": [_calibration(task, path) for task, path in inputs.residuals.items()],
        "scalings": html_table(
            "scalings",
            scaled,
            "How uncertainties were scaled on validation stars",
            ["sigma = scale x sqrt(sigma_raw^2 + floor^2); N counts validation rows.", *scaling_notes],
            fold=("task", "size", "set"),
        )
        if len(scaled)
        else None,
        "shortages": shortages(inputs.samples),
        "numbered": numbered_tables(inputs.numbered),
        "further": further_tables(inputs.further),
        "figures": [_figure(figure) for figure in inputs.figures if not figure.leads],
        "trainings": html_table("trainings", trained, "What each training did and took") if len(trained) else None,
        "times": html_table("times", times, "Time and memory by rule") if len(times) else None,
        "cluster": html_table(
            "cluster",
            cluster,
            "What the cluster did, against what was asked",
            [
                "Slurm's own account, by rule or group of rules; a job that came back counts each time.",
                "Time, memory: the most of any one job.",
            ],
        )
        if len(cluster)
        else None,
        "no_cluster": no_cluster,
        "settings": yaml.safe_dump(
            dict(inputs.settings), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
        ),
        "accepted": html_table("accepted", taken, "Results kept after an edit of the code, as a person judged")
        if len(taken)
        else None,
        "versions": html_table("versions", versions(inputs.models), "Versions"),
    }


def _task(inputs: ReportInputs, task: str, figures: list[FigureFile]) -> dict[str, Any]:
    headline, residuals = read_table(inputs.headlines[task]), read_table(inputs.residuals[task])
    models = list(dict.fromkeys(headline["model"]))
    llms = [model for model in models if model.startswith("llm")]
    others = [model for model in models if model not in llms]
    confusions = []
    for (of, model, size, name), path in inputs.predictions.items():
        frame = class_confusion(read_predictions(path)) if of == task else pd.DataFrame()
        if len(frame):
            caption = f"Class of the catalogue (rows) against class answered: {model}, size {size}, set {name}"
            confusions.append(html_table(f"classes-{model}-{size}-{name}", frame, caption))
    return {
        "name": task,
        "sentences": _sentences(inputs, task, headline, llms),
        "ordering": [sentence for model in llms for sentence in ordering(headline, model, others)],
        "headline": html_table(
            f"headline-{task}",
            headline,
            "All classes together",
            [_brackets(headline), "Bold: the smallest robust scatter for a label.", _SKILL],
            fold=("task", "set", "size", "n_unparsable"),
            best="robust",
            group="label",
        ),
        "figures": [_figure(figure) for figure in figures],
        "residuals": html_table(
            f"residuals-{task}",
            residuals.drop(columns=["n_no_truth", "n_no_sigma", "n_seen"]),
            "Predicted minus catalogue value by model, label and class",
            [_brackets(residuals)],
            fold=("task", "set", "size"),
            group="label",
        ),
        "confusions": confusions,
        "leaked": int(residuals.loc[residuals["class"] == ALL, "n_seen"].sum()),
    }


_SKILL = (
    "R2 over A to M stars flatters: the class alone explains most of Teff. Within-class skill is 1 - SS_res / SS "
    "about the class mean; 0 is what the class alone is worth."
)


def _brackets(frame: pd.DataFrame) -> str:
    level = f"{100 * float(frame['interval'].iloc[0]):g} % " if len(frame) else ""
    return f"In brackets: {level}bootstrap interval over stars."


def _sentences(inputs: ReportInputs, task: str, headline: pd.DataFrame, llms: list[str]) -> list[str]:
    """What was trained on what, and judged on what."""
    said = []
    for (of, model, size, name), path in inputs.predictions.items():
        if of != task or model not in llms:
            continue
        rows = headline[(headline["model"] == model) & (headline["size"] == size) & (headline["set"] == name)]
        named = ", ".join(LABELS[label].display if label in LABELS else label for label in rows["label"])
        labels = named if len(rows) <= _NAMED else f"{len(rows)} labels"
        table = read_predictions(path)
        spectra, stars = len(table["obsid"].unique()), len(table["star_id"].unique())
        unread = int(rows["n_unparsable"].sum())
        asked = unread + int(rows["n"].sum())
        read = "Every answer could be read" if unread == 0 else f"{unread:,} of {asked:,} values could not be read"
        learnt, of_stars = split_counts(inputs.samples[task, size], "train")
        said.append(
            f"{model} learnt {labels} from {learnt:,} spectra of {of_stars:,} stars (size {size}) and is judged on "
            f"{spectra:,} spectra of {stars:,} stars (set {name}). {read}. "
            f"R2 is above 0 for {int((rows['r2'] > 0).sum())} of {len(rows)} labels."
        )
    return said


def _table_1(path: Path | None) -> HtmlTable | None:
    if path is None:
        return None
    return html_table("table-1", read_table(path), "Spectra with a valid label, by class")


def _calibration(task: str, path: Path) -> dict[str, Any]:
    """Coverage of sigma at 68 and 95 %, all classes, of the models that give one."""
    rows = read_table(path)
    rows = rows[rows["class"] == ALL]
    given = rows[rows["coverage_68"].notna()]
    without = sorted(set(rows["model"]) - set(given["model"]))
    columns = ["model", "size", "set", "label", "n", "n_no_sigma", *_COVERED, "interval", "split_by"]
    return {
        "task": task,
        "without": without,
        "table": html_table(
            f"coverage-{task}",
            given[columns].reset_index(drop=True),
            "Share of spectra whose catalogue value lies within the stated uncertainty (wanted: 0.680 and 0.950)",
            [_brackets(given)],
            fold=("size", "set", "n_no_sigma"),
        )
        if len(given)
        else None,
    }


def _figure(figure: FigureFile) -> dict[str, str]:
    """A figure as a data address: the page needs no other file."""
    for ending, kind in (("svg", "image/svg+xml"), ("png", "image/png")):
        path = figure.stem.with_name(f"{figure.stem.name}.{ending}")
        if path.is_file():
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            return {"caption": figure.caption, "address": f"data:{kind};base64,{data}"}
    raise StarglotError(
        "a figure of the report is not there", where=f"{figure.stem}.svg or .png", todo="snakemake tables"
    )
