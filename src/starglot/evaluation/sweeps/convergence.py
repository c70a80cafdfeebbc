"""Was a training done when it ended?  Without that, sigma(N) measures the optimiser's steps and not the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from starglot.evaluation.statistics import interval
from starglot.evaluation.sweeps.points import Point

#: A gain of sigma below this fraction is none, however well it is measured.
_GAIN = 0.02

_FITTED = "fitted in one go"
_STOPPED = "stopped by validation stars"
_AGREES = "more passes gain nothing"
_UNCHECKED = "not checked"


@dataclass(frozen=True)
class Convergence:
    """By size, how it is known that training had converged, or that it had not; ``doubt`` in one sentence, if any."""

    of: Mapping[str, str]
    doubt: str | None


@dataclass(frozen=True)
class Ended:
    """How a training ended: in words, None for one that ran to its last pass; whether anything was drawn in it."""

    how: str | None
    drawn_nothing: bool


def stopped_by_itself(manifest: Mapping[str, Any], label: str | None = None) -> Ended:
    """How training ended, from the model's manifest (for ``label``, if labels are trained separately)."""
    model = manifest.get("model") or {}
    if "seed" in manifest and manifest["seed"] is None:
        return Ended(_FITTED, True)
    if "rounds" in model:
        stops, most = model.get("stop_after"), model["rounds"]
        rounds = [
            facts.get("rounds", most) for name, facts in manifest.get("labels", {}).items() if label in (None, name)
        ]
        done = max(rounds, default=most) + (stops or 0)
        # The best round and those waited for in vain are within what was allowed.
        return Ended(_STOPPED if stops and done <= most else None, False)
    plan = model.get("training") or {}
    if plan.get("stop_after"):
        done, most = manifest.get("counts", {}).get("epochs", 0), plan.get("epochs", 0)
        return Ended(_STOPPED if done < most else None, False)
    return Ended(None, False)


def converged(
    curves: Mapping[float, Sequence[tuple[str, Point]]], label: str, level: float
) -> dict[float, Convergence]:
    """For each number of passes (ascending): did training end by itself, or do more passes gain nothing?

    The most passes are trusted when those before them gain nothing by them.
    """
    passes = list(curves)
    found = {}
    for place, each in enumerate(passes):
        pair = passes[place : place + 2] if place + 1 < len(passes) else passes[-2:]
        of = {}
        for size, point in curves[each]:
            ends = {stopped_by_itself(one.manifest, label).how for one in point.trained}
            how = None if None in ends else ends.pop()
            if how is None and len(pair) == 2:
                fewer, more = (dict(curves[p]).get(size) for p in pair)
                gain = None if fewer is None or more is None else _gain(fewer, more, level)
                how = _UNCHECKED if gain is None else _in_words(gain, pair[1] / pair[0], each == pair[0])
            of[size] = how or _UNCHECKED
        found[each] = Convergence(of, _doubt(of))
    return found


def _gain(fewer: Point, more: Point, level: float) -> float:
    """Fraction of sigma that more passes take away; 0 where that is not measurable, or too little."""
    gain = 1 - more.copies / fewer.copies
    low, _ = interval(gain, level)
    middle = float(np.median(gain))
    return middle if low > 0 and middle > _GAIN else 0.0


def _in_words(gain: float, factor: float, is_fewer: bool) -> str:
    if not gain:
        return _AGREES
    if is_fewer:
        return f"not yet: {factor:g} times the passes gain {100 * gain:.0f} %"
    return f"not yet, it seems: the last {factor:g} times the passes gained {100 * gain:.0f} %"


def _doubt(of: Mapping[str, str]) -> str | None:
    late = [size for size, how in of.items() if how.startswith("not yet")]
    unchecked = [size for size, how in of.items() if how == _UNCHECKED]
    said = []
    if late:
        said.append(f"training has not converged, as far as can be seen, at {', '.join(late)}")
    if unchecked:
        where = "" if len(unchecked) == len(of) else f" at {', '.join(unchecked)}"
        said.append(f"convergence is not checked{where} (scaling: passes)")
    return "; ".join(said) or None
