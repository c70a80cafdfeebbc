"""Models carried from one survey to another, by strategy: R2 and scatter, of metal-poor and metal-rich stars apart.

As "Generalization from Low- to Moderate-Resolution Spectra with Neural Networks" tabulates them (table 1); its own
numbers, on DESI, stand beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, reduce
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import Judged, judged
from starglot.evaluation.statistics import interval, star_resamples
from starglot.evaluation.transfer.robust import biweight, clipped, r2

#: [Fe/H] below which a star is metal-poor (the paper's table 1).
METAL_POOR = -1.0
SUBSETS = ("all", "metal-poor", "metal-rich")
#: What a network reads that stands on no base.
SPECTRA = "spectra"

COLUMNS: tuple[str, ...] = (
    *("task", "strategy", "model", "size", "set", "label", "stars", "n"),
    *("r2", "r2_lo", "r2_hi", "biweight", "biweight_lo", "biweight_hi"),
    *("clipped", "clipped_lo", "clipped_hi", "bias", "paper_r2", "interval"),
)

NOTES: tuple[str, ...] = (
    f"Metal-poor: true [Fe/H] below {METAL_POOR:g}; metal-rich: the others. R2 within a narrow range of truths is "
    "low, or negative, for good predictions, too.",
    "Biweight: Tukey's scale of the residuals about their median, c = 6 (Zhao et al., LoRA paper). Clipped: their "
    "standard deviation after clipping at 3 sigma (the table's paper). Bias: their median.",
    "paper_r2: the paper's own on DESI, 5,539 stars (79 metal-poor), means of five runs. It had other stars, so "
    "this is no yardstick for a mock.",
)


@cache
def _paper_tables() -> pd.DataFrame:
    with (files("starglot.evaluation.transfer") / "paper_tables.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream)


def paper_table(name: str) -> pd.DataFrame:
    """A table of the two papers as printed: specclip_1 (LoRA paper, table 1), transfer_1, transfer_a1 or transfer_a2.

    Columns: label, input (SPECTRA, the paper's lrs; embed, embed-align, embed-split), strategy, n_train (spectra that
    were learnt from), stars (one of SUBSETS), n (of them), r2, biweight (dex, specclip_1 alone).  R2 of the transfer
    paper are means of five runs.
    """
    numbers = _paper_tables()
    return numbers[numbers["table"] == name].drop(columns="table").reset_index(drop=True)


def transfer_table(
    predictions: Mapping[tuple[str, ...], Path],
    strategies: Mapping[str, str],
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each prediction table, label and subset of stars; intervals over stars.

    predictions: by (task, model, size, set); strategies: model -> how it goes on from its start, '' for one that has
    none.  Spectra of training stars are left out.  A subset without stars has n 0 and no numbers.
    """
    theirs = paper_table("transfer_1")
    theirs = theirs[theirs["input"] == SPECTRA]
    paper = dict(
        zip(zip(theirs["label"], theirs["strategy"], theirs["stars"], strict=True), theirs["r2"], strict=True)
    )
    records = []
    for (task, model, size, name), path in predictions.items():
        strategy = strategies.get(model, "")
        for label, stars, (rows,) in subsets([read_predictions(path)]):
            records.append(
                {"task": task, "strategy": strategy, "model": model, "size": size, "set": name}
                | {"label": label, "stars": stars, "n": len(rows), "interval": level}
                | {"paper_r2": paper.get((label, strategy, stars), float("nan"))}
                | estimates([rows], level, replicates, seed)
            )
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def subsets(tables: Sequence[pa.Table]) -> Iterator[tuple[str, str, list[Judged]]]:
    """(label, one of SUBSETS, rows of each table): prediction tables of the same spectra, [Fe/H] first of the labels.

    Rows are those that every table can be judged by.  Without true [Fe/H] there are all stars alone.
    """
    metals = tables[0].filter(pc.and_(pc.equal(tables[0]["label"], "feh"), pc.is_valid(tables[0]["truth"])))
    iron = dict(zip(metals["obsid"].to_pylist(), metals["truth"].to_pylist(), strict=True))
    labels = set(tables[0]["label"].to_pylist())
    for label in sorted(labels, key=lambda name: (name != "feh", name)):
        every = [judged(table, label) for table in tables]
        common = reduce(np.intersect1d, [rows.obsid for rows in every])
        every = [rows.where(np.isin(rows.obsid, common)) for rows in every]
        feh = np.array([iron.get(obsid, np.nan) for obsid in every[0].obsid.tolist()])
        with np.errstate(invalid="ignore"):
            chosen = np.ones(len(feh), bool), feh < METAL_POOR, feh >= METAL_POOR
        for stars, mine in zip(SUBSETS, chosen, strict=True):
            yield label, stars, [rows.where(mine) for rows in every]


def estimates(seeds: Sequence[Judged], level: float, replicates: int, seed: int) -> dict[str, float]:
    """R2, both scatters and bias of models of several seeds on the same spectra: means over the seeds.

    Intervals resample the stars, the same for all seeds; fewer than ``LEAST_STARS`` have none.
    """
    first = seeds[0]
    if len(first) < 2:
        return {}
    stars, star = np.unique(first.star, return_inverse=True)
    one = np.ones((1, len(first)), np.int32)
    drawn = [one]
    if len(stars) >= LEAST_STARS:
        drawn += [counts[:, star] for counts in star_resamples(len(stars), replicates, seed, len(first))]
    out = {"bias": float(np.mean([np.median(rows.error) for rows in seeds]))}
    for name, statistic in _STATISTICS.items():
        blocks = [np.mean([statistic(rows, weights) for rows in seeds], axis=0) for weights in drawn]
        out[name] = float(blocks[0][0])
        if len(blocks) > 1:
            out[f"{name}_lo"], out[f"{name}_hi"] = interval(np.concatenate(blocks[1:]), level)
    return out


#: What :func:`estimates` takes of the rows of one model, with weights (replicates, n).
_STATISTICS: Mapping[str, Callable[[Judged, np.ndarray], np.ndarray]] = {
    "r2": lambda rows, weights: r2(rows.truth, rows.error, weights),
    "biweight": lambda rows, weights: biweight(rows.error, weights),
    "clipped": lambda rows, weights: clipped(rows.error, weights),
}
