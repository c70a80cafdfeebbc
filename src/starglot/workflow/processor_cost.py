"""Processor time of a run, from what the demo's rules were measured to take and what each grows with."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starglot.config import queries, variants
from starglot.config.kinds.registry import KINDS
from starglot.config.root import Config
from starglot.config.strict import PretrainedBase
from starglot.errors import StarglotError
from starglot.workflow.forecast import Count, predicted, spectra_to_clean, trained

#: Rule -> what its time grows with, a key of :func:`amounts`; other rules grow with the number of models.
GROWS_WITH = {
    **dict.fromkeys(("make_mock", "make_own_line", "write_own_line_qa", "tabulate_own_line"), "mock spectra"),
    **dict.fromkeys(("read_survey", "match_survey", "select_stars", "inventory"), "spectra"),
    **dict.fromkeys(("select_shard", "clean_shard", "index_spectra"), "spectra"),
    **dict.fromkeys(("collect_labels", "draw_sample", "learn_domain", "audit_leakage", "write_qa"), "rows"),
    **dict.fromkeys(("count_labels", "write_token_qa"), "rows"),
    **dict.fromkeys(("leave_out_fold", "tabulate_folds"), "folds"),
    "build_base": "base examples",
    "train_llm": "taught (language)",
    "train_patches": "taught (patches)",
    "train_baseline": "taught (baselines)",
    "predict_llm": "answered (language)",
    "predict_patches": "answered (patches)",
    "predict_baseline": "answered (baselines)",
}


def amounts(config: Config, counts: list[Count], seen: Mapping[str, int] | None = None) -> dict[str, float]:
    """How much there is of what rules grow with, as far as processors do it; what GPUs do is not in it.

    seen: as of :func:`starglot.workflow.forecast.spectra_to_clean`.
    """
    known = {(one.task, one.size): one.spectra for one in counts}
    found = dict.fromkeys(GROWS_WITH.values(), 0.0) | {"models": 0.0}
    found["spectra"] = float(sum(spectra_to_clean(config, counts, seen).values()))
    found["mock spectra"] = float(config.mock.spectra) if config.mock is not None else 0.0
    folds = config.split.folds * len(config.repeats.models) if config.repeats.folds else 0
    for task in config.run.tasks:
        found["folds"] += folds * (known[task, queries.sizes_of(config, task)[-1]] or 0)
        found["rows"] += sum(known[task, size] or 0 for size in queries.sizes_of(config, task))
    found["base examples"] = float(
        sum(getattr(base, "examples", 0) for base in config.bases.values() if isinstance(base, PretrainedBase))
    )
    for task, model, size, sweep in trained(config):
        if sweep:
            continue
        found["models"] += 1
        settings = variants.model_at(config, model, size)
        training, family = getattr(settings, "training", None), KINDS[settings.kind].family
        gpus = getattr(training, "gpus", None) or getattr(settings, "gpus", None)
        if family in ("ensemble", "pipeline") or gpus:
            continue
        of = family if family in ("language", "patches") else "baselines"
        passes = 1.0 if of == "baselines" else float(getattr(training, "epochs", 1.0))
        found[f"taught ({of})"] += (known[task, size] or 0) * config.split.train * passes
        found[f"answered ({of})"] += predicted(config, task, size, known, sweep)
    return found


@dataclass(frozen=True)
class Measured:
    """What a rule took in a run: core-seconds of all its jobs, and how much there was of what it grows with."""

    core_seconds: float
    per: str
    amount: float


def read_measured(path: Path) -> dict[str, Measured]:
    """Rule -> what it took, of a table that benchmarks/demo_jobs.py wrote.  Raises StarglotError for another one."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return {
            row["rule"]: Measured(float(row["core_seconds"]) * int(row["jobs"]), row["per"], float(row["amount"]))
            for row in rows
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StarglotError(
            f"the measured times cannot be read: {error}",
            where=path,
            allowed="a table with the columns rule, core_seconds, jobs, per, amount",
            todo="name the project's benchmarks/demo_jobs.tsv, or write one: python benchmarks/demo_jobs.py",
        ) from error


def core_seconds(
    config: Config, counts: list[Count], measured: Mapping[str, Measured], seen: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Rule -> core-seconds of all its jobs, the longest first; rules that have nothing to do are left out.

    seen: as of :func:`starglot.workflow.forecast.spectra_to_clean`.
    """
    here = amounts(config, counts, seen)
    found = {rule: one.core_seconds * here[one.per] / one.amount for rule, one in measured.items() if one.amount}
    return {rule: seconds for rule, seconds in sorted(found.items(), key=lambda item: -item[1]) if seconds > 0}
