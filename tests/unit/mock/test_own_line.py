"""The own-line test: spectra differ where the element has lines, and the response is what was put in."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from prediction_tables import predictions

from refusals import refused
from starglot.config.recipes import Wavelength
from starglot.config.root import Recipe
from starglot.evaluation.own_line import response_table
from starglot.labels import ABUNDANCE_NAMES
from starglot.mock.own_line import STEP, base_stars, own_line_tables
from starglot.plots.own_line import draw_own_line
from starglot.tables import PREDICTION, SAMPLE, flux_matrix, spectra_schema, write_parquet
from tasks import task_of

RECIPE = Recipe()


def task(*labels):
    return task_of("abundances", labels, source="apogee")


@pytest.fixture(scope="module")
def tables():
    return own_line_tables(task("mg_fe", "ca_fe", "na_fe"), RECIPE, count=3, seed=1)


def test_one_abundance_changes_and_the_flux_where_its_lines_are(tables):
    spectra, labels, sample = tables
    assert spectra.schema == spectra_schema(4901) and sample.schema == SAMPLE
    assert len(spectra) == 3 * 3 * 2 and set(sample["split"].to_pylist()) == {"own_line"}
    frame = labels.to_pandas()
    stars = base_stars(3, seed=1)
    assert len(frame["star_id"].unique()) == 3
    flux = flux_matrix(spectra).astype(int)
    wavelength = np.arange(3800, 8701)
    # Rest wavelengths in vacuum: Mg b, Na D, Ca II 8544.
    windows = {"mg_fe": (5160, 5195), "na_fe": (5885, 5905), "ca_fe": (8530, 8560)}
    for label, (low, high) in windows.items():
        for star in frame["star_id"].unique():
            rows = frame[(frame["star_id"] == star) & (frame["changed"] == label)].sort_values("step")
            assert list(rows["step"]) == [-STEP, STEP]
            others = [name for name in windows if name != label]
            assert (rows[others].nunique() == 1).all() and np.ptp(rows[label]) == pytest.approx(2 * STEP)
            change = flux[rows.index[1]] - flux[rows.index[0]]
            inside = (wavelength > low) & (wavelength < high)
            assert change[inside].sum() < -20, "more of an element makes its lines deeper"
            assert np.abs(change).max() == np.abs(change[inside]).max() or label == "ca_fe"
    assert len(stars.star) == 3 and (stars.feh > -0.8).all()


def test_other_surveys_pixels_have_the_same_flux():
    """Between LAMOST's pixels, 1.2 to 2 A apart: within two thousandths of a normalised spectrum."""
    own = RECIPE.model_copy(
        update={"interpolation": "none", "wavelength": Wavelength(start=4000, stop=8000, step=0.8)}
    )
    usual = RECIPE.model_copy(update={"wavelength": Wavelength(start=4000, stop=8000, step=1.0)})
    ours, theirs = (flux_matrix(own_line_tables(task("mg_fe"), each, count=1, seed=1)[0]) for each in (own, usual))
    assert ours.shape == (2, 5001) and np.abs(ours[:, ::5].astype(int) - theirs[:, ::4]).max() <= 2


def test_a_grid_beyond_the_mocks_is_refused():
    desi = RECIPE.model_copy(
        update={"interpolation": "none", "wavelength": Wavelength(start=3600, stop=9824, step=0.8)}
    )
    with refused(where=("wavelength", "3600"), allowed="9099"):
        own_line_tables(task("mg_fe"), desi, count=1, seed=1)


def test_only_abundances_have_lines():
    with refused("teff", where="labels", allowed=ABUNDANCE_NAMES):
        own_line_tables(task("teff"), RECIPE, count=1, seed=1)


def answered(labels, names, slope, seed=0, drop=()):
    """Predictions that follow the change of each label by ``slope[label]``, with a little noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in labels.to_pylist():
        for name in names:
            moved = slope.get(name, 0.0) * row["step"] * (row["changed"] == name)
            bad = row["obsid"] in drop
            rows.append(
                {
                    "obsid": row["obsid"],
                    "star_id": row["star_id"],
                    "class": "G",
                    "class_pred": None,
                    "label": name,
                    "truth": row[name],
                    "value": None if bad else 0.1 + moved + rng.normal(0, 0.005),
                    "sigma": None if bad else 0.1,
                    "sigma_raw": None if bad else 0.1,
                    "status": "unparsable" if bad else "ok",
                    "seen": False,
                }
            )
    return pa.Table.from_pylist(rows, schema=PREDICTION)


def changes(names, stars=6):
    rows = []
    for star in range(stars):
        for name in names:
            for step in (-STEP, STEP):
                truth = {other: 0.05 * star + step * (other == name) for other in names}
                rows.append({"obsid": len(rows), "star_id": f"s{star}", "changed": name, "step": step, **truth})
    return pa.Table.from_pylist(rows)


def test_the_response_is_what_was_put_in(tmp_path):
    names = ("mg_fe", "ca_fe", "na_fe")
    table = changes(names)
    slope = {"mg_fe": 0.9, "ca_fe": 0.35}
    write_parquet(answered(table, names, slope, drop={0}), tmp_path / "p.parquet")
    frame = response_table({("llm-x", "all"): tmp_path / "p.parquet"}, table, names).set_index("label")
    for name in names:
        row = frame.loc[name]
        assert row["response"] == pytest.approx(slope.get(name, 0.0), abs=0.02)
        assert row["response_lo"] <= row["response"] <= row["response_hi"]
    assert list(frame["verdict"]) == ["own lines", "partly", "guessed"]
    assert list(frame["n_stars"]) == [5, 6, 6] and (frame["others"] < 0.02).all()
    draw_own_line(frame.reset_index(), tmp_path / "own", "title")
    assert (tmp_path / "own.svg").read_text().rstrip().endswith("</svg>")


def test_few_stars_have_no_verdict(tmp_path):
    table = changes(("mg_fe",), stars=2)
    write_parquet(answered(table, ("mg_fe",), {"mg_fe": 1.0}), tmp_path / "p.parquet")
    frame = response_table({("llm-x", "all"): tmp_path / "p.parquet"}, table, ("mg_fe",))
    assert frame["verdict"].isna().all() and frame["response"].iloc[0] == pytest.approx(1, abs=0.05)
    write_parquet(predictions(("mg_fe",)), tmp_path / "q.parquet")  # other spectra altogether
    none = response_table({("llm-x", "all"): tmp_path / "q.parquet"}, table.slice(0, 0), ("mg_fe",))
    assert none["n_stars"].iloc[0] == 0 and none["response"].isna().all()
    draw_own_line(pd.concat([frame, none.assign(model="llm-y")]), tmp_path / "own", "title")
    assert (tmp_path / "own.svg").read_text().count("<!-- – -->") == 1  # a dash, and no number
