"""How the scatter of residuals falls with training data: the points of a sweep, and the law through them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from starglot.config.names import read_name
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.statistics import interval
from starglot.evaluation.sweeps.convergence import Convergence, converged, stopped_by_itself
from starglot.evaluation.sweeps.points import Point, Trained, count_of, points_of, require_one_test_set
from starglot.evaluation.sweeps.power_law import LAW, NONE, UNSHOWN, fit_power_law, judge_law

POINTS: tuple[str, ...] = (
    *("task", "model", "label", "passes", "size", "n_train", "examples", "parameters", "seeds", "n", "n_stars"),
    *("answered", "sigma", "sigma_lo", "sigma_hi", "seed_scatter", "rmse", "robust", "converged", "interval"),
)

LAWS: tuple[str, ...] = (
    *("task", "model", "label", "axis", "passes", "n_sizes", "n_stars", "sigma_inf", "sigma_inf_lo", "sigma_inf_hi"),
    *("a", "a_lo", "a_hi", "alpha", "alpha_lo", "alpha_hi", "n_beyond", "beyond", "beyond_lo", "beyond_hi"),
    *("verdict", "because", "interval"),
)

_SIGMA: dict[str, str] = {
    "robust": "the normalised median absolute deviation of the residuals",
    "rmse": "the root mean square of the residuals",
}


def notes(statistic: str, test_set: str) -> list[str]:
    """Notes for the tables; test_set: its description."""
    return [
        f"All models of all sizes are tried on one test set, {test_set}, and judged on the spectra that all sizes, "
        "seeds and passes of a model answer. No star of it is in any training sample; the samples are nested.",
        f"Sigma is {_SIGMA[statistic]}, the mean over the seeds. Passes: multiples of the configured ones.",
        "Intervals: bootstrap over the test stars, the same for all sizes, and the scatter between seeds. Which "
        "spectra make up a sample is not in them.",
    ]


LAW_NOTES: tuple[str, ...] = (
    "sigma(N) = sigma_inf + A N^-alpha by least squares, each point weighted by its interval, sigma_inf and A not "
    "negative. N: training spectra; on the axis of examples, spectra seen with repetitions, at the largest size.",
    "Verdict: 'power law' when four sizes or more lie on the curve within their noise, sigma falls, the interval of "
    "alpha has both ends inside 0 to 3, and training had converged at every size; 'not shown' where that cannot be "
    "told; 'no power law' where the points contradict it. An extrapolation is worth no more than the verdict.",
)


def scaling_tables(
    models: Iterable[Trained],
    labels: Sequence[str],
    *,
    task: str,
    statistic: str = "robust",
    extrapolate: float = 10.0,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(points, laws): sigma by model, label, passes and size; sigma_inf + A N^-alpha by model, label and passes.

    models: of one task, all tried on the same stars.  statistic: of :data:`SIGMA`.  Intervals (``level``, of
    ``replicates`` bootstrap samples) are over the test stars, the same ones for all sizes, and over seeds: the
    scatter between seeds, relative to sigma and pooled over the sizes, divided by the root of their number.  The
    axis is the number of training spectra; examples seen, at the largest size, where there are enough passes.
    ``verdict`` says whether the points support a power law, ``because`` why not.

    Raises StarglotError when test sets differ, or hold a star that a model was trained on.
    """
    groups: dict[tuple[str, float, str], list[Trained]] = defaultdict(list)
    for one in models:
        said = read_name(one.model)
        groups[said.model, said.passes or 1.0, one.size].append(one)
    tables = {(one.model, one.size): read_predictions(one.predictions) for each in groups.values() for one in each}
    require_one_test_set(tables)
    points, laws = [], []
    for model in dict.fromkeys(model for model, _, _ in groups):
        own = {(passes, size): each for (name, passes, size), each in groups.items() if name == model}
        for label in labels:
            found = points_of(own, tables, label, statistic, replicates, seed)
            names = {"task": task, "model": model, "label": label, "interval": level}
            if isinstance(found, str):
                laws.append(names | {"axis": "spectra", "verdict": UNSHOWN, "because": found})
                continue
            curves = _curves(found)
            settled = converged(curves, label, level)
            for passes, curve in curves.items():
                points += [names | _point_row(point, size, passes, level, settled[passes]) for size, point in curve]
                law = _law("spectra", [p for _, p in curve], lambda p: p.n_train, settled[passes], level, extrapolate)
                laws.append(names | law | {"axis": "spectra", "passes": passes})
            longest = [curve[-1][1] for curve in curves.values()]
            if len(longest) >= 3 and not any(math.isnan(point.examples) for point in longest):
                law = _law("examples", longest, lambda p: p.examples, None, level, extrapolate)
                laws.append(names | law | {"axis": "examples", "passes": None})
    return _frame(points, POINTS), _frame(laws, LAWS)


