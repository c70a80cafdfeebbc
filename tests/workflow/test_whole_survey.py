"""Catalogues over the mini's survey: every selected spectrum once, with the workflow's own answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from starglot.commands.apply import apply
from starglot.commands.predict import SOME_REFUSED
from starglot.inference.flags import BITS
from starglot.labels import LABELS

pytestmark = pytest.mark.workflow

CELLS = [("atmosphere", "mini", "ridge"), ("atmosphere", "mini", "llm-mini"), ("abundances", "all", "ridge"),
         ("abundances", "all", "llm-mini")]  # fmt: skip


@pytest.fixture(scope="module")
def made(mini):
    mini.snakemake("catalogue")
    return mini


def catalogue(made, task: str, size: str, model: str) -> pd.DataFrame:
    return pq.read_table(made.path(f"catalogue/{task}/{model}/{size}/lamost.parquet")).to_pandas()


@pytest.mark.parametrize(("task", "size", "model"), CELLS)
def test_every_selected_spectrum_is_a_row_with_the_answer_of_the_predictions(made, task, size, model):
    rows = catalogue(made, task, size, model)
    selected = ds.dataset(made.path("catalog/selected/lamost")).to_table(["obsid", "star_id"]).to_pandas()
    assert rows[["obsid", "star_id"]].equals(selected.sort_values("obsid", ignore_index=True))
    rejected = pd.concat(
        pq.read_table(path).to_pandas() for path in made.path("spectra/lamost/paper").glob("*.rejected.parquet")
    )
    why = rows[rows["rejection"] != ""].set_index("obsid")["rejection"]
    assert why.to_dict() == rejected.set_index("obsid")["reason"].to_dict() and len(why) >= 5
    assert (rows.set_index("obsid").loc[why.index, "flags"] == BITS["rejected"]).all()
    told = pq.read_table(made.path(f"predictions/{task}/{model}/{size}/test.parquet")).to_pandas()
    by_obsid = rows.set_index("obsid")
    for label, mine in told.groupby("label"):
        ours = by_obsid.loc[mine["obsid"]]
        for name, column in (
            (label, "value"),
            (f"{label}_sigma", "sigma"),
            ("class_probability", "class_probability"),
        ):
            mine_of, ours_of = mine[column].to_numpy(), ours[name].to_numpy()
            # How many spectra are computed together decides the order of sums: far below the last digit of a label.
            bound = 1e-5 if model == "llm-mini" else 1e-11
            np.testing.assert_allclose(ours_of, mine_of, rtol=bound, atol=bound)
            digits = LABELS[label].decimals
            assert [f"{value:.{digits}f}" for value in ours_of] == [f"{value:.{digits}f}" for value in mine_of]
        assert ours["class"].tolist() == mine["class_pred"].fillna("").tolist()


def test_the_files_of_the_survey_have_the_same_answers(made, tmp_path):
    out = tmp_path / "apply.parquet"
    model = made.path("models/atmosphere/ridge/mini")
    assert apply(model, made.path("mock/lamost/spectra"), out, shard_size=50) == SOME_REFUSED
    files = pq.read_table(out).to_pandas()
    selected = ds.dataset(made.path("catalog/selected/lamost")).to_table(["obsid", "file"]).to_pandas()
    both = catalogue(made, "atmosphere", "mini", "ridge").merge(selected, on="obsid").merge(files, on="file")
    both = both[(both["rejection_x"] == "") & (both["rejection_y"] == "")]
    assert len(both) > 200
    for name in ("teff", "teff_sigma", "logg", "feh_sigma", "excess"):
        np.testing.assert_allclose(both[f"{name}_x"], both[f"{name}_y"], rtol=1e-9)
    assert ((both["flags_x"] ^ both["flags_y"]) & ~(BITS["low_snr"] | BITS["part_missing"]) == 0).all()


def test_the_fits_file_is_the_parquet_file_and_says_what_it_is(made):
    folder = made.path("catalogue/atmosphere/ridge/mini")
    with fits.open(folder / "lamost.fits") as opened:
        opened.verify("exception")
        header = opened[1].header
        assert (header["MODEL"], header["SURVEY"], header["RELEASE"]) == ("ridge", "lamost", "mock")
    one, other = Table.read(folder / "lamost.fits"), Table.read(folder / "lamost.parquet")
    assert one.colnames == other.colnames
    for name in ("obsid", "teff", "feh_sigma", "flags"):
        np.testing.assert_array_equal(np.ma.filled(one[name], np.nan) if name in ("teff", "feh_sigma") else one[name],
                                      other[name])  # fmt: skip
    page = (folder / "lamost.html").read_text()
    assert page.count("<img") == 3 and "mock" in page and "http" not in page


def test_a_second_run_does_nothing_and_what_was_answered_is_handed_back(made):
    assert "Nothing to be done" in made.snakemake("catalogue").stderr
    folder = made.path("catalogue/atmosphere/ridge/mini")
    before = {path.name: path.read_bytes() for path in folder.glob("lamost.*")}
    shard = next((folder / "lamost").glob("*.parquet"))
    for path in (shard, folder / "lamost.fits"):
        path.unlink()
    made.snakemake("catalogue")
    log = made.path(f"logs/apply_shard/atmosphere/ridge/mini/lamost/{shard.stem}.log").read_text()
    assert "handing back" in log
    assert {path.name: path.read_bytes() for path in folder.glob("lamost.*")} == before
