"""An ablation as a table: the error of a model with one setting varied at a time, all tried on one test set.

Imitates table 1 of "Teaching LLMs to Speak Spectroscopy", with seeds, intervals, and what a constant would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.redshifts import CATASTROPHIC
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged
from starglot.evaluation.statistics import interval, robust_scatter, star_resamples
from starglot.labels import REDSHIFT
from starglot.models.redshifts import LIGHT

NOTES: tuple[str, ...] = (
    "One setting is varied at a time; the first row is the model itself.  MAE: mean over the seeds, with an interval "
    "over objects; its scatter of seeds is the standard deviation of one training's MAE.",
    "Constant's MAE: that of the median of these values, told for every spectrum; what has learnt nothing does as "
    "well.",
    "Two rows differ if they do by more than the scatter of seeds; one training each does not tell.",
)
REDSHIFT_NOTE = f"Catastrophic: share of spectra with c|dz|/(1+z) above {CATASTROPHIC:.0f} km/s."


@dataclass(frozen=True)
class Training:
    """One training of an ablation.

    varied: path of the setting, 'size', or None for the model itself; values: of all settings that are varied
    anywhere; predictions: raw ones of the common test set; manifest: of the model.
    """

    size: str
    varied: str | None
    values: Mapping[str, Any]
    predictions: str
    manifest: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        """What trainings of several seeds have in common."""
        return (self.varied or "", self.size, *self.values.values())


def ablation_table(
    trainings: Sequence[Training],
    labels: Sequence[str],
    *,
    task: str,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each setting and label: the settings, and MAE, NMAD and (redshift) catastrophic share over the seeds.

    Columns: task, label, varied, the last name of each varied setting, size, n_train, parameters (trained; empty
    where the manifest counts none), seeds, n, mae with mae_lo and mae_hi, seed_scatter, nmad, catastrophic,
    constant_mae, interval.
    """
    groups: dict[tuple[Any, ...], list[Training]] = {}
    for one in trainings:
        groups.setdefault(one.key, []).append(one)
    records = []
    for label in labels:
        for alike in groups.values():
            counts = alike[0].manifest.get("counts", {})
            found = [judged(read_predictions(one.predictions), label) for one in alike]
            records.append(
                {
                    "task": task,
                    "label": label,
                    "varied": (alike[0].varied or "nothing").rpartition(".")[2],
                    **{path.rpartition(".")[2]: f"{value:g}" for path, value in alike[0].values.items()},
                    "size": alike[0].size,
                    "n_train": counts.get("train"),
                    "parameters": counts.get("trainable_parameters"),
                    "seeds": len(alike),
                    **_errors(found, label, level, replicates, seed),
                }
            )
    return pd.DataFrame.from_records(records)


def _errors(found: Sequence[Judged], label: str, level: float, replicates: int, seed: int) -> dict[str, Any]:
    """Figures of merit of the trainings of one setting, on the spectra that all of them answer."""
    common = sorted(set.intersection(*(set(rows.obsid.tolist()) for rows in found)))
    found = [rows.where(np.isin(rows.obsid, common)) for rows in found]
    out: dict[str, Any] = {"n": len(common)}
    if not common:
        return out
    size = np.stack([np.abs(rows.error) for rows in found])
    each = size.mean(axis=1)
    out["mae"] = float(each.mean())
    stars, star = np.unique(found[0].star, return_inverse=True)
    if len(stars) >= LEAST_STARS:
        times = np.concatenate([*star_resamples(len(stars), replicates, seed, len(common))])[:, star]
        out["mae_lo"], out["mae_hi"] = interval(times @ size.mean(axis=0) / times.sum(axis=1), level)
    out["seed_scatter"] = float(each.std(ddof=1)) if len(each) > 1 else None
    out["nmad"] = float(np.mean([robust_scatter(rows.residual) for rows in found]))
    if label == REDSHIFT.name:
        out["catastrophic"] = float(np.mean([np.abs(rows.residual) * LIGHT > CATASTROPHIC for rows in found]))
    out["constant_mae"] = float(np.abs(found[0].truth - np.median(found[0].truth)).mean())
    return out | {"interval": level}
