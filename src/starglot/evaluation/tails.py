"""The tails: rare stars, for which a good average can hide a poor model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from starglot.evaluation.cells import STATISTICS, CellRows, cell_statistics
from starglot.evaluation.rows import each_judged, spoilt_note, values_of

#: Parts by the catalogue's Teff (K), log g, [Fe/H] (dex) and S/N (r band): a name, the column, and who is in it.
PARTS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "[Fe/H] < -1": ("feh", lambda feh, letter: feh < -1.0),
    "[Fe/H] < -2": ("feh", lambda feh, letter: feh < -2.0),
    "[Fe/H] > 0.3": ("feh", lambda feh, letter: feh > 0.3),
    "A, Teff > 8000 K": ("teff", lambda teff, letter: (letter == "A") & (teff > 8000.0)),
    "M dwarfs": ("logg", lambda logg, letter: (letter == "M") & (logg >= 4.0)),
    "M giants": ("logg", lambda logg, letter: (letter == "M") & (logg < 4.0)),
    "giants, log g < 2": ("logg", lambda logg, letter: logg < 2.0),
    "S/N < 10": ("snr_r", lambda snr, letter: snr < 10.0),
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
    test stars do not hold is seen; a part by a column that is null throughout (a galaxy has no log g) has none.
    """
    records = []
    parts = {part: said for part, said in PARTS.items() if facts[said[0]].null_count < len(facts)}
    for keys, rows in each_judged(predictions, labels, task):
        for part, (column, chosen) in parts.items():
            here = rows.where(chosen(values_of(facts, column, rows.obsid), rows.letter))
            usable = CellRows(here.truth, here.value, here.sigma, here.star, here.letter, here.residual)
            note = spoilt_note(here) or ("no spectra" if len(here) == 0 else None)
            if here.spoilt:
                usable = usable.none()
            counts = {"part": part, "n": len(usable), "n_stars": len(np.unique(usable.star))}
            found = cell_statistics(usable, level, replicates, seed)
            records.append({**keys, **counts, **found, "interval": level, "note": note})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
