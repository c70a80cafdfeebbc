"""Tables 2 to 8 by number: our cells against an independent computation, the paper's cells against its text."""

import numpy as np
import pandas as pd
import pytest
from prediction_tables import predictions, with_rows

from starglot.evaluation.numbered import OURS, PAPER, numbered_table, printed, table_notes
from starglot.evaluation.paper import group, impossible_cells, paper_table
from starglot.evaluation.presentation import plain
from starglot.evaluation.residuals import residual_table
from starglot.evaluation.tables_io import read_table, write_table
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES, CLASSES
from starglot.tables import write_parquet

MODELS = {"llm-x": 1.0, "resnet50": 1.5}


def residuals(tmp_path, task, labels, sets=("test",), **kwargs):
    """(residual table, the prediction tables that it is of)."""
    tables, paths = {}, {}
    for model, error in MODELS.items():
        for name in sets:
            key = (model, "1e5", name)
            tables[key] = predictions(labels, error=error, seed=len(tables), **kwargs)
            paths[key] = tmp_path / f"{task}-{model}-{name}.parquet"
            write_parquet(tables[key], paths[key])
    return residual_table(paths, labels, task=task, groups=CLASSES, replicates=20), tables


def numbered(number, frame, task, sets=("test",), models=tuple(MODELS)):
    return numbered_table(number, frame, task=task, size="1e5", sets=sets, models=models)


@pytest.mark.parametrize(
    ("number", "task", "labels", "sets"),
    [
        (2, "atmosphere", ATMOSPHERE_NAMES, ("test",)),
        (3, "atmosphere", ATMOSPHERE_NAMES, ("test",)),
        (5, "abundances", ABUNDANCE_NAMES, ("test",)),
        (6, "abundances", ABUNDANCE_NAMES, ("test",)),
        (7, "atmosphere", ATMOSPHERE_NAMES, ("gaia_eso", "galah")),
        (8, "abundances", ABUNDANCE_NAMES, ("gaia_eso", "galah")),
    ],
)
def test_every_cell_against_numpy_and_rmse_is_mean_and_scatter(tmp_path, number, task, labels, sets):
    frame, tables = residuals(tmp_path, task, labels, sets)
    table = numbered(number, frame, task, sets)
    ours = table[table["source"] == OURS]
    letters = ["All"] if number == 8 else ["All", *CLASSES]
    assert len(ours) == len(MODELS) * len(sets) * len(labels) * len(letters)
    for row in ours.to_dict("records"):
        held = tables[row["model"], "1e5", row["set"]].to_pandas()
        here = held[(held["label"] == row["label"]) & ((held["class"] == row["class"]) | (row["class"] == "All"))]
        error = (here["value"] - here["truth"]).to_numpy()
        assert row["n"] == len(error)
        assert row["mean"] == pytest.approx(np.mean(error), abs=1e-12)
        assert row["std"] == pytest.approx(np.sqrt(np.mean((error - np.mean(error)) ** 2)))
        assert row["rmse"] ** 2 == pytest.approx(row["mean"] ** 2 + row["std"] ** 2)
        assert row["std_lo"] <= row["std"] <= row["std_hi"] or row["n_stars"] < 5


def test_the_papers_cells_stand_beside_ours_and_are_marked(tmp_path):
    frame, _ = residuals(tmp_path, "atmosphere", ATMOSPHERE_NAMES)
    table = numbered(4, frame, "atmosphere")
    shown = printed(4, table)
    lines = {tuple(row[:2]): [plain(cell) for cell in row[2:]] for row in shown.rows}
    assert [column.heading for column in shown.columns[2:]] == ["Teff (K)", "log g (dex)", "[Fe/H] (dex)"]
    assert lines["paper: ResNet-50", "M"] == ["107 ± 1975", "-0.09 ± 2.65", "-0.08 ± 1.16"]
    assert lines["llm-x", "M"][0].endswith("(18)") and "[" in lines["llm-x", "M"][0]
    assert list(dict.fromkeys(row[0] for row in shown.rows)) == [
        "llm-x",
        "resnet50",
        "paper: ResNet-50",
        "paper: LLM",
    ]
    assert [row[1] for row in shown.rows[:6]] == [*CLASSES, "All"]


