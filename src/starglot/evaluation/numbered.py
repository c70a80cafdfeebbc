"""Tables 2 to 8 of the paper, by number: our residuals next to the paper's, cell by cell.

A numbered table is a long frame (its CSV): one row per source ('this run' or 'paper'), model, set, label and class.
:func:`printed` lays it out as the paper prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from starglot.evaluation.paper import GROUP_RULE, group, impossible_cells, paper_table
from starglot.evaluation.presentation import (
    HEADINGS,
    Cell,
    Column,
    Estimate,
    Presentation,
    Summary,
    error_decimals,
    label_text,
)
from starglot.evaluation.residuals import ALL
from starglot.labels import CLASSES, LABELS

#: Where a row comes from.
OURS, PAPER = "this run", "paper"

_STATISTICS = ("mean", "std", "rmse")
_COLUMNS: tuple[str, ...] = (
    *("source", "task", "model", "size", "set", "label", "class", "n", "n_stars", "n_seen"),
    *(f"{name}{end}" for name in _STATISTICS for end in ("", "_lo", "_hi")),
    *("interval", "note"),
)

#: How many digits the paper prints.
_PAPER_DECIMALS = {"K": 0, "dex": 2}

_SETS = {"gaia_eso": "Gaia-ESO", "galah": "GALAH DR4"}


@dataclass(frozen=True)
class Kind:
    """What a numbered table shows: caption, columns that name a row and a column, statistics of a cell."""

    caption: str
    rows: tuple[str, ...]
    across: tuple[str, ...]
    cell: tuple[str, ...]
    all_first: bool = False


KINDS: dict[int, Kind] = {
    2: Kind("Residuals of the first stage by class", ("class", "model"), ("label",), ("mean", "std")),
    3: Kind("Models compared, first stage, smallest size", ("model", "class"), ("label",), ("mean", "std")),
    4: Kind("Models compared, first stage, second size", ("model", "class"), ("label",), ("mean", "std")),
    5: Kind("Residuals of the abundances by element and class", ("label", "model"), ("class",), ("mean", "std")),
    6: Kind("RMSE of the abundances by element and class", ("label", "model"), ("class",), ("rmse",), True),
    7: Kind("First stage against external surveys", ("class", "model"), ("set", "label"), ("mean", "std")),
    8: Kind("Abundances against external surveys", ("label", "model", "group"), ("set",), ("mean", "std")),
}

#: The tables that judge against labels of another survey.
EXTERNAL: frozenset[int] = frozenset({7, 8})


def numbered_table(
    number: int,
    residuals: pd.DataFrame | None,
    *,
    task: str | None,
    size: str | None,
    sets: Sequence[str],
    models: Sequence[str],
) -> pd.DataFrame:
    """Table ``number`` of the paper as a long frame, our cells and the paper's.

    residuals: of ``residual_table`` (any tasks, sizes, sets and models); task, size, sets, models: which of them the
    table is made of.  With None for residuals, task or size, this run has nothing for the table, which then has the
    paper's cells only.  Labels that no external survey measures are left out of tables 7 and 8.
    """
    kind = KINDS[number]
    paper = paper_table(number).assign(source=PAPER, task=None, size=None)
    ours = pd.DataFrame(columns=list(_COLUMNS))
    if residuals is not None and task is not None and size is not None:
        chosen = residuals[(residuals["task"] == task) & (residuals["size"] == size)]
        chosen = chosen[chosen["set"].isin(list(sets)) & chosen["model"].isin(list(models))]
        if number in EXTERNAL:
            measured = chosen[(chosen[["n", "n_unparsable", "n_seen"]] > 0).any(axis=1)]["label"].unique()
            chosen = chosen[chosen["label"].isin(measured)]
        if "class" not in (*kind.rows, *kind.across):
            chosen = chosen[chosen["class"] == ALL]
        ours = chosen.assign(source=OURS)
    frame = pd.concat(
        [part.reindex(columns=list(_COLUMNS)).astype(object) for part in (ours, paper) if len(part)],
        ignore_index=True,
    )
    if number == 8:
        frame.insert(frame.columns.get_loc("n"), "group", _groups(frame))
    for name in frame.columns:
        if name.startswith(("n_", *_STATISTICS)) or name in ("n", "interval"):
            frame[name] = pd.to_numeric(frame[name])
    frame[["n", "n_stars", "n_seen"]] = frame[["n", "n_stars", "n_seen"]].astype("Int64")
    return _sorted(frame, kind, list(models))


def _groups(frame: pd.DataFrame) -> pd.Series:
    """The group of section 5.2.2 of each row's element, from all surveys of its source and model."""
    found = {
        key: group(rows["std"].to_numpy(float), rows["n"].to_numpy(float))
        for key, rows in frame.groupby(["source", "model", "label"])
    }
    keys = zip(frame["source"], frame["model"], frame["label"], strict=True)
    return pd.Series([found[key] for key in keys], index=frame.index, dtype=object)


def _letters(kind: Kind) -> tuple[str, ...]:
    return (ALL, *CLASSES) if kind.all_first else (*CLASSES, ALL)


