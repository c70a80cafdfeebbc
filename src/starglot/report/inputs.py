"""What a report is made of: paths, and where the results folder keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starglot.config.recipes import View
from starglot.report.figure_files import FigureFile
from starglot.workflow.rebuilds.accepted import RECORDS, Acceptance, read_accepted
from starglot.workflow.recovery import noted_command


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report shows, by path; what is empty is left out of the page.

    settings: the configuration as YAML, as far as somebody wrote it down; folder: of the results, as written there;
    release: of the spectra; mock: whether they are synthetic; objects: what they are of, 'stars';
    language_models: names of those that are;
    leading: task -> (task, model, size, set) whose predictions the page shows star by star;
    residuals, headlines: task -> CSV; predictions: (task, model, size, set) -> Parquet;
    calibrations: (task, model, size, set) -> JSON of how sigma was scaled;
    models: (task, model, size) -> folder with manifest.json and run.json; samples: (task, size) -> Parquet, with its
    manifest ``.json`` beside it;
    numbered: CSV of the paper's tables 2 to 8 by number; further: CSV of further tables, named by their stem;
    candidates: task -> selected catalogue rows behind its spectra; spectra_of: task -> these spectra, by shard;
    selected, spectra, rejected: Parquet by shard of every view, in the same order;
    benchmarks: Snakemake's folder of TSV files; forecast: rule -> core-seconds that were expected of it;
    accepted: code edits after which a result was accepted as current;
    run_logs: Snakemake's own logs, which name the jobs that went through Slurm;
    command: what was typed to make all this.
    """

    settings: str
    folder: str
    language_models: Sequence[str]
    release: str
    mock: bool
    objects: str
    residuals: Mapping[str, Path]
    headlines: Mapping[str, Path]
    predictions: Mapping[tuple[str, str, str, str], Path]
    samples: Mapping[tuple[str, str], Path]
    calibrations: Mapping[tuple[str, str, str, str], Path] = field(default_factory=dict)
    models: Mapping[tuple[str, str, str], Path] = field(default_factory=dict)
    leading: Mapping[str, tuple[str, str, str, str]] = field(default_factory=dict)
    figures: Sequence[FigureFile] = ()
    table_1: Path | None = None
    numbered: Mapping[int, Path] = field(default_factory=dict)
    further: Sequence[Path] = ()
    candidates: Mapping[str, Path] = field(default_factory=dict)
    spectra_of: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    selected: Sequence[Path] = ()
    spectra: Sequence[Path] = ()
    rejected: Sequence[Path] = ()
    benchmarks: Path | None = None
    forecast: Mapping[str, float] = field(default_factory=dict)
    accepted: Sequence[Acceptance] = ()
    run_logs: Path | None = None
    command: str | None = None


def inputs_of(plan: Mapping[str, Any], results: Path) -> ReportInputs:
    """What a plan (:func:`starglot.report.plan.report_plan`) names, where the contracts keep it under ``results``."""
    runs = [(task, model, size) for task, model, size in plan["runs"]]
    leading = {key[0]: tuple(key) for key in plan["leading"]}
    shards = {view: _shards(results, View(view)) for view in plan["views"].values()}
    cleaned = [(View(view), shard) for view, names in shards.items() for shard in names]
    spectra = results / "spectra"
    tables, benchmarks = results / "tables", results / "benchmarks"
    predicted = [(*run, name) for run in runs for name in plan["sets"]]
    return ReportInputs(
        settings=plan["settings"],
        folder=plan["folder"],
        language_models=plan["language_models"],
        release=plan["release"],
        mock=plan["mock"],
        objects=plan["objects"],
        residuals={task: tables / f"residuals_{task}.csv" for task in leading},
        headlines={task: tables / f"headline_{task}.csv" for task in leading},
        predictions={key: results.joinpath("predictions", *key[:3], f"{key[3]}.parquet") for key in predicted},
        calibrations={
            key: path
            for key in predicted
            if (path := results.joinpath("predictions", *key[:3], f"{key[3]}.calibration.json")).is_file()
        },
        samples={
            (task, size): results / "samples" / task / f"{size}.parquet"
            for task, size in dict.fromkeys((task, size) for task, _, size in runs)
        },
        models={run: results.joinpath("models", *run) for run in runs},
        leading=leading,
        figures=[FigureFile(results / "figures" / name, *words) for name, *words in plan["figures"]],
        table_1=tables / "table_1.csv" if 1 in plan["numbered"] else None,
        numbered={number: tables / f"table_{number}.csv" for number in plan["numbered"] if number > 1},
        further=[tables / f"{name}.csv" for name in plan["further"]],
        candidates={
            task: results / "catalog" / "candidates" / f"{View(view).survey}.parquet"
            for task, view in plan["views"].items()
        },
        spectra_of={
            task: [spectra / view / f"{shard}.parquet" for shard in shards[view]]
            for task, view in plan["views"].items()
        },
        selected=[results / "catalog" / "selected" / view.survey / f"{shard}.parquet" for view, shard in cleaned],
        spectra=[spectra / view.survey / view.recipe / f"{shard}.parquet" for view, shard in cleaned],
        rejected=[spectra / view.survey / view.recipe / f"{shard}.rejected.parquet" for view, shard in cleaned],
        benchmarks=benchmarks if benchmarks.is_dir() else None,
        forecast=plan["forecast"],
        accepted=read_accepted(results / RECORDS),
        run_logs=Path(".snakemake/log"),
        command=noted_command(Path()),
    )


def _shards(results: Path, view: View) -> list[str]:
    """Names of the shards of a view's survey; none where no inventory was taken."""
    listed = results / "catalog" / "shards" / f"{view.survey}.txt"
    return listed.read_text(encoding="utf-8").split() if listed.is_file() else []
