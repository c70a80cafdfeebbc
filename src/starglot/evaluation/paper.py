"""The paper's own numbers (tables 2 to 8 of "Spectra as Language"), and what follows from them.

``paper_tables.csv`` holds every cell as printed: table, set (of tables 7 and 8), model, label, class ('All' is the
paper's 'Overall' or 'All Classes'), n, mean, std, rmse; empty where the paper prints nothing.  Its 'Cl_FE' and
'TIH_FE' are misprints of C I and Ti II.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

#: An RMSE below sigma by no more than this can be the rounding of both to 0.01 dex.
_ROUNDING = 0.01

#: Groups of section 5.2.2 by the larger scatter (dex) of an element against the external surveys.
GROUPS: tuple[tuple[str, float], ...] = (("i", 0.15), ("ii", 0.20), ("iii", np.inf))

#: Fewer spectra than this against any of the surveys do not decide a group.
LEAST_SPECTRA = 30

#: The rule of :func:`group`, for a reader.
GROUP_RULE = (
    "Groups: (i) well determined, scatter below 0.15 dex against every external survey; (ii) usable, at most 0.20 "
    f"dex; (iii) weak, above; none with fewer than {LEAST_SPECTRA} spectra. The rule is ours: section 5.2.2 of the "
    "paper names the groups without one, and it gives the paper's groups for 16 of its 17 elements (N by its numbers "
    "is in ii, the paper has it in i)."
)


_NUMBERS = ("n", "mean", "std", "rmse")


@cache
def _numbers() -> pd.DataFrame:
    text = {name: str for name in ("set", "model", "label", "class")}
    with (files("starglot.evaluation") / "paper_tables.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(
            stream, dtype=text, keep_default_na=False, na_values={"n": "", "mean": "", "std": "", "rmse": ""}
        )


def paper_table(number: int) -> pd.DataFrame:
    """The cells of one of the paper's tables 2 to 8, as printed."""
    numbers = _numbers()
    return numbers[numbers["table"] == number].drop(columns="table").reset_index(drop=True)


def impossible_cells() -> tuple[int, int]:
    """(cells, all cells) in which the paper's RMSE (table 6) is below its own scatter (table 5) beyond rounding.

    RMSE^2 = mean^2 + std^2, so an RMSE cannot be smaller than the standard deviation of the same residuals.
    """
    rmse = paper_table(6)
    both = paper_table(5).merge(rmse[rmse["model"] == "LLM"], on=["label", "class"], suffixes=("", "_6"))
    return int((both["rmse_6"] < both["std"] - _ROUNDING - 1e-9).sum()), len(both)


def group(std: np.ndarray, n: np.ndarray) -> str | None:
    """Group of an element from its scatter (dex) and N against each external survey, by :data:`GROUP_RULE`."""
    known = np.isfinite(std)
    if not known.any() or np.min(n[known]) < LEAST_SPECTRA:
        return None
    worst = float(np.max(std[known]))
    # Below the first limit, at most the second: the paper calls 0.15 "moderate" and 0.20 still usable.
    return GROUPS[0][0] if worst < GROUPS[0][1] else next(name for name, limit in GROUPS[1:] if worst <= limit)
