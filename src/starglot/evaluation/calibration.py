"""Uncertainties that mean what they say: sigmas scaled so that they cover what they should on validation stars.

sigma = scale x sqrt(sigma_raw^2 + floor^2), by label, and by class where a class has enough validation rows.  The
scale is such that 68.27 % of the validation errors are within one sigma; it is set by quantiles, so outliers do not
move it.  Two things keep the noise of few validation stars out of it.  Up to a few hundred errors it is the mean over
quantiles around 68.27 %, each divided by the normal distribution's (the window closes as their number grows, so that
no shape is assumed of many).  And labels, and the classes of a label, are drawn towards each other as far as their
scales differ by no more than chance (empirical Bayes).  A floor above zero is taken when it clearly raises the
likelihood: it is there for models that are now and then far too sure of themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.evaluation.class_probability import fit_probability, with_probability
from starglot.evaluation.statistics import normal_half_width
from starglot.models.predictions import as_predictions

log = logging.getLogger(__name__)

#: Fewest validation rows for a scale of its own: of a label, and of a class of a label.
MIN_LABEL, MIN_CLASS = 30, 50

#: A scale above this, or below its inverse, says that the model knows nothing of its own errors.
FAR = 10.0

_ONE_SIGMA = 0.6827
#: Half-width of the window of quantiles at up to so many errors; it closes with the square root of their number.
_WINDOW, _WINDOW_ERRORS = 0.2, 200
#: Quantiles in the window.
_QUANTILES = 9
#: Variance of the logarithm of a scale from one star's error, about: divided by the number of stars.
_VARIANCE = 0.6

_COVERAGE = {"1_sigma": (1.0, _ONE_SIGMA), "2_sigma": (2.0, 0.9545)}
#: Errors beyond so many sigma count as so many in the likelihood: one outlier must not choose the floor.
_CAP = 5.0
#: Gain in log-likelihood that a floor must bring (twice Akaike's price of a parameter).
_GAIN = 2.0
#: Floors tried, relative to the scatter of the errors.
_FLOORS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Scale:
    """How sigma_raw becomes sigma, and from how many validation rows that was found."""

    scale: float
    floor: float
    n: int

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """sigma for sigma_raw, NaN where that is NaN."""
        return self.scale * np.sqrt(raw**2 + self.floor**2)


def ratio_scale(ratio: np.ndarray) -> float:
    """The factor on sigma that lets it hold 68.27 % of the errors; 0 or infinite where there is none.

    ratio: |error| / sigma (n,).
    """
    half = _WINDOW * min(1.0, (_WINDOW_ERRORS / len(ratio)) ** 0.5)
    levels = np.linspace(_ONE_SIGMA - half, _ONE_SIGMA + half, _QUANTILES)
    found = np.quantile(ratio, levels, method="inverted_cdf")
    if found[0] <= 0 or not np.isfinite(found[-1]):
        return float(np.quantile(ratio, _ONE_SIGMA, method="inverted_cdf"))
    widths = np.array([normal_half_width(level) for level in levels])
    return float(np.exp(np.mean(np.log(found / widths))) * normal_half_width(_ONE_SIGMA))


def shrunk(deviation: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Deviations (n,) from a common value, each of a known ``variance``, freed of what chance alone explains.

    Their own variance is estimated by moments; where it is nothing beyond ``variance``, all of them become 0.
    """
    weight = 1.0 / variance
    own = max(0.0, (float(np.sum(weight * deviation**2)) - len(deviation)) / float(weight.sum()))
    return deviation * own / (own + variance)


def fit_scale(error: np.ndarray, raw: np.ndarray) -> Scale | None:
    """The scale and floor for errors and raw sigmas (both (n,), finite); None when the sigmas say nothing.

    Without a floor the scale is :func:`ratio_scale` of |error| / sigma_raw.
    """
    spread = float(np.quantile(np.abs(error), _ONE_SIGMA)) if len(error) else 0.0
    if spread <= 0:
        return None
    best: tuple[float, Scale] | None = None
    for relative in _FLOORS:
        floor = relative * spread
        base = np.sqrt(raw**2 + floor**2)
        ratio = np.divide(np.abs(error), base, out=np.full(len(error), np.inf), where=base > 0)
        scale = ratio_scale(ratio)
        if not 0 < scale < np.inf:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            # A sigma of zero with an error is infinitely unlikely; the cap must not hide that.
            width = np.maximum(scale * base, 1e-6 * spread)
            likelihood = -np.log(width) - np.minimum(np.abs(error) / width, _CAP) ** 2 / 2
            likelihood[ratio == np.inf] -= 1e3
        total = float(likelihood.sum())
        if best is None or total > best[0] + _GAIN:
            best = total, Scale(scale, floor, len(error))
    return best[1] if best else None