@pytest.mark.parametrize(
    ("number", "where", "expected"),
    [
        (2, {"label": "feh", "class": "M"}, {"mean": -0.01, "std": 0.11}),
        (3, {"model": "GRU", "label": "teff", "class": "A"}, {"mean": 99, "std": 849}),
        (5, {"label": "co_fe", "class": "K"}, {"n": 8765, "mean": -0.01, "std": 0.38}),
        (6, {"model": "ResNet-50", "label": "k_fe", "class": "All"}, {"rmse": 0.47}),
        (6, {"model": "LLM", "label": "ce_fe", "class": "M"}, {"rmse": 0.26}),
        (7, {"set": "galah", "label": "teff", "class": "A"}, {"mean": -280, "std": 186}),
        (8, {"set": "gaia_eso", "label": "co_fe"}, {"n": 5271, "mean": -0.27, "std": 0.24}),
    ],
)
def test_cells_of_the_paper_as_printed(number, where, expected):
    table = paper_table(number)
    rows = table[np.logical_and.reduce([table[name] == value for name, value in where.items()])]
    assert len(rows) == 1
    assert {name: rows[name].iloc[0] for name in expected} == expected


def test_the_papers_tables_are_whole():
    cells = {2: 18, 3: 90, 4: 36, 5: 105, 6: 252, 7: 36, 8: 34}
    assert {number: len(paper_table(number)) for number in cells} == cells
    # The paper's text quotes these pairs (ResNet-50 vs. LLM, all classes).
    table = paper_table(6)
    whole = table[table["class"] == "All"].set_index(["label", "model"])["rmse"]
    for label, cnn, llm in (
        ("al_fe", 0.17, 0.13),
        ("cu_fe", 0.22, 0.22),
        ("tiii_fe", 0.17, 0.26),
        ("v_fe", 0.14, 0.20),
    ):
        assert (whole[label, "ResNet-50"], whole[label, "LLM"]) == (cnn, llm)


def test_the_papers_contradiction_is_counted():
    rmse = paper_table(6)
    rmse = rmse[rmse["model"] == "LLM"].set_index(["label", "class"])["rmse"]
    # N_FE, class F: sigma 0.20 and RMSE 0.17 cannot be of the same residuals.
    assert rmse["n_fe", "F"] == 0.17
    broken, cells = impossible_cells()
    assert cells == 105 and 20 <= broken <= 26


def test_the_rule_of_the_groups_gives_the_papers():
    named = {"mg si ca ti mn ni c": "i", "al k cr cu": "ii", "o na v co ce": "iii"}
    table = paper_table(8)
    for elements, expected in named.items():
        for element in elements.split():
            rows = table[table["label"] == f"{element}_fe"]
            assert group(rows["std"].to_numpy(), rows["n"].to_numpy()) == expected, element
    assert group(np.array([0.1, 0.1]), np.array([500.0, 12.0])) is None
    assert group(np.array([np.nan]), np.array([0.0])) is None


def test_stars_of_the_training_are_left_out_and_counted(tmp_path):
    table = predictions(("teff",), stars=40, visits=1)
    seen = [row for row in range(len(table)) if row % 4 == 0]
    table = with_rows(table, seen=dict.fromkeys(seen, True), value=dict.fromkeys(seen, 1e5))
    write_parquet(table, tmp_path / "p.parquet")
    frame = residual_table(
        {("llm-x", "1e5", "galah"): tmp_path / "p.parquet"}, ["teff"], task="atmosphere", groups=CLASSES, replicates=5
    )
    result = numbered(7, frame, "atmosphere", ("galah",), ("llm-x",))
    whole = result[(result["source"] == OURS) & (result["class"] == "All")].iloc[0]
    assert (whole["n"], whole["n_seen"]) == (30, 10) and abs(whole["mean"]) < 200
    assert "at most 10 for a label" in " ".join(table_notes(7, result))


def test_a_run_without_the_task_shows_the_paper_alone(tmp_path):
    table = numbered_table(5, None, task=None, size=None, sets=[], models=[])
    assert set(table["source"]) == {PAPER} and len(table) == 105
    assert any("nothing to show" in note for note in table_notes(5, table))
    write_table(table, tmp_path / "table_5", "Table", table_notes(5, table), printed(5, table))
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "table_5.csv")[["mean", "std"]], table[["mean", "std"]], check_exact=True
    )


def test_an_absent_class_is_marked_in_print(tmp_path):
    table = predictions(("teff",), stars=50, visits=1)
    table = table.filter([letter != "M" for letter in table["class"].to_pylist()])
    write_parquet(table, tmp_path / "p.parquet")
    frame = residual_table(
        {("llm-x", "1e5", "test"): tmp_path / "p.parquet"}, ["teff"], task="atmosphere", groups=CLASSES, replicates=5
    )
    result = numbered(2, frame, "atmosphere", models=("llm-x",))
    shown = printed(2, result)
    cell = next(row[2] for row in shown.rows if row[:2] == ["M", "llm-x"])
    assert plain(cell) == "– (0), note 1" and shown.notes == ["no spectra"]
    write_table(result, tmp_path / "table_2", "Table 2", table_notes(2, result), shown)
    for ending in ("md", "tex"):
        text = (tmp_path / f"table_2.{ending}").read_text()
        assert "paper: LLM" in text and "(1) no spectra" in text
