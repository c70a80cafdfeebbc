"""What a reader sees first: what was trained on what, and the models side by side in one number a label."""

from __future__ import annotations

import pandas as pd

from starglot.evaluation.presentation import DECIMALS, Cell, Column, Estimate, Presentation, label_text
from starglot.evaluation.residuals import read_predictions
from starglot.evaluation.summary import ordering
from starglot.glossary import LABELS
from starglot.report.accounts import split_counts
from starglot.report.html_table import HtmlTable, html_table
from starglot.report.inputs import ReportInputs

#: A sentence names this many labels at most.
_NAMED = 6


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
        known = LABELS.get(str(label))
        decimals = DECIMALS[known.unit if known else ""]
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
    caption = f"{task.capitalize()}: robust scatter of prediction minus catalogue value"
    return html_table(f"main-{task}", chosen, caption, notes, bold=bold, shown=Presentation(columns, rows, [], []))


def _estimate(row: pd.Series, decimals: int) -> Estimate:
    low, high = (float(row[name]) if pd.notna(row[name]) else None for name in ("robust_lo", "robust_hi"))
    return Estimate(float(row["robust"]), low, high, decimals)


def learnt(inputs: ReportInputs, task: str, headline: pd.DataFrame) -> list[str]:
    """What each language model was trained on, and judged on, in sentences."""
    said = []
    for (of, model, size, name), path in inputs.predictions.items():
        if of != task or not model.startswith("llm"):
            continue
        rows = headline[(headline["model"] == model) & (headline["size"] == size) & (headline["set"] == name)]
        named = ", ".join(LABELS[label].display if label in LABELS else label for label in rows["label"])
        labels = named if len(rows) <= _NAMED else f"{len(rows)} labels"
        table = read_predictions(path)
        spectra, stars = len(table["obsid"].unique()), len(table["star_id"].unique())
        unread = int(rows["n_unparsable"].sum())
        asked = unread + int(rows["n"].sum())
        read = "Every answer could be read" if unread == 0 else f"{unread:,} of {asked:,} values lack a usable answer"
        trained, of_stars = split_counts(inputs.samples[task, size], "train")
        said.append(
            f"{model} learnt {labels} from {trained:,} spectra of {of_stars:,} stars (size {size}) and is judged on "
            f"{spectra:,} spectra of {stars:,} stars (set {name}). {read}. "
            f"R2 is above 0 for {int((rows['r2'] > 0).sum())} of {len(rows)} labels."
        )
    return said


def orderings(headline: pd.DataFrame) -> list[str]:
    """How often each language model beats the others, and how often it does not."""
    models = list(dict.fromkeys(headline["model"]))
    llms = [model for model in models if model.startswith("llm")]
    others = [model for model in models if model not in llms]
    return [sentence for model in llms for sentence in ordering(headline, model, others)]
