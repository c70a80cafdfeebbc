"""The spectra with the largest errors: where a person looks first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import robust_scatter


def worst_spectra(predictions: pa.Table, labels: Sequence[str], count: int) -> pd.DataFrame:
    """The ``count`` spectra whose largest |residual| / robust scatter of its label is largest, one row per label.

    One spectrum of a star.  Columns: obsid, star, class, label, truth, value, sigma, error (in scatters), score
    (of the spectrum); worst spectrum first, then worst label first.
    """
    parts = []
    for label in labels:
        rows = judged(predictions, label)
        scatter = robust_scatter(rows.residual)
        if len(rows) > 1 and scatter > 0:
            held = {
                "obsid": rows.obsid,
                "star": rows.star,
                "class": rows.letter,
                "truth": rows.truth,
                "value": rows.value,
                "sigma": rows.sigma,
            }
            parts.append(pd.DataFrame({**held, "label": label, "error": rows.residual / scatter}))
    if not parts:
        return pd.DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    frame["size"] = frame["error"].abs()
    frame["score"] = frame.groupby("obsid")["size"].transform("max")
    order = frame.sort_values(["score", "obsid", "size"], ascending=[False, True, False], kind="stable")
    chosen = order.drop_duplicates("star")["obsid"].head(count)
    return order[order["obsid"].isin(chosen)].drop(columns="size")
