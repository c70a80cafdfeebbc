"""The mini of the main job: every contract holds, nothing is lost on the way, a second run does nothing."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starglot import rejections, statuses, tables

pytestmark = pytest.mark.workflow


def ids(path):
    return set(pq.read_table(path, columns=["obsid"])["obsid"].to_pylist())


def test_ids_are_conserved_by_every_shard(mini):
    shards = mini.path("catalog/shards/lamost.txt").read_text().split()
    assert len(shards) == 3
    rejected = 0
    for shard in shards:
        selected = ids(mini.path(f"catalog/selected/lamost/{shard}.parquet"))
        clean = ids(mini.path(f"spectra/lamost/paper/{shard}.parquet"))
        lost = pq.read_table(mini.path(f"spectra/lamost/paper/{shard}.rejected.parquet"))
        assert selected == clean | set(lost["obsid"].to_pylist())
        assert not clean & set(lost["obsid"].to_pylist())
        assert set(lost["reason"].to_pylist()) <= set(rejections.REJECTIONS)
        rejected += len(lost)
    assert rejected >= 5


def test_what_was_broken_on_purpose_was_rejected_for_that(mini):
    truth = pq.read_table(mini.path("mock/truth.parquet")).to_pandas().set_index("obsid")
    for shard in mini.path("catalog/shards/lamost.txt").read_text().split():
        for row in pq.read_table(mini.path(f"spectra/lamost/paper/{shard}.rejected.parquet")).to_pylist():
            assert truth.loc[row["obsid"], "broken"], row


def test_spectra_follow_the_contract(mini):
    for shard in mini.path("catalog/shards/lamost.txt").read_text().split():
        path = mini.path(f"spectra/lamost/paper/{shard}.parquet")
        table = pq.read_table(path)
        assert table.schema.remove_metadata() == tables.spectra_schema(4901)
        flux = tables.flux_matrix(table)
        assert np.median(flux.max(axis=1)) == pytest.approx(1000, abs=60)
        assert tables.read_metadata(path)


def test_no_star_is_in_two_splits_of_any_task(mini):
    where = {}
    for name in ("atmosphere/mini", "abundances/all"):
        sample = pq.read_table(mini.path(f"samples/{name}.parquet"))
        assert sample.schema.remove_metadata() == tables.SAMPLE
        for star, split in zip(sample["star_id"].to_pylist(), sample["split"].to_pylist(), strict=True):
            assert where.setdefault(star, split) == split
    assert set(where.values()) == set(tables.SPLITS)


def test_every_row_of_a_sample_is_asked_once(mini):
    sample = pq.read_table(mini.path("samples/atmosphere/mini.parquet")).to_pandas()
    for split, files in {"train": 2, "val": 1, "test": 2}.items():
        asked = []
        for part in range(files):
            with gzip.open(mini.path(f"qa/atmosphere/mini/mini/{split}-{part:04d}.jsonl.gz"), "rt") as lines:
                asked += [json.loads(line) for line in lines]
        assert sorted(row["obsid"] for row in asked) == sorted(sample.obsid[sample.split == split])
        assert all(set(row) == {"obsid", "question", "answer"} for row in asked)


@pytest.mark.parametrize("model", ["llm-mini", "ridge", "class-mean"])
@pytest.mark.parametrize(("task", "size", "labels"), [("atmosphere", "mini", 3), ("abundances", "all", 21)])
def test_predictions_follow_the_contract(mini, model, task, size, labels):
    table = pq.read_table(mini.path(f"predictions/{task}/{model}/{size}/test.parquet"))
    assert table.schema.remove_metadata() == tables.PREDICTION
    sample = pq.read_table(mini.path(f"samples/{task}/{size}.parquet")).to_pandas()
    test = sample[sample.split == "test"]
    assert len(table) == labels * len(test)
    assert set(table["obsid"].to_pylist()) == set(test.obsid)
    assert not any(table["seen"].to_pylist())
    frame = table.to_pandas()
    assert set(frame.status) <= set(statuses.STATUSES)
    answered = frame[frame.status == "ok"]
    assert np.isfinite(answered.value).all() and (answered.sigma > 0).all()
    if model == "llm-mini" and task == "atmosphere":
        assert (frame.status == "ok").mean() > 0.5


@pytest.mark.parametrize("model", ["llm-mini", "ridge"])
@pytest.mark.parametrize(("task", "size", "labels"), [("atmosphere", "mini", 3), ("abundances", "all", 21)])
@pytest.mark.parametrize("survey", ["galah", "gaia_eso"])
def test_external_predictions_follow_the_contract(mini, survey, model, task, size, labels):
    frame = pq.read_table(mini.path(f"predictions/{task}/{model}/{size}/{survey}.parquet"))
    assert frame.schema.remove_metadata() == tables.PREDICTION
    frame = frame.to_pandas()
    match = pq.read_table(mini.path(f"match/lamost_{survey}.parquet")).to_pandas().set_index("obsid")
    sample = pq.read_table(mini.path(f"samples/{task}/{survey}.parquet")).to_pandas()
    assert 1 <= len(sample) <= 20 and len(frame) == labels * len(sample)
    # Truth is the survey's own label, missing where it has none; LAMOST's or APOGEE's is not to be seen.
    for label, rows in frame.groupby("label"):
        expected = match[label].reindex(rows["obsid"]).to_numpy() if label in match else np.full(len(rows), np.nan)
        assert np.array_equal(rows["truth"].to_numpy(float), expected.astype(float), equal_nan=True)
    trained = pq.read_table(mini.path(f"samples/{task}/{size}.parquet")).to_pandas()
    seen = set(trained.loc[trained["split"] == "train", "star_id"])
    assert frame.loc[frame["star_id"].isin(seen), "seen"].all()
    if model == "ridge":
        assert set(frame.loc[frame["seen"], "star_id"]) <= seen


def test_tables_by_number_hold_this_run_and_the_paper(mini):
    for number in range(2, 9):
        table = pd.read_csv(mini.path(f"tables/table_{number}.csv"))
        assert set(table["source"]) == {"this run", "paper"}
        assert "paper: LLM" in mini.path(f"tables/table_{number}.md").read_text()
        assert mini.path(f"figures/figure_{number}.png").read_bytes().startswith(b"\x89PNG")
        ours = table[(table["source"] == "this run") & (table["n"] > 1) & table["std"].notna()]
        assert (ours["rmse"] ** 2).to_numpy() == pytest.approx((ours["mean"] ** 2 + ours["std"] ** 2).to_numpy())
    leakage = pd.read_csv(mini.path("tables/leakage.csv"))
    assert (leakage["stars in two splits"] == 0).all() and len(leakage) == 2
    assert len(pd.read_csv(mini.path("tables/own_line.csv"))) == 3 * 21


def test_models_are_compared_star_by_star_and_with_the_limit(mini):
    paired = pd.read_csv(mini.path("tables/paired_atmosphere.csv"))
    assert paired["label"].tolist() == ["teff", "logg", "feh"] and set(paired["model"]) == {"llm-mini"}
    assert paired["baseline"][0] == "ridge" and set(paired["baseline"]) <= {"ridge", "class-mean"}
    assert (paired["n"] > 10).all()
    limit = pd.read_csv(mini.path("tables/limit_atmosphere.csv"))
    every = limit[(limit["class"] == "All") & (limit["snr"] == "All")].set_index("label")
    assert (every[["llm-mini", "class-mean", "ridge"]] > 1).all(axis=None)  # nothing is better than its limit
    assert every["ridge"]["teff"] < every["class-mean"]["teff"] and every["bound"]["feh"] < 0.05


def test_the_adapters_are_what_the_manifest_says(mini):
    from safetensors.numpy import load_file

    first = mini.path("models/atmosphere/llm-mini/mini")
    second = mini.path("models/abundances/llm-mini/all")
    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (first, second))
    assert set(one) == set(two) and all(not np.array_equal(one[k], two[k]) for k in one if "lora_B" in k)
    manifest = tables.read_json(second / "manifest.json")
    assert manifest["continues"] and manifest["versions"]


def test_tables_figures_and_report_are_there(mini):
    for name in ("residuals_atmosphere", "residuals_abundances", "headline_atmosphere", "table_1"):
        for ending in (".csv", ".md", ".tex"):
            assert mini.path(f"tables/{name}{ending}").stat().st_size > 100
    for name in ("predicted_atmosphere_llm-mini_mini_test", "training_abundances_llm-mini_all"):
        assert mini.path(f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    page = mini.path("report.html").read_text()
    assert "mock" in page.lower() and "http://" not in page.replace("http://www.w3.org", "")


def test_a_second_run_does_nothing(mini):
    assert "Nothing to be done" in mini.snakemake().stderr


def test_any_contract_path_is_a_target(mini):
    shard = mini.path("catalog/shards/lamost.txt").read_text().split()[0]
    targets = (
        "catalog/lamost.parquet",
        "match/lamost_apogee.parquet",
        f"catalog/selected/lamost/{shard}.parquet",
        f"spectra/lamost/paper/{shard}.rejected.parquet",
        "samples/atmosphere/small.parquet",
        "qa/atmosphere/paper/small/train-0001.jsonl.gz",
        "predictions/atmosphere/ridge/mini/common.parquet",
        "tables/residuals_atmosphere.md",
        "figures/predicted_atmosphere_ridge_mini_test.svg",
        "predictions/atmosphere/class-mean/mini/gaia_eso.parquet",
        "figures/planes_abundances_ridge_all_test.png",
    )
    mini.snakemake("-n", *(f"results/{target}" for target in targets))


def test_a_network_and_an_ensemble_are_built_on_request(mini):
    mini.snakemake("results/predictions/atmosphere/ensemble/mini/test.parquet")
    table = pq.read_table(mini.path("predictions/atmosphere/ensemble/mini/test.parquet")).to_pandas()
    members = [
        pq.read_table(mini.path(f"predictions/atmosphere/{name}/mini/test.raw.parquet")) for name in ("ridge", "cnn")
    ]
    assert all(set(member["obsid"].to_pylist()) == set(table.obsid) for member in members)
    assert (table.status == "ok").all() and (table.sigma > 0).all()
    weight = tables.read_json(mini.path("models/atmosphere/ensemble/mini/manifest.json"))["labels"]["teff"]["weight"]
    assert sum(weight) == pytest.approx(1)
    network = mini.path("models/atmosphere/cnn/mini")
    assert tables.read_json(network / "manifest.json")["counts"]["epochs"] == 8
    assert len((network / "loss.csv").read_text().splitlines()) == 9


def test_a_model_that_reads_patch_tokens_is_built_on_request(mini):
    """Both stages, on a base that nothing was taught; questions with a place for the tokens."""
    mini.snakemake(
        "results/predictions/atmosphere/llm-patches/mini/test.parquet",
        "results/predictions/abundances/llm-patches/all/own_line.raw.parquet",
        "results/qa/abundances/patches/all/test-0001.jsonl.gz",
    )
    for task, size, name, split, labels in (
        ("atmosphere", "mini", "test.parquet", "test", 3),
        ("abundances", "all", "own_line.raw.parquet", "own_line", 21),
    ):
        table = pq.read_table(mini.path(f"predictions/{task}/llm-patches/{size}/{name}"))
        assert table.schema.remove_metadata() == tables.PREDICTION
        whole = size if split == "test" else split
        sample = pq.read_table(mini.path(f"samples/{task}/{whole}.parquet")).to_pandas()
        frame = table.to_pandas()
        assert set(frame.obsid) == set(sample.obsid[sample.split == split])
        assert len(frame) == labels * frame.obsid.nunique() and not frame.seen.any()
        assert (frame.status == "ok").all() and np.isfinite(frame.value).all() and (frame.sigma_raw > 0).all()
    first, second = (
        tables.read_json(mini.path(f"models/{name}/manifest.json"))
        for name in ("atmosphere/llm-patches/mini", "abundances/llm-patches/all")
    )
    assert second["continues"] == first["files"] and first["counts"]["spectrum_tokens"] == 19 + 3
    assert second["files"]["projector.safetensors"] != first["files"]["projector.safetensors"]
    with gzip.open(mini.path("qa/abundances/patches/all/test-0001.jsonl.gz"), "rt") as lines:
        assert all(json.loads(line)["question"].endswith("<flux></flux>") for line in lines)


def test_a_fold_is_tried_by_a_model_that_never_saw_it(mini):
    mini.snakemake("results/predictions/atmosphere/ridge.f1/mini/test.parquet")
    sample = pq.read_table(mini.path("samples/atmosphere/mini.parquet")).to_pandas()
    tried = pq.read_table(mini.path("predictions/atmosphere/ridge.f1/mini/test.parquet")).to_pandas()
    assert set(tried.obsid) == set(sample.obsid[sample.fold == 1]) and not tried.seen.any()
    manifest = tables.read_json(mini.path("models/atmosphere/ridge.f1/mini/manifest.json"))
    assert manifest["counts"]["train"] == ((sample.fold != 1) & (sample.split != "val")).sum()


def test_one_plate_is_built_from_nothing_on_request(fresh):
    fresh.snakemake("results/catalog/shards/lamost.txt")
    shard = fresh.path("catalog/shards/lamost.txt").read_text().split()[0]
    fresh.snakemake(f"results/spectra/lamost/paper/{shard}.parquet")
    assert len(pq.read_table(fresh.path(f"spectra/lamost/paper/{shard}.parquet"))) > 10
    assert len(list(fresh.path("spectra/lamost/paper").glob("*.parquet"))) == 2
    assert isinstance(pq.read_schema(fresh.path("match/lamost_galah.parquet")), pa.Schema)


def test_models_are_tried_on_altered_spectra(mini):
    """Beside `all`: altered spectra of the same stars, asked of the trained models, and compared."""
    mini.snakemake("results/tables/degradation_atmosphere.csv", "results/tables/altered_atmosphere.csv")
    frame = pd.read_csv(mini.path("tables/degradation_atmosphere.csv"))
    assert set(frame["change"]) == {"unaltered", "sdss-snr10"} and len(frame) == 3 * 3 * 2
    ratio = frame[(frame["model"] == "ridge") & (frame["change"] == "sdss-snr10")]["rmse_ratio"]
    assert (ratio > 1.1).all(), "ridge on noisy spectra is worse"
    mean = frame[(frame["model"] == "class-mean") & (frame["change"] == "sdss-snr10")]["rmse_ratio"]
    assert mean.to_numpy() == pytest.approx(1.0), "who does not look at spectra loses nothing"
    sample = pq.read_table(mini.path("samples/atmosphere/test-sdss-snr10.parquet")).to_pandas()
    whole = pq.read_table(mini.path("samples/atmosphere/mini.parquet")).to_pandas()
    assert set(sample["obsid"]) <= set(whole.loc[whole["split"] == "test", "obsid"]) and len(sample) == 20
    assert ids(mini.path("altered/atmosphere/test-sdss-snr10/test-sdss-snr10.parquet")) == set(sample["obsid"])
    assert "in the format of SDSS" in mini.path("tables/degradation_atmosphere.md").read_text()
    assert mini.path("figures/degradation_atmosphere.png").read_bytes().startswith(b"\x89PNG")
    pairs = pd.read_csv(mini.path("tables/altered_atmosphere.csv"))
    assert set(pairs["set"]) == {"test-sdss-snr10"} and set(pairs["model"]) == {"llm-mini"} and len(pairs) == 3
    rmse = frame[frame["change"] == "sdss-snr10"].set_index(["model", "label"])["rmse"]
    assert not pairs["n_left_out"].any()
    for row in pairs.itertuples():
        ratio = (rmse[row.model, row.label] / rmse[row.baseline, row.label]) ** 2
        assert row.error_ratio == pytest.approx(ratio)
