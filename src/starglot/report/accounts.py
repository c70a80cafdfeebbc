"""What became of the spectra and what it cost: rejections, samples, training and rule times, versions."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from starglot.evaluation.calibration import far_scales
from starglot.rejections import REJECTIONS
from starglot.report.inputs import ReportInputs
from starglot.samples.few import too_few
from starglot.tables import SPLITS, read_json
from starglot.workflow.rebuilds.accepted import Acceptance

#: Packages whose versions decide numbers or pages.
_PACKAGES = (
    "starglot",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "numpy",
    "scipy",
    "astropy",
    "pyarrow",
    "pandas",
    "matplotlib",
    "snakemake",
)


def conservation(inputs: ReportInputs) -> tuple[str, bool]:
    """A sentence on whether every selected spectrum is either cleaned or rejected, once; and whether that holds."""
    selected = cleaned = rejected = 0
    broken = []
    for listed, clean, thrown in zip(inputs.selected, inputs.spectra, inputs.rejected, strict=True):
        ids = [
            np.sort(pq.read_table(path, columns=["obsid"])["obsid"].to_numpy()) for path in (listed, clean, thrown)
        ]
        selected, cleaned, rejected = selected + len(ids[0]), cleaned + len(ids[1]), rejected + len(ids[2])
        if not np.array_equal(ids[0], np.sort(np.concatenate(ids[1:]))):
            broken.append(clean.stem)
    counts = (
        f"{selected:,} selected = {cleaned:,} cleaned + {rejected:,} rejected, on {len(inputs.spectra):,} plate(s)"
    )
    if broken:
        return f"Ids are NOT conserved in {len(broken)} shard(s), first {broken[0]}: {counts}.", False
    return f"Every selected spectrum is accounted for, by its id: {counts}.", True


def rejections(paths: list[Path], examples: int = 3) -> pd.DataFrame:
    """Rejected spectra by reason, most frequent first: count, the reason's meaning, some obsids with their detail."""
    counts: Counter[str] = Counter()
    shown: dict[str, list[tuple[int, str]]] = {}
    for path in paths:
        for row in pq.read_table(path).to_pylist():
            counts[row["reason"]] += 1
            some = shown.setdefault(row["reason"], [])
            some.append((row["obsid"], row["detail"] or ""))
            shown[row["reason"]] = sorted(some)[:examples]
    rows = [
        {
            "reason": reason,
            "n_spectra": counts[reason],
            "meaning": REJECTIONS.get(reason, "not a known reason"),
            "examples": "; ".join(f"{obsid} ({detail})" if detail else str(obsid) for obsid, detail in shown[reason]),
        }
        for reason in sorted(counts, key=lambda reason: (-counts[reason], reason))
    ]
    return pd.DataFrame(rows, columns=["reason", "n_spectra", "meaning", "examples"])


