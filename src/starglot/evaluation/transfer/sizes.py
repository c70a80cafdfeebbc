"""Transfer by number of training spectra: tables a1 and a2 of the transfer paper and table 1 of the LoRA paper.

Each is a long frame: rows of this run, then the paper's own, marked as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from starglot.evaluation.numbered import OURS, PAPER
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.transfer.tables import SPECTRA, estimates, paper_table, subsets

_STATISTICS = ("r2", "biweight", "clipped")
COLUMNS: tuple[str, ...] = (
    *("source", "task", "label", "input", "strategy", "model", "n_train", "stars", "n", "n_stars", "seeds"),
    *(f"{name}{end}" for name in _STATISTICS for end in ("", "_lo", "_hi", "_seeds")),
    *("bias", "interval"),
)

#: Captions by name of the table.
CAPTIONS: dict[str, str] = {
    "specclip_1": "[Fe/H] without and with LoRA (table 1 of the LoRA paper)",
    "transfer_a1": "What a network reads, by number of training spectra (table A1 of the transfer paper)",
    "transfer_a2": "Strategies by number of training spectra (table A2 of the transfer paper)",
}
#: The strategy at which the transfer paper compares inputs: for [Fe/H], and for all else.
_BEST = {"feh": "residual"}
_BEST_ELSE = "lora"

NOTES: tuple[str, ...] = (
    "Rows 'paper' are the paper's own, on real DESI stars: 5,539 (79 metal-poor) of the transfer paper, means of "
    "five runs; 396 (60) of the LoRA paper, after 89 training spectra. They had other stars, so they are no "
    "yardstick for a mock or another survey.",
    "Rows of this run: mean over the seeds, all on the same test stars, none of which trained any of the models; "
    "intervals are over stars, '... between seeds' is the standard deviation between them. Zero-shot learns from 0.",
    "Input: what the network reads; 'spectra' is the paper's lrs, normalised flux.",
    "Biweight: Tukey's scale of the residuals about their median, c = 6. Clipped: their standard deviation after "
    "clipping at 3 sigma. Bias: their median. Metal-poor: true [Fe/H] below -1.",
)


@dataclass(frozen=True)
class Carried:
    """Models of one strategy and size that differ in their seeds alone: predictions of the common test set.

    reads: SPECTRA, or the base that the model stands on; n_train: spectra that they learnt from.
    """

    task: str
    model: str
    strategy: str
    reads: str
    n_train: int
    predictions: Sequence[Path]


def sizes_table(
    carried: Iterable[Carried], *, level: float = 0.95, replicates: int = 500, seed: int = 0
) -> pd.DataFrame:
    """A row for each of ``carried``, label and subset of stars, of :data:`COLUMNS`; intervals over stars.

    Zero-shot models, which are the same at every size, stand there once, with n_train 0.
    """
    records = []
    done = set()
    for one in carried:
        n_train = 0 if one.strategy == "zero_shot" else one.n_train
        if (one.task, one.model, n_train) in done:
            continue
        done.add((one.task, one.model, n_train))
        for label, stars, rows in subsets([read_predictions(path) for path in one.predictions]):
            alone = [estimates([each], level, 0, seed) for each in rows]
            scatter = {
                f"{name}_seeds": float(np.std([each[name] for each in alone], ddof=1))
                for name in _STATISTICS
                if len(alone) > 1 and name in alone[0]
            }
            records.append(
                {"source": OURS, "task": one.task, "label": label, "input": one.reads, "strategy": one.strategy}
                | {"model": one.model, "n_train": n_train, "stars": stars, "n": len(rows[0])}
                | {"n_stars": len(np.unique(rows[0].star)), "seeds": len(rows), "interval": level}
                | estimates(rows, level, replicates, seed)
                | scatter
            )
    return _frame(pd.DataFrame.from_records(records, columns=list(COLUMNS)))


def named_table(name: str, ours: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``ours`` (:func:`sizes_table`) that belong in one of :data:`CAPTIONS`, then the paper's own."""
    best = [
        strategy == _BEST.get(label, _BEST_ELSE) for label, strategy in zip(ours.label, ours.strategy, strict=True)
    ]
    chosen = {
        "specclip_1": (ours["label"] == "feh") & ours["strategy"].isin(["zero_shot", "lora"]),
        "transfer_a1": ours["strategy"].isin(["zero_shot", "scratch"]) | np.array(best, bool),
        "transfer_a2": ours["input"] == SPECTRA,
    }[name]
    theirs = paper_table(name).assign(source=PAPER, n_stars=lambda rows: rows["n"])
    theirs = theirs[theirs["label"].isin(ours["label"].unique())].reindex(columns=list(COLUMNS))
    both = [part.astype(object) for part in (ours[chosen], theirs) if len(part)]
    return _frame(pd.concat(both, ignore_index=True) if both else ours[chosen])


def _frame(frame: pd.DataFrame) -> pd.DataFrame:
    counts = {name: "Int64" for name in ("n_train", "n", "n_stars", "seeds")}
    numbers = [name for name in frame.columns if name.startswith(_STATISTICS) or name in ("bias", "interval")]
    frame[numbers] = frame[numbers].apply(pd.to_numeric)
    return frame.astype(counts)
