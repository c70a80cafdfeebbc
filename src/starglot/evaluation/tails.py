"""The tails: rare stars, for which a good average can hide a poor model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.evaluation.cells import STATISTICS, CellRows, cell_statistics
from starglot.evaluation.rows import each_judged, spoilt_note, values_of

#: Parts by the catalogue's Teff (K), log g, [Fe/H] (dex) and S/N (r band): a name, and who is in it.
PARTS: dict[str, Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray]] = {
    "[Fe/H] < -1": lambda p, letter: p["feh"] < -1.0,
    "[Fe/H] < -2": lambda p, letter: p["feh"] < -2.0,
    "[Fe/H] > 0.3": lambda p, letter: p["feh"] > 0.3,
    "A, Teff > 8000 K": lambda p, letter: (letter == "A") & (p["teff"] > 8000.0),
    "M dwarfs": lambda p, letter: (letter == "M") & (p["logg"] >= 4.0),
    "M giants": lambda p, letter: (letter == "M") & (p["logg"] < 4.0),
    "giants, log g < 2": lambda p, letter: p["logg"] < 2.0,
    "S/N < 10": lambda p, letter: p["snr_r"] < 10.0,
}

_SHOWN = tuple(name for name in STATISTICS if name not in ("r2", "skill"))
COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "set", "label", "part", "n", "n_stars"),
    *(f"{name}{end}" for name in _SHOWN for end in ("", "_lo", "_hi")),
    *("interval", "note"),
)


def tails_table(
    predictions: Mapping[tuple[str, str, str], Path],
    labels: Sequence[str],
    facts: pa.Table,
    *,
    task: str,
    level: float = 0.95,
    replicates: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Residual statistics of each of :data:`PARTS`, by (model, size, set) and label.

    facts: obsid, teff, logg, feh (the catalogue's) and snr_r.  An empty part has a row with N = 0, so that what the
    test stars do not hold is seen.
    """
    records = []
    for keys, rows in each_judged(predictions, labels, task):
        known = {column: values_of(facts, column, rows.obsid) for column in ("teff", "logg", "feh", "snr_r")}
        for part, chosen in PARTS.items():
            here = rows.where(chosen(known, rows.letter))
            usable = CellRows(here.truth, here.value, here.sigma, here.star, here.letter, here.residual)
            note = spoilt_note(here) or ("no spectra" if len(here) == 0 else None)
            if here.spoilt:
                usable = usable.none()
            counts = {"part": part, "n": len(usable), "n_stars": len(np.unique(usable.star))}
            found = cell_statistics(usable, level, replicates, seed)
            records.append({**keys, **counts, **found, "interval": level, "note": note})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
