"""What a report is made of: paths, and where the results folder keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starglot.config import derive
from starglot.config.models import Config
from starglot.rebuilds.accepted import RECORDS, Acceptance, read_accepted
from starglot.recovery import noted_command
from starglot.report.figure_files import FigureFile, figures_of

#: Tables of a task that the page lists behind the paper's.
_FURTHER = ("external", "scaling", "degradation", "calibration", "budget", "tails")


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report shows, by path; what is empty is left out of the page.

    settings: the resolved configuration; release: of the spectra; mock: whether they are synthetic;
    leading: task -> (task, model, size, set) whose predictions the page shows star by star;
    residuals, headlines: task -> CSV; predictions: (task, model, size, set) -> Parquet;
    calibrations: (task, model, size, set) -> JSON of how sigma was scaled;
    models: (task, model, size) -> folder with manifest.json and run.json; samples: (task, size) -> Parquet, with its
    manifest ``.json`` beside it;
    numbered: CSV of the paper's tables 2 to 8 by number; further: CSV of further tables, named by their stem;
    selected, spectra, rejected: Parquet by shard, in the same order; benchmarks: Snakemake's folder of TSV files;
    accepted: code edits after which a result was accepted as current;
    run_logs: Snakemake's own logs, which name the jobs that went through Slurm;
    command: what was typed to make all this.
    """

    settings: Mapping[str, Any]
    release: str
    mock: bool
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
    selected: Sequence[Path] = ()
    spectra: Sequence[Path] = ()
    rejected: Sequence[Path] = ()
    benchmarks: Path | None = None
    accepted: Sequence[Acceptance] = ()
    run_logs: Path | None = None
    command: str | None = None


def shown_on_request(config: Config, results: Path) -> list[Path]:
    """Tables and figures that the page has a place for, as far as they are there: some are made on request alone."""
    leading = _leading(config).values()
    figures = [figure.file("png") for figure in figures_of(config, results / "figures", leading)]
    return [*(path for path in _further(config, results) if path.is_file()), *figures]


def _leading(config: Config) -> dict[str, tuple[str, str, str, str]]:
    return {
        task: (task, derive.leading_model(config), derive.sizes_of(config, task)[-1], derive.judged_set(config))
        for task in config.run.tasks
    }


def _further(config: Config, results: Path) -> list[Path]:
    names = [f"{kind}_{task}" for kind in _FURTHER for task in config.run.tasks]
    return [results / "tables" / f"{name}.csv" for name in (*names, "own_line", "leakage")]


def inputs_of(config: Config, results: Path, is_there: Callable[[Path], bool] = Path.is_file) -> ReportInputs:
    """The inputs of ``run:`` where the contracts keep them under ``results``.

    Predictions and samples are expected to be there; tables and figures that are not there are left out.

    is_there: whether a table or figure is to be shown; the workflow shows those that are among the rule's inputs.
    """
    runs = [
        (task, model, size)
        for task in config.run.tasks
        for size in derive.sizes_of(config, task)
        for model in config.run.models
    ]
    leading = _leading(config)
    listed = results / "catalog" / "shards.txt"
    shards = listed.read_text(encoding="utf-8").split() if listed.is_file() else []
    table_1 = results / "tables" / "table_1.csv"
    benchmarks = results / "benchmarks"
    return ReportInputs(
        settings=derive.dump(config),
        release=config.surveys.lamost.release,
        mock=config.mock is not None,
        residuals={task: results / "tables" / f"residuals_{task}.csv" for task in config.run.tasks},
        headlines={task: results / "tables" / f"headline_{task}.csv" for task in config.run.tasks},
        predictions={
            (*run, name): results.joinpath("predictions", *run, f"{name}.parquet")
            for run in runs
            for name in config.run.sets
        },
        calibrations={
            (*run, name): path
            for run in runs
            for name in config.run.sets
            if (path := results.joinpath("predictions", *run, f"{name}.calibration.json")).is_file()
        },
        samples={
            (task, size): results / "samples" / task / f"{size}.parquet"
            for task in config.run.tasks
            for size in derive.sizes_of(config, task)
        },
        models={run: results.joinpath("models", *run) for run in runs},
        leading=leading,
        figures=figures_of(config, results / "figures", leading.values(), is_there),
        table_1=table_1 if is_there(table_1) else None,
        numbered={
            number: path for number in range(2, 9) if is_there(path := results / "tables" / f"table_{number}.csv")
        },
        further=[path for path in _further(config, results) if is_there(path)],
        selected=[results / "catalog" / "selected" / f"{shard}.parquet" for shard in shards],
        spectra=[results / "spectra" / f"{shard}.parquet" for shard in shards],
        rejected=[results / "spectra" / f"{shard}.rejected.parquet" for shard in shards],
        benchmarks=benchmarks if benchmarks.is_dir() else None,
        accepted=read_accepted(results / RECORDS),
        run_logs=Path(".snakemake/log"),
        command=noted_command(Path()),
    )
