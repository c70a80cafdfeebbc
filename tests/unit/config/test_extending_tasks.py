"""A label, a form of question and other groups, added beside the package's own, as docs/extending.md says."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from starglot.config.checks.across_keys import cross_check
from starglot.config.load import read_config
from starglot.config.queries import wanted_spectra
from starglot.config.root import Config, Split, Wavelength
from starglot.config.surveys.registry import Lamost
from starglot.evaluation.residuals import residual_table
from starglot.forms import FORMS, Form
from starglot.labels import LABELS, Label, Residual
from starglot.language.answers import parse, render
from starglot.language.prompts import parse_question, question
from starglot.models.baselines.class_mean import fit_class_mean
from starglot.models.baselines.rows import rows_of
from starglot.samples.draw import draw
from starglot.tables import PREDICTION, SAMPLE, write_parquet
from tasks import task_of

REDSHIFT = Label(
    "redshift", "", "redshift", "z", "", 4, -0.01, 7.0, Residual("dz / (1 + z)", lambda t, v: (v - t) / (1 + t))
)
BARE = Form("Give in this order: {labels}.", " angstrom", ", ", "", False, False, False)
ROWS = 400


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LABELS._entries, "redshift", REDSHIFT)
    monkeypatch.setitem(FORMS._entries, "bare", BARE)
    monkeypatch.setattr(Lamost, "brings", (*Lamost.brings, "redshift"))


def galaxies() -> pa.Table:
    """Spectra without a class, each of an object of its own; a tenth has no redshift."""
    rng = np.random.default_rng(3)
    z = rng.gamma(2.0, 0.1, ROWS)
    return pa.table(
        {
            "obsid": np.arange(1, ROWS + 1),
            "star_id": [f"o{k}" for k in range(ROWS)],
            "class": pa.nulls(ROWS, pa.string()),
            "shard": ["57000-A"] * ROWS,
            "redshift": pa.array(z, mask=np.arange(ROWS) % 10 == 0),
            "teff": pa.nulls(ROWS, pa.float64()),
        }
    )


@pytest.mark.parametrize("values", [{"redshift": 0.1234, "feh": -0.5}, {"redshift": None, "feh": 0.25}, {}])
def test_a_new_form_and_label_are_written_and_read_back(values: dict[str, float | None]) -> None:
    task = task_of("bare", ["redshift", "feh"])
    text = question(task, Wavelength(), task.labels, "303307")
    assert "3800 angstrom to 8700 angstrom. Give in this order: redshift, [Fe/H]. <flux>303307</flux>" in text
    assert parse_question(task, text) == (["redshift", "feh"], "303307")
    answer = parse(task, task.labels, render(task, "K", values, task.labels, "rounded"))
    assert answer.problem is None and answer.class_letter is None
    assert answer.values == {label: values.get(label) for label in task.labels}


def test_an_answer_in_the_new_form_that_ends_early_or_leaves_the_range_says_so() -> None:
    task = task_of("bare", ["redshift", "feh"])
    short = parse(task, task.labels, "[ ' 0 . 1 0 0 0 ']")
    assert short.status == {"redshift": "ok", "feh": "not_answered"} and short.problem is not None
    far = parse(task, task.labels, "[ ' 9 . 1 0 0 0 ', ' 0 . 1 0 ']")
    assert far.status == {"redshift": "out_of_range", "feh": "ok"}
    many = parse(task, task.labels, "[ ' 0 . 1 ', ' 0 . 1 ', ' 0 . 1 ']")
    assert many.status == {"redshift": "ok", "feh": "ok"} and many.problem is not None


def test_bins_hold_as_many_spectra_each_and_their_samples_are_nested() -> None:
    groups = {"bins": {"label": "redshift", "number": 5}}
    task = task_of("bare", ["redshift"], groups=groups, balanced=True, sizes={"small": 50, "all": None})
    every, manifest = draw(galaxies(), task, "all", Split(), 1)
    assert every.schema == SAMPLE and len(every) == ROWS * 9 // 10
    assert [entry["spectra"] for entry in manifest["groups"].values()] == [72] * 5
    edges = manifest["bins"]["edges"]
    known = dict(zip(galaxies()["obsid"].to_pylist(), galaxies()["redshift"].to_pylist(), strict=True))
    for row in every.to_pylist():
        place = int(row["class"].removeprefix("redshift ")) - 1
        assert edges[place] <= known[row["obsid"]] <= edges[place + 1]
    small, manifest = draw(galaxies(), task, "small", Split(), 1)
    assert {entry["spectra"] for entry in manifest["groups"].values()} == {10}
    assert set(small["obsid"].to_pylist()) < set(every["obsid"].to_pylist())


def test_equal_values_are_in_one_bin() -> None:
    labels = galaxies().set_column(4, "redshift", pa.array([0.1] * 300 + [0.2] * 100))
    task = task_of("bare", ["redshift"], groups={"bins": {"label": "redshift", "number": 4}})
    sample, _ = draw(labels, task, "all", Split(), 1)
    group = dict(zip(sample["obsid"].to_pylist(), sample["class"].to_pylist(), strict=True))
    assert len({group[k] for k in range(1, 301)}) == 1 and len({group[k] for k in range(301, 401)}) == 1


def test_a_task_without_groups_draws_spectra_without_a_class_and_its_table_has_one_row() -> None:
    task = task_of("bare", ["redshift"], groups=None, sizes={"n": 100})
    sample, manifest = draw(galaxies(), task, "n", Split(), 1)
    assert len(sample) == 100 and sample["class"].null_count == 100 and manifest["groups"] == {}
    rows = rows_of(task, sample, galaxies())
    weights, _ = fit_class_mean(None, rows, rows, lambda shard: Path(shard))  # type: ignore[arg-type]
    assert weights["mean"].shape == (1, 1) and weights["mean"][0, 0] == pytest.approx(np.nanmean(rows.truth))


def test_the_residual_is_the_labels_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 2.0, 80)
    value = truth + rng.normal(0.0, 0.01, 80)
    columns: dict[str, Any] = {
        "obsid": np.arange(80),
        "star_id": [f"o{k}" for k in range(80)],
        "class": [None] * 80,
        "class_pred": [None] * 80,
        "class_probability": [None] * 80,
        "class_log_odds": [None] * 80,
        "label": ["redshift"] * 80,
        "truth": truth,
        "value": value,
        "sigma": np.full(80, 0.01),
        "sigma_raw": np.full(80, 0.01),
        "status": ["ok"] * 80,
        "seen": [False] * 80,
    }
    write_parquet(pa.table(columns).cast(PREDICTION), tmp_path / "p.parquet")
    frame = residual_table({("ridge", "n", "test"): tmp_path / "p.parquet"}, ["redshift"], task="t", groups=())
    (row,) = frame.to_dict("records")
    relative = (value - truth) / (1 + truth)
    assert row["class"] == "All" and row["n"] == 80
    assert row["std"] == pytest.approx(relative.std()) and row["mean"] == pytest.approx(relative.mean())
    assert row["std_lo"] < row["std"] < row["std_hi"]
    assert row["r2"] == pytest.approx(1 - ((value - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
    assert np.isnan(row["skill"])


def configured(project: Path, **task: Any) -> Config:
    raw = read_config(project / "config/config.yaml").model_dump(mode="json")
    sample = {"source": "lamost", "balanced": False, "sizes": {"all": None}, **task.pop("sample", {})}
    raw["tasks"]["distances"] = {"question": {"form": "bare", "labels": ["redshift"], **task}, "sample": sample}
    raw["run"]["tasks"] = ["atmosphere", "distances"]
    return Config.model_validate(raw)


def test_the_configuration_takes_the_new_names(project: Path) -> None:
    assert cross_check(configured(project, sample={"groups": None})) == []
    bins = {"bins": {"label": "redshift", "number": 3}}
    assert cross_check(configured(project, sample={"groups": bins, "balanced": True})) == []


@pytest.mark.parametrize(
    ("task", "at"),
    [
        ({"form": "bear"}, "tasks.distances.question.form"),
        ({"form": "atmosphere", "sample": {"groups": None}}, "tasks.distances.question.form"),
        ({"sample": {"groups": None, "balanced": True}}, "tasks.distances.sample.balanced"),
        ({"sample": {"groups": {"bins": {"label": "feh", "number": 3}}}}, "tasks.distances.sample.groups.bins.label"),
    ],
)
def test_what_does_not_go_together_is_named(project: Path, task: dict[str, Any], at: str) -> None:
    (fault,) = cross_check(configured(project, **task))
    assert fault.startswith(f"{at}: ")


def test_spectra_without_a_class_are_selected_where_a_task_goes_without(project: Path) -> None:
    *_, without = wanted_spectra(configured(project, sample={"groups": None}), "lamost")
    assert without == {"labels": ["redshift"], "counts": {"all": None}}
    assert all("all" not in task["counts"] for task in wanted_spectra(configured(project), "lamost"))
