"""The stars behind the numbers: predictions that the page plots, and the spectra of the worst of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starglot.evaluation.outliers import worst_spectra
from starglot.evaluation.presentation import Cell, Column, Estimate, Presentation, error_decimals, label_text
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import robust_scatter
from starglot.labels import LABELS
from starglot.report.html_table import HtmlTable, html_table
from starglot.report.inputs import ReportInputs
from starglot.tables import FLUX_SCALE, read_metadata, read_spectra

#: Spectra of a task that travel with the page, and points of a label that it plots.
_SPECTRA, _POINTS = 40, 600

#: Steps between the smallest and the largest flux of an embedded spectrum: finer than a pixel of its plot.
_STEPS = 255


@dataclass(frozen=True)
class Outliers:
    """A task's stars for the page: the table of the worst, the data of its script, and sentences on what is shown."""

    task: str
    model: str
    table: HtmlTable
    data: dict[str, Any]
    said: list[str]


def outliers(inputs: ReportInputs, task: str) -> Outliers | None:
    """The stars of the leading model of ``task``; None when there is nothing to judge."""
    key = inputs.leading[task]
    _, model, size, name = key
    predictions = read_predictions(inputs.predictions[key])
    labels = [str(label) for label in dict.fromkeys(predictions["label"].to_pylist())]
    worst = worst_spectra(predictions, labels, _SPECTRA)
    if worst.empty:
        return None
    chosen = worst["obsid"].drop_duplicates().to_numpy()
    first = worst.drop_duplicates("obsid")
    others = {
        other: _of_spectra(read_predictions(path), chosen)  # one whole table in memory at a time
        for (of, other, of_size, of_set), path in inputs.predictions.items()
        if (of, of_size, of_set) == (task, size, name) and other != model
    }
    noise = _signal_to_noise(inputs.candidates[task], chosen)
    points, obsids = _points(predictions, labels, chosen)
    at = {obsid: i for i, obsid in enumerate(obsids.tolist())}
    flux = read_spectra(inputs.spectra_of[task], chosen) / FLUX_SCALE
    grid = read_metadata(inputs.spectra_of[task][0])["wavelength"]
    data = {
        "model": model,
        "others": list(others),
        "grid": {"start": grid["start"], "stop": grid["stop"], "log": grid.get("log", False)},
        "labels": points,
        # As text: an int64 is more than a number of JavaScript holds.
        "obsids": [str(obsid) for obsid in obsids.tolist()],
        "worst": [
            {
                "at": at[obsid],
                "class": letter,
                "snr": None if np.isnan(snr) else round(float(snr), 1),
                **_packed(values),
                "others": [_values(table, obsid, labels) for table in others.values()],
            }
            for obsid, letter, snr, values in zip(chosen.tolist(), first["class"], noise, flux, strict=True)
        ],
    }
    said = [
        f"{model}, size {size}, set {name}: prediction against the label that was to be learnt.",
        f"Rings: the {len(chosen)} spectra with the largest error of any label, in robust scatters of the label, "
        "one of a star; these travel with the page.",
    ]
    left = max(point["of"] - len(point["at"]) for point in points)
    if left:
        said.append(f"Of longer tables up to {_POINTS} points a label are shown besides, evenly along obsid.")
    return Outliers(task, model, _table(task, first, noise), data, said)


def _of_spectra(predictions: pa.Table, obsid: np.ndarray) -> pa.Table:
    """The rows of the spectra ``obsid`` (n,)."""
    return predictions.filter(pc.is_in(predictions["obsid"], value_set=pa.array(obsid)))


