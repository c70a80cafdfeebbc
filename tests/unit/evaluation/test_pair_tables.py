"""Similarity search and spectra of another view: the tables against what is counted and computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SkRidge
from sklearn.neighbors import NearestNeighbors

from starglot.evaluation.pairs.crossmodal import crossmodal_table
from starglot.evaluation.pairs.retrieval import AMONG, Search, ranks, retrieval_table
from starglot.evaluation.pairs.simple_translation import NEIGHBOURS, PENALTIES, RidgeTranslation, neighbours_mean

WAY = ("lamost/blue", "gaia_xp/xp", "aligned")


@pytest.mark.parametrize("by", ["product", "distance"])
def test_ranks_are_places_in_the_sorted_list(by: str) -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=(3000, 4))
    other = one + rng.normal(size=(3000, 4))
    found = ranks(Search(one, other, by))
    for row in (0, 1, 2047, 2048, 2999):
        closeness = one[row] @ other.T if by == "product" else -np.linalg.norm(one[row] - other, axis=1)
        assert found[row] == 1 + list(np.argsort(-closeness)).index(row)


def test_a_search_that_tells_nothing_is_no_better_than_chance() -> None:
    """All alike: every other star is as similar, and none is found; drawn at random: chance."""
    alike = np.ones((50, 3))
    assert (ranks(Search(alike, alike)) == 50).all()
    rng = np.random.default_rng(2)
    table = retrieval_table({WAY: Search(rng.normal(size=(4000, 8)), rng.normal(size=(4000, 8)))}).iloc[0]
    for k in AMONG:
        assert table[f"chance_{k}"] == k / 4000
        assert table[f"recall_{k}"] < 3 * table[f"chance_{k}"] + 1e-3
    assert table["median_rank"] == pytest.approx(2000, rel=0.1)


def test_recall_counts_stars_whose_partner_is_among_the_first() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(size=(200, 3))
    other = one + rng.normal(scale=0.5, size=(200, 3))
    search = Search(one, other, by="distance")
    distance = np.linalg.norm(one[:, None] - other, axis=2)
    place = (distance < np.diag(distance)[:, None]).sum(axis=1)
    table = retrieval_table({WAY: search}).iloc[0]
    for k in AMONG:
        assert table[f"recall_{k}"] == (place < k).mean()
        # A mean of 0 and 1: its standard error is known.
        p = table[f"recall_{k}"]
        half = 1.96 * np.sqrt(p * (1 - p) / 200)
        assert table[f"recall_{k}_hi"] - table[f"recall_{k}_lo"] == pytest.approx(2 * half, rel=0.2)
    assert (table["from"], table["to"], table["n"]) == ("lamost/blue", "gaia_xp/xp", 200)


def test_ridge_regression_is_that_of_scikit_learn_with_the_best_penalty() -> None:
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(6, 3))
    x = rng.normal(size=(400, 6)) + 3
    y = x @ weights + rng.normal(scale=2.0, size=(400, 3)) + 1
    train, val = (x[:40], y[:40]), (x[40:], y[40:])
    made = RidgeTranslation(train, val)
    variance = np.linalg.eigvalsh(np.cov(train[0].T, bias=True)).mean()
    theirs = {}
    for penalty in PENALTIES:
        model = SkRidge(alpha=penalty * variance * 40).fit(*train)
        theirs[float(np.square(model.predict(val[0]) - val[1]).mean())] = (penalty, model)
    penalty, model = theirs[min(theirs)]
    assert made.penalty == penalty
    np.testing.assert_allclose(made(val[0]), model.predict(val[0]), rtol=1e-8)


def test_neighbours_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    library, flux, query = rng.normal(size=(90, 4)), rng.normal(size=(90, 7)), rng.normal(size=(600, 4))
    at = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(library).kneighbors(query, return_distance=False)
    np.testing.assert_allclose(neighbours_mean(query, library, flux), flux[at].mean(axis=1))
    np.testing.assert_allclose(
        neighbours_mean(query, library[:2], flux[:2]), np.tile(flux[:2].mean(axis=0), (600, 1))
    )


def test_residuals_of_a_prediction_with_a_known_error() -> None:
    """An error of 0.1 in every second pixel, and noise of 0.05: what the table says can be said beforehand."""
    rng = np.random.default_rng(6)
    truth = 1 + rng.normal(scale=0.2, size=(5000, 10))
    noise = rng.normal(scale=0.05, size=truth.shape)
    shift = np.where(np.arange(10) % 2, 0.1, 0.0)
    predicted = {WAY: truth + shift + noise, (*WAY[:2], "mean"): np.ones_like(truth)}
    table = crossmodal_table(predicted, {"gaia_xp/xp": truth}, {"gaia_xp/xp": np.ones(10)})
    ours, mean = table.iloc[0], table.iloc[1]
    assert ours["rmse"] == pytest.approx(np.sqrt(0.05**2 + 0.1**2 / 2), rel=0.02)
    assert ours["rmse_lo"] < ours["rmse"] < ours["rmse_hi"] and ours["r2_lo"] < ours["r2"] < ours["r2_hi"]
    assert ours["scatter"] == pytest.approx(0.05, rel=0.03) and ours["scatter_90"] == pytest.approx(0.05, rel=0.05)
    assert ours["bias"] == pytest.approx(0.05, abs=0.003)  # half of the pixels 0.1, the others 0
    assert ours["r2"] == pytest.approx(1 - (0.05**2 + 0.1**2 / 2) / 0.2**2, abs=0.01)
    assert mean["r2"] == pytest.approx(0, abs=1e-12) and mean["n"] == 5000
