"""How much of its language a fine-tuned model has retained: its accuracy on question sets relative to its base's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from starglot.errors import StarglotError
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.rows import judged
from starglot.evaluation.statistics import interval, star_resamples
from starglot.hashing import digest_of
from starglot.tables import read_json

_ESTIMATES = ("base_accuracy", "accuracy", "retention", "retention_corrected")
COLUMNS: tuple[str, ...] = (
    *("task", "model", "size", "questions", "n_questions", "shots", "chance", "constant_accuracy"),
    *(f"{name}{end}" for name in _ESTIMATES for end in ("", "_lo", "_hi")),
    *("label", "set", "mae", "constant_mae", "r2", "n_spectra"),
)
#: Level of the intervals.
LEVEL = 0.95

NOTES: tuple[str, ...] = (
    "Number: questions of the set. Retention: accuracy of the tuned model divided by that of its base, which answers "
    "the same questions with the same start token, template, quantisation and batch.",
    "Chance-corrected: (accuracy - chance) / (base's accuracy - chance), where chance is the mean of 1 / choices; "
    "a dash where the base does no better than chance. A set on which the base hardly beats chance says little: a "
    "model that has forgotten everything still has most of such an accuracy.",
    "Constant's accuracy: of giving every question the set's most frequent answer.",
    f"Intervals are {100 * LEVEL:g} % bootstrap intervals over questions, the same draws for base and tuned model.",
    "MAE, R2 and spectra: of the label that the task names first, by the same adapter, on spectra of objects outside "
    "training. Constant's MAE: that of the median of these values, told for every spectrum.",
)

#: Who a tuned model's answers are of: task, model, size, question set.
Key = tuple[str, str, str, str]


def retention_table(
    tuned: Mapping[Key, Path],
    untuned: list[Path],
    predictions: Mapping[tuple[str, str, str], Path],
    label: str,
    *,
    replicates: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each tuned model and question set.

    tuned, untuned: files of :func:`starglot.inference.retention.ask_set`; predictions: of each (task, model, size),
    whose errors in ``label`` stand in the row.

    Raises StarglotError for a tuned model whose base was not asked in the same way.
    """
    bases = {digest_of(said["conditions"]): said for said in map(read_json, untuned)}
    spectra = {key: _spectroscopy(path, label) for key, path in predictions.items()}
    records = []
    for key, path in tuned.items():
        said = read_json(path)
        base = bases.get(digest_of(said["conditions"]))
        if base is None:
            raise _other_conditions(path, said["conditions"], [each["conditions"] for each in bases.values()])
        records.append(
            {
                **dict(zip(("task", "model", "size", "questions"), key, strict=True)),
                "n_questions": len(said["answers"]),
                "shots": said["conditions"]["shots"],
                "chance": said["chance"],
                "constant_accuracy": _constant(said),
                **estimates(_right(base), _right(said), said["chance"], replicates, seed),
                **spectra[key[:3]],
            }
        )
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def estimates(before: np.ndarray, after: np.ndarray, chance: float, replicates: int, seed: int) -> dict[str, float]:
    """Accuracies, retention and chance-corrected retention with intervals.

    before, after: (n,) scores of the same questions, 0 to 1, of base and tuned model.
    """
    n = len(before)
    counts = np.concatenate(list(star_resamples(n, replicates, seed, n)))
    drawn = {
        name: np.concatenate([[scores.mean()], counts @ scores / n])
        for name, scores in (("base_accuracy", before), ("accuracy", after))
    }
    drawn["retention"] = _ratio(drawn["accuracy"], drawn["base_accuracy"])
    drawn["retention_corrected"] = _ratio(drawn["accuracy"] - chance, drawn["base_accuracy"] - chance)
    out: dict[str, float] = {}
    for name, values in drawn.items():
        out[name] = float(values[0])
        out[f"{name}_lo"], out[f"{name}_hi"] = interval(values[1:], LEVEL)
    return out


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Their ratios; NaN where ``below`` is nothing or less."""
    ratio: np.ndarray = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio


def _right(said: Mapping[str, Any]) -> np.ndarray:
    return np.array([each["right"] for each in said["answers"]], float)


def _constant(said: Mapping[str, Any]) -> float | None:
    """Accuracy of the most frequent answer; None where answers are written freely."""
    if said["conditions"]["output"] != "multiple_choice":
        return None
    return Counter(str(each["truth"]) for each in said["answers"]).most_common(1)[0][1] / len(said["answers"])


def _spectroscopy(path: Path, label: str) -> dict[str, object]:
    rows = judged(read_predictions(path), label)
    about: dict[str, object] = {"label": label, "set": path.stem, "n_spectra": len(rows)}
    if not len(rows):
        return about
    scatter = float(((rows.truth - rows.truth.mean()) ** 2).sum())
    return {
        **about,
        "mae": float(np.abs(rows.error).mean()),
        "constant_mae": float(np.abs(rows.truth - np.median(rows.truth)).mean()),
        "r2": 1 - float((rows.error**2).sum()) / scatter if scatter else None,
    }


def _other_conditions(path: Path, conditions: Mapping[str, Any], others: list[Mapping[str, Any]]) -> StarglotError:
    """What differs from the base that is nearest to having been asked in the same way."""
    differ = [[name for name in conditions if conditions[name] != other.get(name)] for other in others]
    nearest = min(differ, key=len, default=[])
    return StarglotError(
        "its base was not asked in the same way"
        + (f": {', '.join(nearest)} differ{'s' if len(nearest) == 1 else ''}" if nearest else ", or not at all"),
        where=path,
        allowed="the same questions, start token, template, quantisation, batch, device and version of lm_eval",
        todo="remove this file and those of its base, and ask both again: snakemake retention",
    )
