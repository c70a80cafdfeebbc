"""What a reader sees first: who wins, what was trained on what, and the models side by side in one number a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pandas as pd

from starglot.evaluation.presentation import (
    Cell,
    Column,
    Estimate,
    Presentation,
    error_decimals,
    fixed,
    label_text,
    named_labels,
)
from starglot.evaluation.residuals import read_predictions
from starglot.labels import LABELS
from starglot.report.accounts import split_counts
from starglot.report.html_table import HtmlTable, html_table
from starglot.report.inputs import ReportInputs

#: A sentence names this many labels at most, and each of so many has a sentence of its own.
FEW = 6


def subject(task: str, frame: pd.DataFrame) -> str:
    """What a table of ``task`` is about, for its caption: 'Atmosphere (Teff, log g, [Fe/H])'."""
    labels = [str(label) for label in dict.fromkeys(frame["label"])]
    return f"{task.capitalize()} ({named_labels(labels, FEW)})"


def brackets(frame: pd.DataFrame) -> str:
    """What the brackets of ``frame`` are."""
    level = f"{100 * float(frame['interval'].iloc[0]):g} % " if len(frame) else ""
    return f"In brackets: {level}bootstrap interval over stars."


def main_table(task: str, headline: pd.DataFrame, size: str, name: str) -> HtmlTable:
    """Robust scatter of every model by label, at one size and set: a row a label, a column a model."""
    chosen = headline[(headline["size"] == size) & (headline["set"] == name)]
    models = list(dict.fromkeys(chosen["model"]))
    rows: list[list[Cell]] = []
    bold = set()
    for label, here in chosen.groupby("label", sort=False):
        decimals = error_decimals(label)
        by_model = here.set_index("model")
        least, most = int(here["n"].min()), int(here["n"].max())
        cells: list[Cell] = [label_text(str(label)), least if least == most else f"{least:,} to {most:,}"]
        for model in models:
            row = by_model.loc[model] if model in by_model.index else None
            cells.append(_estimate(row, decimals) if row is not None and pd.notna(row["robust"]) else None)
        if by_model["robust"].notna().sum() > 1:
            bold.add((len(rows), str(by_model["robust"].idxmin())))
        rows.append(cells)
    columns = [Column("label", "label", False), Column("n", "N", True), *(Column(m, m, True) for m in models)]
    notes = [
        f"Size {size}, set {name}, all classes; N counts test spectra. {brackets(chosen)}",
        "Smaller is better; bold: the smallest. Where brackets overlap the order may be chance.",
    ]
    caption = f"{subject(task, chosen)}: robust scatter of prediction minus catalogue value"
    return html_table(f"main-{task}", chosen, caption, notes, bold=bold, shown=Presentation(columns, rows, [], []))


def _estimate(row: pd.Series, decimals: int) -> Estimate:
    low, high = (float(row[name]) if pd.notna(row[name]) else None for name in ("robust_lo", "robust_hi"))
    return Estimate(float(row["robust"]), low, high, decimals)


def learnt(inputs: ReportInputs, task: str, headline: pd.DataFrame) -> list[str]:
    """What each language model was trained on, and judged on, in sentences."""
    said = []
    for (of, model, size, name), path in inputs.predictions.items():
        if of != task or model not in inputs.language_models:
            continue
        rows = headline[(headline["model"] == model) & (headline["size"] == size) & (headline["set"] == name)]
        labels = named_labels([str(label) for label in rows["label"]], FEW)
        table = read_predictions(path)
        spectra, stars = len(table["obsid"].unique()), len(table["star_id"].unique())
        unread = int(rows["n_unparsable"].sum())
        total = unread + int(rows["n"].sum())
        read = "Every answer could be read" if unread == 0 else f"{unread:,} of {total:,} values lack a usable answer"
        trained, of_stars = split_counts(inputs.samples[task, size], "train")
        said.append(
            f"{model} learnt {labels} from {trained:,} spectra of {of_stars:,} stars (size {size}) and is judged on "
            f"{spectra:,} spectra of {stars:,} stars (set {name}). {read}. "
            f"R2 is above 0 for {int((rows['r2'] > 0).sum())} of {len(rows)} labels."
        )
    return said


def standings(headline: pd.DataFrame, size: str, name: str, language_models: Collection[str]) -> list[str]:
    """Who wins, at one size and set: a sentence a label, on the model with the smallest robust scatter.

    A label with one model, or none that could be judged, has no winner and no sentence.
    """
    return [_standing(ranked, language_models) for ranked in _rankings(headline, size, name)]


def wins(headline: pd.DataFrame, size: str, name: str, language_models: Collection[str]) -> list[str]:
    """:func:`standings` of many labels in short: which model is best in how many, where the language models stand."""
    rankings = _rankings(headline, size, name)
    if not rankings:
        return []
    won = Counter(str(ranked["model"].iloc[0]) for ranked in rankings).most_common()
    first = f"{won[0][0]} is best in {won[0][1]} of {len(rankings)} labels"
    rest = [f"{model} in {count}" for model, count in won[1:]]
    said = [f"{first}; {', '.join(rest)}." if rest else f"{first}."]
    models = dict.fromkeys(str(model) for ranked in rankings for model in ranked["model"])
    for model in (model for model in models if model in language_models):
        places = [list(ranked["model"]).index(model) + 1 for ranked in rankings if model in set(ranked["model"])]
        middle = sorted(places)[(len(places) - 1) // 2]
        said.append(f"The language model {model} is {_nth(middle)} of {len(models)} models in the median label.")
    return said


def _rankings(headline: pd.DataFrame, size: str, name: str) -> list[pd.DataFrame]:
    """The rows of each label at one size and set, smallest robust scatter first."""
    chosen = headline[(headline["size"] == size) & (headline["set"] == name) & headline["robust"].notna()]
    ranked = (rows.sort_values("robust", kind="stable") for _, rows in chosen.groupby("label", sort=False))
    return [rows for rows in ranked if len(rows) > 1]


def _standing(ranked: pd.DataFrame, language_models: Collection[str]) -> str:
    """'Teff: ridge is best (robust scatter 81.2 K, R2 0.998); the language model llm-x is fourth of 9 (137.5 K).'"""
    label = str(ranked["label"].iloc[0])
    known = LABELS.get(label)
    decimals, unit = error_decimals(label), known.unit if known else ""
    scatters = [f"{fixed(float(value), decimals)} {unit}".strip() for value in ranked["robust"]]
    models = [str(model) for model in ranked["model"]]
    best = ranked.iloc[0]
    r2 = f", R2 {fixed(float(best['r2']), 3)}" if pd.notna(best["r2"]) else ""
    said = f"{_display(ranked)}: {_called(models[0], language_models)} is best (robust scatter {scatters[0]}{r2})"
    for place, model in enumerate(models):
        if place and model in language_models:
            said += f"; {_called(model, language_models)} is {_nth(place + 1)} of {len(models)} ({scatters[place]})"
    level = [
        model for model, low in zip(models[1:], ranked["robust_lo"][1:], strict=True) if low <= best["robust_hi"]
    ]
    if len(level) == len(models) - 1:
        said += ". The intervals of all models overlap with its own: the order may be chance"
    elif level:
        others = f" and {len(level) - 1} more" if len(level) > 1 else ""
        said += f". The lead over {level[0]}{others} may be chance: intervals overlap"
    return f"{said}."


def _called(model: str, language_models: Collection[str]) -> str:
    return f"the language model {model}" if model in language_models else model


def _display(ranked: pd.DataFrame) -> str:
    return named_labels([str(ranked["label"].iloc[0])])


def _nth(place: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    if place <= len(words):
        return words[place - 1]
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