def acceptances(records: Sequence[Acceptance]) -> pd.DataFrame:
    """Results that were made by other code than the present one, and accepted as what this would make."""
    rows = [
        {
            "result": record.target,
            "made by code": record.kept,
            "accepted for code": record.given,
            "edited between": ", ".join(record.definitions),
            "because": record.because,
            "date": record.date,
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def sample_counts(samples: Mapping[tuple[str, str], Path]) -> pd.DataFrame:
    """Spectra by (task, size, group) and split, and how many stars they are of."""
    rows = []
    for (task, size), path in samples.items():
        table = pq.read_table(path, columns=["star_id", "class", "split"]).to_pandas()
        groups = _json(path.with_name(f"{size}.json")).get("groups") or ()
        for letter in (*groups, "All"):
            here = table if letter == "All" else table[table["class"] == letter]
            splits = here["split"].value_counts()
            counts = {split: int(splits.get(split, 0)) for split in SPLITS}
            stars = int(here["star_id"].nunique())
            rows.append(
                {"task": task, "size": size, "class": letter, **counts, "n_spectra": len(here), "n_stars": stars}
            )
    return pd.DataFrame(rows)


def split_counts(path: Path, split: str) -> tuple[int, int]:
    """(spectra, stars) of ``split`` in a sample."""
    table = pq.read_table(path, columns=["star_id"], filters=[("split", "=", split)])
    return len(table), len(table["star_id"].unique())


def shortages(samples: Mapping[tuple[str, str], Path]) -> list[str]:
    """Sentences on the samples that had to do with fewer spectra than wanted, from their manifests."""
    said = []
    for (task, size), path in samples.items():
        short = _json(path.with_name(f"{size}.json")).get("shortages") or {}
        parts = [f"{group} {found['available']:,} of {found['wanted']:,}" for group, found in sorted(short.items())]
        if parts:
            said.append(f"Fewer than wanted in {task}, size {size}: {', '.join(parts)}.")
    return said


def cautions(inputs: ReportInputs, task: str, labels: int) -> list[str]:
    """What makes the numbers of a task worth little: few spectra to learn from, uncertainties that were far off."""
    leading = inputs.leading[task]
    said = []
    for (of, size), path in inputs.samples.items():
        splits = _json(path.with_name(f"{size}.json")).get("splits") if of == task else None
        said += [f"Size {size}: {sentence}." for sentence in too_few(splits, labels)] if splits else []
    if leading in inputs.calibrations:
        report = _json(inputs.calibrations[leading])
        said += [f"{leading[1]}, {sentence}." for sentence in far_scales(report.get("labels", {}))]
    return said


def scalings(calibrations: Mapping[tuple[str, str, str, str], Path]) -> tuple[pd.DataFrame, list[str]]:
    """How sigma was scaled: sigma = scale x sqrt(sigma_raw^2 + floor^2), by label and class; and the notes on it."""
    rows, notes = [], []
    for (task, model, size, name), path in calibrations.items():
        report = _json(path)
        notes += [f"{task}, {model}, size {size}: {note}" for note in report.get("notes", [])]
        for label, found in report.get("labels", {}).items():
            for scope, scale in found["scales"].items():
                # A scale from no validation row is sigma_raw as it came: nothing was scaled.
                if scale["n"]:
                    keys = {"task": task, "model": model, "size": size, "set": name, "label": label}
                    rows.append({**keys, "class": "All" if scope == "all" else scope, **scale})
    return pd.DataFrame(rows), list(dict.fromkeys(notes))


def trainings(models: Mapping[tuple[str, str, str], Path]) -> pd.DataFrame:
    """What each training did and took, from its ``manifest.json`` and, where there is one, ``run.json``."""
    rows = []
    for (task, model, size), folder in models.items():
        manifest, run = _json(folder / "manifest.json"), _json(folder / "run.json")
        counts, metrics = manifest.get("counts") or {}, manifest.get("metrics") or {}
        gpus = run.get("gpus") or []
        rows.append(
            {
                "task": task,
                "model": model,
                "size": size,
                "training spectra": counts.get("train"),
                "examples seen": counts.get("examples"),
                "steps": counts.get("steps"),
                "prompt tokens": counts.get("prompt_tokens"),
                "trained parameters": counts.get("trainable_parameters"),
                "training loss": metrics.get("train_loss"),
                "validation loss": metrics.get("val_loss"),
                "minutes": None if run.get("seconds") is None else run["seconds"] / 60,
                "examples/s": run.get("examples_per_second"),
                "memory (GB)": None if run.get("peak_memory_mb") is None else run["peak_memory_mb"] / 1024,
                "GPUs": f"{len(gpus)} x {gpus[0]}" if gpus else "none" if run else None,
            }
        )
    frame = pd.DataFrame(rows)
    for name in ("training spectra", "examples seen", "steps", "prompt tokens", "trained parameters"):
        frame[name] = frame[name].astype("Int64")
    return frame.dropna(axis="columns", how="all")


def made(inputs: ReportInputs) -> list[tuple[str, str]]:
    """Where the page comes from, as (what, text): project, results folder, days of the trainings, command.

    All of it is read from what the page is made of, none from the clock: the same inputs give the same page.
    """
    runs = [_json(folder / "run.json") for folder in inputs.models.values()]
    days = sorted(str(run["started"])[:10] for run in runs if run.get("started"))
    span = f"{days[0]} to {days[-1]}" if days and days[0] != days[-1] else "".join(days[:1])
    found = [
        ("project", f"Starglot {_installed('starglot') or ''}".strip()),
        ("results", inputs.folder),
        ("models trained", span),
        ("command", inputs.command or ""),
    ]
    return [(name, text) for name, text in found if text]


def rule_times(folder: Path, forecast: Mapping[str, float]) -> pd.DataFrame:
    """Time and memory by rule, from Snakemake's benchmark files (``{rule}.tsv`` or ``{rule}/.../*.tsv``).

    forecast: rule -> core-seconds that were expected of it; those of other rules are null.
    """
    jobs: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        jobs.setdefault(rule, []).append(pd.read_csv(path, sep="\t", na_values=["-", "NA"]))
    rows = []
    for rule, parts in jobs.items():
        table = pd.concat(parts, ignore_index=True)
        rows.append(
            {
                "rule": rule,
                "jobs": len(table),
                "minutes in all": float(table["s"].sum() / 60),
                "longest (minutes)": float(table["s"].max() / 60),
                "CPU minutes": float(table["cpu_time"].sum() / 60) if "cpu_time" in table else None,
                "forecast (CPU minutes)": forecast[rule] / 60 if rule in forecast else None,
                "most memory (GB)": float(table["max_rss"].max() / 1024) if "max_rss" in table else None,
            }
        )
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).dropna(axis="columns", how="all").sort_values("minutes in all", ascending=False)


def versions(models: Mapping[tuple[str, str, str], Path]) -> pd.DataFrame:
    """Versions of the packages: of those that made this page, and of those that the trainings recorded."""
    trained: dict[str, set[str]] = {}
    for folder in models.values():
        for name, number in (_json(folder / "manifest.json").get("versions") or {}).items():
            trained.setdefault(name, set()).add(str(number))
    rows = [{"package": "python", "this page": platform.python_version(), "trainings": None}]
    for name in dict.fromkeys((*_PACKAGES, *sorted(trained))):
        recorded = ", ".join(sorted(trained.get(name, ()))) or None
        rows.append({"package": name, "this page": _installed(name), "trainings": recorded})
    return pd.DataFrame(rows)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}