def _points(
    predictions: pa.Table, labels: Sequence[str], worst: np.ndarray
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The points of each label (``at`` counts in the second return, the obsids that occur), rounded to a pixel."""
    held = []
    for label in labels:
        rows = judged(predictions, label)
        order = np.argsort(rows.obsid, kind="stable")
        spaced = order[np.unique(np.linspace(0, len(order) - 1, min(_POINTS, len(order))).round().astype(int))]
        shown = np.union1d(spaced, np.flatnonzero(np.isin(rows.obsid, worst)))
        held.append((label, rows, shown))
    obsids = np.unique(np.concatenate([rows.obsid[shown] for _, rows, shown in held]))
    points = []
    for label, rows, shown in held:
        known = LABELS.get(label)
        decimals = known.decimals if known else 3
        scatter = robust_scatter(rows.residual) if len(rows) > 1 else float("nan")
        points.append(
            {
                "name": label,
                "text": known.display if known else label,
                "unit": known.unit if known else "",
                "decimals": decimals,
                "scatter": scatter if np.isfinite(scatter) and scatter > 0 else None,
                "of": len(rows),
                "at": np.searchsorted(obsids, rows.obsid[shown]).tolist(),
                **{name: _rounded(getattr(rows, name)[shown], decimals + 1) for name in ("truth", "value", "sigma")},
            }
        )
    return points, obsids


def _rounded(values: np.ndarray, decimals: int) -> list[float | None]:
    return [round(float(value), decimals) if np.isfinite(value) else None for value in values]


def _values(predictions: pa.Table, obsid: int, labels: Sequence[str]) -> list[float | None]:
    """A model's predictions for one spectrum, by label; None where it has no usable answer."""
    rows = predictions.filter(pc.equal(predictions["obsid"], obsid))
    found: Mapping[str, tuple[float | None, str]] = {
        label: (value, status)
        for label, value, status in zip(
            rows["label"].to_pylist(), rows["value"].to_pylist(), rows["status"].to_pylist(), strict=True
        )
    }
    said = []
    for label in labels:
        value, status = found.get(label, (None, "ok"))
        usable = value is not None and status == "ok" and np.isfinite(value)
        said.append(round(float(value), 3) if usable and value is not None else None)
    return said


def _packed(flux: np.ndarray) -> dict[str, Any]:
    """A spectrum (n,) as bytes between its smallest and largest value."""
    low, high = float(flux.min()), float(flux.max())
    steps = np.round((flux - low) / (high - low if high > low else 1.0) * _STEPS).astype(np.uint8)
    return {"low": low, "high": high, "flux": base64.b64encode(steps.tobytes()).decode("ascii")}


def _signal_to_noise(candidates: Path, obsid: np.ndarray) -> np.ndarray:
    """S/N in r of the spectra ``obsid`` (n,), from the selected catalogue rows; NaN where it is not known."""
    table = pq.read_table(candidates, columns=["obsid", "snr_r"], filters=[("obsid", "in", obsid.tolist())])
    found = dict(zip(table["obsid"].to_pylist(), table["snr_r"].to_pylist(), strict=True))
    return np.array([np.nan if found.get(i) is None else found[i] for i in obsid.tolist()], dtype=float)


def _table(task: str, first: pd.DataFrame, noise: np.ndarray) -> HtmlTable:
    """The worst spectra, each with the label that is worst."""
    rows: list[list[Cell]] = []
    for row, snr in zip(first.to_dict("records"), noise, strict=True):
        known = LABELS.get(row["label"])
        decimals = known.decimals if known else 3
        digits = {"truth": decimals, "value": decimals, "sigma": error_decimals(row["label"])}
        numbers = [
            None if np.isnan(row[name]) else Estimate(float(row[name]), None, None, places)
            for name, places in digits.items()
        ]
        rows.append(
            [
                str(row["obsid"]),
                str(row["class"]),
                None if np.isnan(snr) else Estimate(float(snr), None, None, 0),
                label_text(row["label"]),
                *numbers,
                Estimate(float(row["error"]), None, None, 1),
            ]
        )
    columns = [
        Column("obsid", "obsid", False),
        Column("class", "class", False),
        Column("snr", "S/N (r)", True),
        Column("label", "worst label", False),
        Column("truth", "catalogue", True),
        Column("value", "predicted", True),
        Column("sigma", "sigma", True),
        Column("error", "error (scatters)", True),
    ]
    caption = f"{task.capitalize()}: the spectra with the largest errors"
    notes = [
        "Error: predicted minus catalogue value over the robust scatter of the label. Choose an obsid to see it."
    ]
    return html_table(f"worst-{task}", first, caption, notes, shown=Presentation(columns, rows, [], []))