def _frame(records: list[dict[str, object]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(records, columns=list(columns))
    counts = {name: "Int64" for name in ("examples", "parameters", "n_beyond") if name in columns}
    return frame.astype(counts)


def _curves(found: dict[tuple[float, str], Point]) -> dict[float, list[tuple[str, Point]]]:
    """Passes, fewest first -> (size, point), smallest first."""
    curves: dict[float, list[tuple[str, Point]]] = {}
    for passes in sorted({passes for passes, _ in found}):
        curve = [(size, point) for (p, size), point in found.items() if p == passes]
        curves[passes] = sorted(curve, key=lambda item: item[1].n_train)
    return curves


def _point_row(point: Point, size: str, passes: float, level: float, settled: Convergence) -> dict[str, object]:
    low, high = interval(point.copies, level)
    several = len(point.by_seed) > 1
    return {
        "passes": passes,
        "size": size,
        "n_train": point.n_train,
        "examples": None if math.isnan(point.examples) else round(point.examples),
        "parameters": _parameters(point),
        "seeds": len(point.by_seed),
        "n": point.n,
        "n_stars": point.n_stars,
        "answered": point.answered,
        "sigma": point.sigma,
        "sigma_lo": low,
        "sigma_hi": high,
        "seed_scatter": float(np.std(point.by_seed, ddof=1)) if several else None,
        "rmse": point.rmse,
        "robust": point.robust,
        "converged": settled.of.get(size),
    }


def _parameters(point: Point) -> int | None:
    """Parameters of the whole model; of a language model those of its base with the adapter."""
    one = point.trained[0]
    whole = count_of(one, "parameters")
    count = count_of(one, "trainable_parameters") if math.isnan(whole) else whole
    return None if math.isnan(count) else int(count)


def _law(
    axis: str,
    points: list[Point],
    measure: Callable[[Point], float],
    settled: Convergence | None,
    level: float,
    extrapolate: float,
) -> dict[str, object]:
    """The law through the points of one curve, with intervals, and what is to be thought of it."""
    n = np.array([measure(point) for point in points], float)
    out: dict[str, object] = {"n_sizes": len(n), "n_stars": points[0].n_stars}
    if len(np.unique(n)) < 3:
        things = "sizes" if axis == "spectra" else "numbers of examples"
        return out | {"verdict": UNSHOWN, "because": f"three {things} or more determine a curve, not {len(n)}"}
    sigma = np.array([point.sigma for point in points])
    copies = np.stack([point.copies for point in points], axis=1)
    # A point without noise would have all the weight of the fit.
    error = np.maximum(np.std(copies, axis=0), 1e-6 * sigma.max() + 1e-12)
    law, drawn = fit_power_law(n, sigma, error), fit_power_law(n, copies, error)
    # Without a falling part there is no exponent: such a copy counts as flat.
    flat = drawn.a <= 0
    exponents = np.where(flat, 0.0, drawn.alpha)
    beyond = extrapolate * n.max()
    for name, value, many in (
        ("sigma_inf", law.sigma_inf[0], drawn.sigma_inf),
        ("a", law.a[0], drawn.a),
        ("alpha", law.alpha[0], exponents),
        ("beyond", law.at(beyond)[0], drawn.at(beyond)),
    ):
        low, high = interval(many, level)
        out |= {name: float(value), f"{name}_lo": low, f"{name}_hi": high}
    if law.a[0] <= 0:
        out["alpha"] = None
    reasons = judge_law(n, sigma, copies, law, drawn, level)
    if settled is not None and settled.doubt:
        reasons.append((UNSHOWN, settled.doubt))
    if len(points[0].by_seed) == 1 and not stopped_by_itself(points[0].trained[0].manifest).drawn_nothing:
        reasons.append((UNSHOWN, "one seed: the scatter between trainings is not known"))
    verdicts = [verdict for verdict, _ in reasons]
    return out | {
        "n_beyond": round(beyond),
        "verdict": NONE if NONE in verdicts else UNSHOWN if verdicts else LAW,
        "because": "; ".join(reason for _, reason in reasons) or None,
    }
