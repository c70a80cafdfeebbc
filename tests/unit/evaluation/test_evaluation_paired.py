"""Paired comparisons against scipy's bootstrap and a case with a known answer."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prediction_tables import predictions, with_rows
from scipy import stats

from starglot.evaluation.paired import Pair, best_baseline, by_seed, compare, paired, paired_table
from starglot.evaluation.rows import judged
from starglot.evaluation.skill import r2
from starglot.evaluation.tables_io import write_table

LABELS = ["teff", "feh"]


def pair(n=300, seed=3, better=0.9):
    """One spectrum a star; errors of both models share most of their scatter."""
    rng = np.random.default_rng(seed)
    truth, shared = rng.normal(0, 1, n), rng.normal(0, 0.2, n)
    model, baseline = (shared * factor + rng.normal(0, 0.05, n) for factor in (better, 1.0))
    return Pair(model[None] ** 2, baseline[None] ** 2, truth, np.arange(n).astype(str))


def test_intervals_are_those_of_scipys_paired_bootstrap():
    rows = pair()
    found = compare(rows, replicates=20_000)

    def ratio(model, baseline, axis=-1):
        return model.sum(axis=axis) / baseline.sum(axis=axis)

    def difference(model, baseline, truth, axis=-1):
        return (baseline.mean(axis=axis) - model.mean(axis=axis)) / truth.var(axis=axis)

    kwargs = {"paired": True, "vectorized": True, "method": "percentile", "n_resamples": 20_000, "rng": 5}
    model, baseline = rows.model[0], rows.baseline[0]
    for name, statistic, data in (
        ("error_ratio", ratio, (model, baseline)),
        ("r2_difference", difference, (model, baseline, rows.truth)),
    ):
        ours = found[f"{name}_lo"], found[f"{name}_hi"]
        theirs = stats.bootstrap(data, statistic, **kwargs).confidence_interval
        width = theirs[1] - theirs[0]
        assert found[name] == pytest.approx(statistic(*data))
        assert ours == pytest.approx(tuple(theirs), abs=0.03 * width)


def test_the_probability_is_that_of_a_normal_mean():
    """Differences of squared errors with a known mean and scatter: P(better) is the normal's tail."""
    rng = np.random.default_rng(0)
    n = 4000
    baseline, shift = rng.exponential(1.0, n), rng.normal(0, 1, n)
    for wanted in (0.5, 0.8, 0.99):
        off = shift - shift.mean() - stats.norm.ppf(wanted) / np.sqrt(n) * shift.std()
        found = compare(
            Pair((baseline + off)[None], baseline[None], rng.normal(size=n), np.arange(n)), replicates=8000
        )
        assert found["p_better"] == pytest.approx(wanted, abs=0.02)
        assert found["verdict"] == ("ahead" if wanted > 0.98 else "level")


def test_pairs_find_what_separate_intervals_hide():
    rows = pair(better=0.9)
    found = compare(rows)
    assert found["verdict"] == "ahead" and found["p_better"] > 0.99
    mixed = np.random.default_rng(1).permutation(rows.baseline.shape[1])
    apart = compare(Pair(rows.model, rows.baseline[:, mixed], rows.truth, rows.star))
    assert apart["error_ratio_hi"] - apart["error_ratio_lo"] > 1.5 * (
        found["error_ratio_hi"] - found["error_ratio_lo"]
    )


def test_stars_are_resampled_not_spectra():
    rows = pair(n=100)
    often = Pair(*(np.tile(each, 5) for each in (rows.model, rows.baseline, rows.truth, rows.star)))
    once, five = compare(rows), compare(often)
    for name in ("error_ratio", "error_ratio_lo", "error_ratio_hi", "r2_difference_lo", "p_better"):
        assert five[name] == pytest.approx(once[name])


def test_over_seeds_errors_are_means_and_the_spread_is_told():
    one, other = pair(seed=3), pair(seed=4)
    both = Pair(np.vstack([one.model, other.model]), one.baseline, one.truth, one.star)
    found = compare(both)
    alone = [compare(Pair(errors[None], one.baseline, one.truth, one.star))["r2"] for errors in both.model]
    assert found["r2"] == pytest.approx(np.mean(alone))
    assert found["seed_spread"] == pytest.approx(np.std(alone, ddof=1))
    assert np.isnan(found["baseline_seed_spread"])


def tables(folder, errors, failed=0):
    """{model: [(val, test)]} with this size of error for each seed of a model; tables of the same stars."""
    made = {}
    for number, (name, sizes) in enumerate(errors.items()):
        pairs = []
        for seed, (val, test) in enumerate(sizes):
            place = folder / (name if seed == 0 else f"{name}.s{seed}") / "all"
            place.mkdir(parents=True)
            for part, error in (("val.raw", val), ("test", test)):
                table = predictions(LABELS, stars=120, error=error, seed=10 * number + seed, failed=failed)
                pq.write_table(table, place / f"{part}.parquet")
            pairs.append((place / "val.raw.parquet", place / "test.parquet"))
        made[name] = pairs
    return made