def calibrate(val_raw: pa.Table, raw: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """``raw`` with its columns sigma and class_probability filled, and a report.

    val_raw, raw: ``tables.PREDICTION`` of one model, of the validation split and of any set.  The class that decides
    is the predicted one, the catalogue's where none is predicted.  A label with too few validation rows takes the
    scale of all labels' rows together, with a note; without any, sigma is sigma_raw.  Rows without value or sigma_raw
    have no sigma.
    Report: by label the scales by class with their n, rows, stars and coverage of 1 and 2 sigma before and after, on
    the validation rows and on ``raw`` (where the truth is known); class: how its probability was scaled
    (:func:`starglot.evaluation.class_probability.fit_probability`); and notes.
    """
    fitted, notes = _fit(val_raw)
    of_class = fit_probability(val_raw)
    table = with_probability(raw, of_class)
    table = table.set_column(raw.column_names.index("sigma"), "sigma", _sigmas(raw, fitted))
    val = val_raw.set_column(val_raw.column_names.index("sigma"), "sigma", _sigmas(val_raw, fitted))
    labels: dict[str, Any] = {}
    for label in _unique(raw["label"]):
        scales = {scope: vars(fitted[key]) for key in fitted if key[0] == label for scope in [key[1] or "all"]}
        labels[label] = {
            "scales": scales or {"all": vars(fitted.get(("", ""), Scale(1.0, 0.0, 0)))},
            "validation": _coverage(val.filter(pc.equal(val["label"], label))),
            "set": _coverage(table.filter(pc.equal(table["label"], label))),
        }
        said = (f"{scope} x{of['scale']:.3g} of {of['n']}" for scope, of in labels[label]["scales"].items())
        log.info("%s: sigma_raw scaled on validation rows: %s", label, ", ".join(said))
    for note in [*notes, *far_scales(labels)]:
        log.warning(note)
    return as_predictions(table), {"labels": labels, "class": of_class, "notes": notes}


def far_scales(labels: Mapping[str, Any]) -> list[str]:
    """Sentences on uncertainties that were scaled by more than FAR; labels: of the report of :func:`calibrate`."""
    return [
        f"{label}: the model's own uncertainties were wrong by a factor of {max(scale, 1 / scale):.3g} on "
        f"{of['n']:,} validation rows; do not rely on them"
        for label, found in labels.items()
        if "all" in found["scales"] and (of := found["scales"]["all"])["n"]
        if (scale := of["scale"]) > FAR or scale < 1 / FAR
    ]


def fitted_scales(val_raw: pa.Table) -> list[dict[str, Any]]:
    """The scales that :func:`calibrate` takes from validation stars, JSON-able: label, class, scale, floor, n.

    The class '' is all classes, the label '' is that of labels without a scale of their own.
    """
    fitted, _ = _fit(val_raw)
    return [{"label": label, "class": letter, **vars(scale)} for (label, letter), scale in fitted.items()]


def with_sigma(raw: pa.Table, scales: Sequence[Mapping[str, Any]]) -> pa.Table:
    """``raw`` (``tables.PREDICTION``) with its sigma column filled by the scales of :func:`fitted_scales`."""
    fitted = {(one["label"], one["class"]): Scale(one["scale"], one["floor"], one["n"]) for one in scales}
    return as_predictions(raw.set_column(raw.column_names.index("sigma"), "sigma", _sigmas(raw, fitted)))


def _fit(val: pa.Table) -> tuple[dict[tuple[str, str], Scale], list[str]]:
    """Scales by (label, class); class '' is all classes of the label, ('', '') all labels together."""
    error, raw, usable = _errors(val)
    names, classes, stars = _strings(val["label"]), _classes(val), _strings(val["star_id"])
    fitted: dict[tuple[str, str], Scale] = {}
    found: dict[tuple[str, str], tuple[float, int]] = {}  # log of the scale without a floor, and stars
    notes: list[str] = []

    def fit(key: tuple[str, str], mine: np.ndarray) -> bool:
        scale = fit_scale(error[mine], raw[mine])
        if scale is not None:
            fitted[key] = scale
            if np.all(raw[mine] > 0):
                plain = ratio_scale(np.abs(error[mine]) / raw[mine])
                found[key] = float(np.log(plain)), len(np.unique(stars[mine]))
        return scale is not None

    few = []
    for label in _unique(val["label"]):
        mine = usable & (names == label)
        if mine.sum() < MIN_LABEL or not fit((label, ""), mine):
            few.append(f"{label} ({int(mine.sum())})")
            continue
        for letter in np.unique(classes[mine]):
            if letter and (of_class := mine & (classes == letter)).sum() >= MIN_CLASS:
                fit((label, str(letter)), of_class)
    _draw_together(fitted, found)
    if few:
        # Kelvin and dex do not mix in a floor, so the common scale has none.
        good = usable & (raw > 0)
        ratio = np.abs(error[good]) / raw[good]
        common = ratio_scale(ratio) if len(ratio) else 0.0
        if common > 0:
            fitted["", ""] = Scale(common, 0.0, len(ratio))
        source = f"the scale of all {len(ratio)} validation rows" if common > 0 else "sigma_raw as it is"
        notes.append(f"fewer than {MIN_LABEL} usable validation rows for {', '.join(few)}: they take {source}")
    return fitted, notes


def _draw_together(fitted: dict[tuple[str, str], Scale], found: dict[tuple[str, str], tuple[float, int]]) -> None:
    """Shrink the scales of labels towards their common one, and those of classes towards their label's."""

    def shift(keys: list[tuple[str, str]], centre: np.ndarray) -> None:
        logs = np.array([found[key][0] for key in keys])
        variance = np.array([_VARIANCE / found[key][1] for key in keys])
        drawn = centre + shrunk(logs - centre, variance)
        for key, before, after in zip(keys, logs, drawn, strict=True):
            fitted[key] = replace(fitted[key], scale=fitted[key].scale * float(np.exp(after - before)))
            found[key] = float(after), found[key][1]

    labels = [key for key in found if not key[1]]
    if len(labels) > 2:
        weights = [found[key][1] for key in labels]
        shift(labels, np.full(len(labels), np.average([found[key][0] for key in labels], weights=weights)))
    classes = [key for key in found if key[1] and (key[0], "") in found]
    if len(classes) > 2:
        shift(classes, np.array([found[key[0], ""][0] for key in classes]))


def _sigmas(table: pa.Table, fitted: dict[tuple[str, str], Scale]) -> pa.Array:
    raw = table["sigma_raw"].to_numpy(zero_copy_only=False).astype(float)
    value = table["value"].to_numpy(zero_copy_only=False).astype(float)
    names, classes = _strings(table["label"]), _classes(table)
    common = fitted.get(("", ""), Scale(1.0, 0.0, 0))
    sigma = np.full(len(table), np.nan)
    for label in np.unique(names):
        for letter in np.unique(classes):
            mine = (names == label) & (classes == letter)
            scale = fitted.get((str(label), str(letter))) or fitted.get((str(label), "")) or common
            sigma[mine] = scale.apply(raw[mine])
    return pa.array(sigma, pa.float64(), mask=~(np.isfinite(sigma) & np.isfinite(value)))


def _errors(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """error, sigma_raw, and where both are known and the answer was good."""
    columns = [table[name].to_numpy(zero_copy_only=False).astype(float) for name in ("value", "truth", "sigma_raw")]
    value, truth, raw = columns
    usable = np.isfinite(value - truth) & np.isfinite(raw) & (_strings(table["status"]) == "ok")
    return value - truth, raw, usable


def _coverage(table: pa.Table) -> dict[str, Any]:
    """Rows, their stars, and the part of errors within 1 and 2 sigma before and after (null without rows)."""
    error, raw, usable = _errors(table)
    sigma = table["sigma"].to_numpy(zero_copy_only=False).astype(float)
    out: dict[str, Any] = {"n": int(usable.sum()), "n_stars": len(np.unique(_strings(table["star_id"])[usable]))}
    for when, width in (("before", raw), ("after", sigma)):
        out[when] = {
            name: float((np.abs(error[usable]) <= k * width[usable]).mean()) if usable.any() else None
            for name, (k, _) in _COVERAGE.items()
        }
    out["expected"] = {name: expected for name, (_, expected) in _COVERAGE.items()}
    return out


def _classes(table: pa.Table) -> np.ndarray:
    return _strings(pc.fill_null(pc.coalesce(table["class_pred"], table["class"]), ""))


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_pylist(), dtype=object)


def _unique(column: pa.ChunkedArray) -> list[str]:
    values: list[str] = pc.unique(column).to_pylist()
    return values
