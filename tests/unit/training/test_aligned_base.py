"""An aligned base at work: embeddings of pairs, the tables of them, and the commands `similar` and `translate`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from aligned_stars import PIXELS, RECIPES, VIEWS, N, Stars, fit, make_stars

from refusals import refused
from starglot.evaluation.pairs.tables import crossmodal_of, judged_pairs, retrieval_of
from starglot.inference.aligned import AlignedPair, Library
from starglot.models.encoders.aligned import ALIGNED, load_aligned
from starglot.models.encoders.pairs import embed_pairs, of_length_1, shared_parts
from starglot.tables import read_json, write_parquet
from starglot.training.alignment import pair_spectra


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> tuple[Stars, Path]:
    """Stars, and a results folder with bases/clip, bases/split, and embeddings of both."""
    stars, folder = make_stars(tmp_path_factory.mktemp("stars")), tmp_path_factory.mktemp("results")
    for name, given in {"clip": {}, "split": {"own": 6}}.items():
        fit(stars, folder, f"bases/{name}", training={"epochs": 25}, **given)
        pairs = pq.read_table(stars.pairs)
        made = embed_pairs(folder / "bases" / name, pairs, pair_spectra(pairs, stars.indexes), torch.device("cpu"))
        weights = read_json(folder / "bases" / name / "manifest.json")["files"][ALIGNED]
        write_parquet(made, folder / "embeddings" / f"{name}.parquet", {"views": VIEWS, "weights": weights})
    return stars, folder


def embedded(results):
    stars, folder = results
    return pq.read_table(folder / "embeddings/split.parquet"), stars, load_aligned(folder / "bases/split")


def test_every_pair_has_the_embeddings_that_the_network_gives(results):
    table, stars, network = embedded(results)
    assert len(table) == N and table["obsid"].to_pylist() == list(range(N))
    with torch.no_grad():
        for place, shared in enumerate(shared_parts(table)):
            whole = network.embed(place, torch.from_numpy(stars.flux[place].astype(np.float32) / 1000)).numpy()
            np.testing.assert_allclose(shared, whole, rtol=1e-4, atol=1e-5)


def test_the_tables_judge_test_stars_beside_simple_means(results):
    table, stars, network = embedded(results)
    pairs = judged_pairs(table, VIEWS, pair_spectra(table, stars.indexes))
    search = retrieval_of(pairs).set_index(["from", "method"])
    assert sorted(search.index) == sorted((view, method) for view in VIEWS for method in ("aligned", "ridge"))
    assert (search["n"] == 50).all() and (search["chance_5"] == 0.1).all()
    assert (search["recall_5"] > 0.3).all()
    # The same by hand, for one way.
    one, other = (of_length_1(each)[stars.split == "test"] for each in shared_parts(table))
    cosine = one @ other.T
    first = (cosine > np.diag(cosine)[:, None]).sum(axis=1) == 0
    assert search.loc[(VIEWS[0], "aligned"), "recall_1"] == pytest.approx(first.mean())

    made = crossmodal_of(pairs, network).set_index(["from", "method"])
    methods = ("decoder", "aligned", "ridge", "nearest", "mean")
    assert sorted(made.index) == sorted((view, method) for view in VIEWS for method in methods)
    for view in VIEWS:
        assert made.loc[(view, "mean"), "r2"] == pytest.approx(0, abs=1e-6)
        # Either view is linear in what the stars are made of, but for a division: ridge regression knows that.
        assert made.loc[(view, "ridge"), "r2"] > made.loc[(view, "nearest"), "r2"] > 0.3
        assert made.loc[(view, "aligned"), "r2"] > 0.1 and np.isfinite(made.loc[(view, "decoder"), "r2"])
    without = crossmodal_of(pairs, load_aligned(results[1] / "bases/clip"))
    assert "decoder" not in set(without["method"])


def spectrum(stars: Stars, place: int, star: int, folder: Path) -> Path:
    """A star's spectrum as a plain table, in other units."""
    grid = RECIPES[place].wavelength
    wavelength = np.linspace(grid.start, grid.stop, PIXELS[place])
    path = folder / f"star{star}-{place}.csv"
    pd.DataFrame({"wavelength": wavelength, "flux": 3e-4 * stars.flux[place][star]}).to_csv(path, index=False)
    return path


def starglot(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "starglot", *map(str, arguments)], capture_output=True, text=True)


def test_similar_finds_the_star_itself_in_its_own_view(results, tmp_path):
    stars, folder = results
    file, out = spectrum(stars, 1, 7, tmp_path), tmp_path / "stars.csv"
    done = starglot("similar", file, "--base", folder / "bases/clip", "--view", VIEWS[1], "--most", 3, "--out", out)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(out)
    own, other = found[found["view"] == VIEWS[1]], found[found["view"] == VIEWS[0]]
    assert own["star_id"].tolist()[0] == "gaia:7" and own["obsid"].tolist()[0] == 1007
    assert own["similarity"].tolist()[0] == pytest.approx(1, abs=1e-5) and (own["split"] == "train").any()
    assert len(own) == len(other) == 3 and other["similarity"].is_monotonic_decreasing
    assert (other["obsid"] < N).all() and "gaia:7" in done.stdout


def test_translate_writes_the_spectrum_on_the_other_grid(results, tmp_path):
    stars, folder = results
    star, out = 270, tmp_path / "other.csv"  # of the test split
    file, base = spectrum(stars, 0, star, tmp_path), folder / "bases/split"
    done = starglot("translate", file, "--base", base, "--view", VIEWS[0], "--out", out)
    assert done.returncode == 0, done.stderr
    told = pd.read_csv(out)
    assert told["wavelength"].tolist() == [4000.0 + 10 * k for k in range(PIXELS[1])]
    network = load_aligned(base)
    with torch.no_grad():
        flux = torch.from_numpy(stars.flux[0][star : star + 1].astype(np.float32) / 1000)
        np.testing.assert_allclose(told["flux"], network.translate(0, network.embed(0, flux))[0].numpy(), atol=1e-4)


def test_what_cannot_be_compared_is_said(results, tmp_path):
    stars, folder = results
    base = AlignedPair(folder / "bases/clip")
    file = spectrum(stars, 0, 1, tmp_path)
    with refused(where=file, allowed=VIEWS, todo="--view"):
        base.read(file)
    with refused("lamost/red", allowed=VIEWS):
        base.read(file, "lamost/red")
    with refused(where=folder / "embeddings/none.parquet", todo=("snakemake", "--among")):
        Library(folder / "embeddings/none.parquet", base)
    with refused(where=folder / "embeddings/split.parquet", allowed=folder / "bases/clip"):
        Library(folder / "embeddings/split.parquet", base)
    with refused(where=stars.encoders[0] / "manifest.json", allowed="aligned"):
        AlignedPair(stars.encoders[0])
    broken, none = tmp_path / "broken.csv", tmp_path / "none.csv"
    broken.write_text("wavelength,flux\n4000,1\n")
    done = starglot("similar", broken, file, "--base", folder / "bases/clip", "--view", VIEWS[0])
    assert done.returncode == 3 and "refused" in done.stdout and "gaia:1 " in done.stdout
    done = starglot("translate", broken, "--base", folder / "bases/split", "--view", VIEWS[0], "--out", none)
    assert done.returncode == 1 and not none.exists()
