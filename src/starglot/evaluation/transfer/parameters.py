"""Models carried over, by trained parameters and by rate: figures A3 and A4 of the transfer paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

CAPTION = "Trained parameters and rates of models carried over"
NOTES: tuple[str, ...] = (
    "Mean over the seeds, all on the same test stars, none of which trained any of the models; intervals are over "
    "stars, '... between seeds' is the standard deviation between them. The transfer paper shows its own in figures "
    "A3 and A4, without numbers.",
    "Trained: weights that training moves, of all labels together, and of the network that tells the group.",
    "Biweight: Tukey's scale of the residuals about their median, c = 6. Clipped: their standard deviation after "
    "clipping at 3 sigma. Bias: their median. Metal-poor: true [Fe/H] below -1.",
)


@dataclass(frozen=True)
class Training:
    """How a model was trained: weights that moved, and the highest rate."""

    parameters: int
    learning_rate: float


def parameters_table(sizes: pd.DataFrame, trainings: Mapping[str, Training]) -> pd.DataFrame:
    """Rows of ``transfer_sizes.sizes_table`` with columns `trained` and `learning_rate`, by strategy, then these.

    trainings: by model; others are left out, and so are models that take no step.
    """
    rows = sizes[sizes["model"].isin(trainings) & (sizes["n_train"] > 0)]
    found = [trainings[model] for model in rows["model"]]
    place = list(rows.columns).index("n_train")
    table = rows.drop(columns=["source"]).copy()
    table.insert(place, "trained", pd.array([one.parameters for one in found], "Int64"))
    table.insert(place + 1, "learning_rate", [one.learning_rate for one in found])
    labels = list(dict.fromkeys(table["label"]))  # [Fe/H] first
    table = table.assign(label=pd.Categorical(table["label"], labels))
    order = ["task", "label", "strategy", "input", "trained", "learning_rate"]
    return table.sort_values(order, kind="stable", ignore_index=True).astype({"label": str})