def _sorted(frame: pd.DataFrame, kind: Kind, models: list[str]) -> pd.DataFrame:
    """Rows in the order in which the table is read; this run before the paper."""
    paper_models = dict.fromkeys(frame.loc[frame["source"] == PAPER, "model"])
    orders = {
        "model": {(OURS, m): i for i, m in enumerate(models)}
        | {(PAPER, m): len(models) + i for i, m in enumerate(paper_models)},
        "class": {c: i for i, c in enumerate(_letters(kind))},
        "label": {name: i for i, name in enumerate(LABELS.in_order(frame.get("label", ())))},
        "set": {name: i for i, name in enumerate(_SETS)},
    }
    keys = pd.DataFrame(index=frame.index)
    for name in (*kind.rows, *kind.across):
        if name == "model":
            pairs = zip(frame["source"], frame["model"], strict=True)
            keys[name] = [orders["model"].get(pair, 0) for pair in pairs]
        elif name in orders:
            keys[name] = frame[name].map(orders[name]).fillna(0)
    order = keys.sort_values(list(keys.columns), kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def printed(number: int, frame: pd.DataFrame) -> Presentation:
    """A numbered table as the paper prints it: 'mean ± std (N)' or 'RMSE (N)', each with its interval."""
    kind = KINDS[number]
    ranks = {name: i for i, name in enumerate((*_SETS, *LABELS.in_order(frame.get("label", ())), *_letters(kind)))}
    heads = sorted(
        frame[list(kind.across)].drop_duplicates().itertuples(index=False, name=None),
        key=lambda head: [ranks[part] for part in head],
    )
    columns = [Column(name, name, False) for name in kind.rows]
    columns += [Column("/".join(head), " ".join(map(_heading, head)), True) for head in heads]
    lines: dict[tuple[object, ...], list[Cell]] = {}
    notes = sorted({str(note) for note in frame.loc[frame[list(kind.cell)].isna().any(axis=1), "note"].dropna()})
    for record in frame.to_dict("records"):
        key = tuple(_text(record, name) for name in kind.rows)
        line = lines.setdefault(key, [*key, *[None] * len(heads)])
        line[len(kind.rows) + heads.index(tuple(record[name] for name in kind.across))] = _cell(record, kind, notes)
    return Presentation(columns, list(lines.values()), [], notes)


def _heading(part: str) -> str:
    return label_text(part) if part in LABELS else _SETS.get(part, part)


def _text(record: dict[str, object], name: str) -> str | None:
    value = record[name]
    if pd.isna(value):
        return None
    if name == "model" and record["source"] == PAPER:
        return f"paper: {value}"
    return LABELS[str(value)].display if name == "label" else str(value)


def _cell(record: dict[str, Any], kind: Kind, notes: list[str]) -> Cell:
    label = LABELS[str(record["label"])]
    digits = _PAPER_DECIMALS[label.unit] if record["source"] == PAPER else error_decimals(label.name)
    parts = []
    for name in kind.cell:
        value, low, high = (float(record[f"{name}{end}"]) for end in ("", "_lo", "_hi"))
        if np.isfinite(value):
            both = np.isfinite(low) and np.isfinite(high)
            parts.append(Estimate(value, low if both else None, high if both else None, digits))
    n = None if pd.isna(record["n"]) else int(record["n"])
    if len(parts) == len(kind.cell):
        return Summary(tuple(parts), n)
    mark = f", note {notes.index(str(record['note'])) + 1}" if record["note"] in notes else ""
    return f"–{'' if n is None else f' ({n})'}{mark}"


def table_notes(number: int, frame: pd.DataFrame) -> list[str]:
    """What a reader of the numbered table has to know."""
    kind = KINDS[number]
    ours = frame[frame["source"] == OURS]
    notes = [
        f"Cells are {' ± '.join(HEADINGS[name] for name in kind.cell)} "
        "of predicted minus label, in brackets N; rows 'paper: ...' are the paper's "
        f"table {number}, on its own data, N where it is printed."
    ]
    if len(ours):
        sizes, sets = ", ".join(ours["size"].unique()), ", ".join(ours["set"].unique())
        notes.append(f"This run: task {ours['task'].iloc[0]}, trained on size {sizes}, set {sets}.")
    else:
        notes.append("This run has nothing to show here: its configuration lacks the task or the surveys.")
    if number in EXTERNAL:
        seen = int(ours.groupby(["model", "set"])["n_seen"].max().max() or 0) if len(ours) else 0
        notes.append(
            "Labels are the external survey's, after its cuts and flags: this is accuracy, not the imitation of the "
            "labels that were learnt. Spectra of stars that any of the models was trained on are left out (at most "
            f"{seen} for a label)."
        )
    if number == 6:
        broken, cells = impossible_cells()
        notes.append(
            f"RMSE^2 = mean^2 + std^2 holds in every cell of this run; in {broken} of {cells} cells the paper's RMSE "
            "is smaller than its own standard deviation in table 5, beyond rounding."
        )
    if number == 8:
        notes.append(GROUP_RULE)
    return notes