def test_validation_stars_choose_the_baseline(tmp_path):
    baselines = tables(tmp_path, {"ridge": [(1.0, 3.0)], "trees": [(2.0, 0.5)]})
    models = tables(tmp_path, {"llm": [(1.0, 1.0), (1.0, 1.1)]})
    frame = paired_table(models, baselines, LABELS, task="t", size="all", replicates=300)
    assert frame["baseline"].tolist() == ["ridge", "ridge"]  # though trees are better on the test stars
    assert frame["verdict"].tolist() == ["ahead", "ahead"]
    assert frame["seeds"].tolist() == [2, 2] and frame["baseline_seeds"].tolist() == [1, 1]
    assert (frame["n_stars"] == 120).all() and (frame["n"] == 180).all() and (frame["n_left_out"] == 0).all()
    assert frame["set"].tolist() == ["test", "test"]
    of_seeds = [judged(pq.read_table(test), "feh") for _, test in models["llm"]]
    assert frame["r2"][1] == pytest.approx(np.mean([r2(rows.truth, rows.value) for rows in of_seeds]))


def test_what_one_model_does_not_answer_is_left_out_and_counted(tmp_path):
    models, baselines = tables(tmp_path, {"llm": [(1, 1)]}, failed=7), tables(tmp_path, {"ridge": [(1, 1)]})
    frame = paired_table(models, baselines, LABELS, task="t", size="all", replicates=50)
    assert set(frame["n_left_out"]) == {5} and set(frame["n"]) == {175}  # 7 places of two visits, 2 of them empty
    first, second = (judged(pq.read_table(of[0][1]), "teff") for of in (models["llm"], baselines["ridge"]))
    both, left_out = paired([first], [second])
    assert len(both.truth) + left_out == 180 and left_out > 0
    order = np.argsort(second.obsid)
    kept = np.isin(second.obsid[order], first.obsid)
    assert both.baseline[0] == pytest.approx(second.error[order][kept] ** 2)


def test_a_label_that_nobody_predicts_has_a_row_and_a_reason(tmp_path):
    models, baselines = tables(tmp_path, {"llm": [(1, 1)]}), tables(tmp_path, {"ridge": [(1, 1)]})
    path = baselines["ridge"][0][0]
    table = pq.read_table(path)
    at = [i for i, label in enumerate(table["label"].to_pylist()) if label == "feh"]
    pq.write_table(with_rows(table, status=dict.fromkeys(at, "not_answered"), value=dict.fromkeys(at)), path)
    frame = paired_table(models, baselines, LABELS, task="t", size="all", replicates=50)
    assert frame["baseline"].tolist()[0] == "ridge" and frame["baseline"].isna().tolist() == [False, True]
    assert frame["note"][1] and np.isnan(frame["error_ratio"][1])


def test_the_best_baseline_is_best_on_common_spectra():
    easy, hard = (
        judged(predictions(["feh"], error=1.0), "feh"),
        judged(predictions(["feh"], error=1.2, seed=1), "feh"),
    )
    assert best_baseline({"a": [hard], "b": [easy]}) == "b"
    # 'a' answers only where 'b' is better still: over all its spectra 'a' has the smaller error.
    few = hard.where((np.abs(hard.error) < 0.08) & (np.abs(easy.error) < np.abs(hard.error)))
    assert np.mean(few.error**2) < np.mean(easy.error**2)
    assert best_baseline({"a": [few], "b": [easy]}) == "b"
    assert best_baseline({"a": [easy.where(np.zeros(len(easy), bool))]}) is None


def test_seeds_are_of_one_model(tmp_path):
    paths = [tmp_path / name / "all" / "test.parquet" for name in ("llm", "llm.s1", "ridge", "llm.s2")]
    assert {name: len(of) for name, of in by_seed(paths).items()} == {"llm": 3, "ridge": 1}


def test_rows_that_cannot_be_judged_mark_their_label(tmp_path):
    models, baselines = tables(tmp_path, {"llm": [(1, 1)]}), tables(tmp_path, {"ridge": [(1, 1)]})
    path = models["llm"][0][1]
    pq.write_table(with_rows(pq.read_table(path), value={0: float("inf")}), path)
    frame = paired_table(models, baselines, LABELS, task="t", size="all", replicates=50)
    assert frame["n"].tolist() == [0, 180] and frame["note"].notna().tolist() == [True, False]
    assert isinstance(pa.Table.from_pandas(frame), pa.Table)


def test_what_is_the_same_in_every_row_makes_room_for_the_verdict(tmp_path):
    """One seed throughout: said below the table, and the spread of seeds, which there is not, nowhere."""
    models, baselines = (tables(tmp_path, {name: [(1, 1)]}) for name in ("llm", "ridge"))
    frame = paired_table(models, baselines, LABELS, task="t", size="all", replicates=50)
    write_table(frame, tmp_path / "one", "c", [])
    printed = (tmp_path / "one.md").read_text()
    heading = next(line for line in printed.splitlines() if line.startswith("| "))
    assert "verdict" in heading and "seed" not in heading and "left out" not in heading
    assert "seeds 1; seeds of the baseline 1; left out 0." in printed
    frame["seeds"], frame["seed_spread"] = [1, 2], [None, 0.1]
    write_table(frame, tmp_path / "two", "c", [])
    heading = next(line for line in (tmp_path / "two.md").read_text().splitlines() if line.startswith("| "))
    assert "| seeds |" in heading and "seed spread" in heading
