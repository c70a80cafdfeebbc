"""What a run will cost, against numbers worked out by hand and against what was measured."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from refusals import refused
from starglot.commands import plan
from starglot.config.bases.masked_patches import MaskedPatchesBase
from starglot.config.load import read_config
from starglot.config.patches import Estimated, Patches
from starglot.config.root import Config
from starglot.models.projector import patch_starts
from starglot.report.accounts import rule_times
from starglot.workflow import forecast, processor_cost
from starglot.workflow.gpu_cost import (
    PEAKS,
    SHAPES,
    Device,
    Shape,
    answering_operations,
    given_device,
    needed_operations,
    shape_of,
    training_memory,
    training_operations,
)

LLAMA = SHAPES["meta-llama/Llama-3.1-8B-Instruct"]


@pytest.fixture(scope="module")
def full(project: Path) -> Config:
    """The reproduction at full size."""
    return read_config(str(project / "config/config.yaml"))


@pytest.fixture(scope="module")
def demo(project: Path) -> Config:
    return read_config(str(project / "config/config.yaml"), str(project / "config/demo.yaml"))


def test_a_known_base_has_its_published_size() -> None:
    """8.03e9 parameters, of them 1.05e9 in the two embeddings; LoRA of rank 64 on all linear layers: 167.8e6."""
    assert LLAMA.parameters == pytest.approx(8.03e9, rel=1e-3)
    assert LLAMA.weights == 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    assert LLAMA.adapter(64) == 167_772_160
    # "Teaching LLMs to Speak Spectroscopy": 3.4M parameters at rank 8, which are those of the two layers.
    assert LLAMA.adapter(8, ["q_proj", "v_proj"]) == 3_407_872


@pytest.mark.parametrize(("tokens", "hours"), [(24_600, 1450), (9_900, 440), (5_000, 200)])
def test_an_epoch_over_the_papers_largest_sample(tokens: int, hours: float) -> None:
    """1.2 million spectra at 400 TFLOP/s with recomputed activations; the hours were worked out by hand before."""
    seconds = 1.2e6 * tokens * Device().training_seconds(LLAMA, tokens, recompute=True, quantisation="nf4")
    assert seconds / 3600 == pytest.approx(hours, rel=0.02)


@pytest.mark.parametrize(("tokens", "hours"), [(24_600, 3490), (9_900, 1140), (4_960, 525)])
def test_answers_for_ten_million_spectra(tokens: int, hours: float) -> None:
    seconds = 1e7 * tokens * Device().answering_seconds(LLAMA, tokens, "nf4")
    assert seconds / 3600 == pytest.approx(hours, rel=0.01)


def test_operations_of_a_model_small_enough_to_count() -> None:
    """One layer of width 2 and no grouped heads: 4 matrices of 2 x 2 and 3 of 2 x 3 are 34 weights."""
    small = Shape(hidden=2, layers=1, heads=1, kv=1, inner=3, vocabulary=5)
    assert small.weights == 34 and small.parameters == 34 + 20
    assert answering_operations(small, 10) == 2 * 34 + 2 * 2 * 10
    assert training_operations(small, 10, recompute=False) == 4 * 34 + 7 * 2 * 10
    assert training_operations(small, 10, recompute=True) == 6 * 34 + 9 * 2 * 10
    assert needed_operations(small, 10) == 4 * (34 + 10) + 6 * 2 * 10


def test_four_bits_are_what_fits_a_small_card() -> None:
    """8e9 weights: 3.6 GB in NF4 and 14 GB in bfloat16, and 2.1 GB of embeddings."""
    held = [training_memory(LLAMA, 1, 1, 0, kind, recompute=True) / 1e9 for kind in ("nf4", "none")]
    assert held == pytest.approx([3.60 + 2.10, 13.96 + 2.10], abs=0.02)
    assert training_memory(LLAMA, 5000, 4, 64, "nf4", True) < training_memory(LLAMA, 5000, 4, 64, "nf4", False)


def test_tokens_of_a_spectrum(full: Config) -> None:
    """4,901 values: 5 tokens each in the paper's form (24,503 counted), one each packed, 35 patches and one."""
    around = forecast.AROUND + 3 * forecast.ANSWERED
    tokens = {name: forecast.tokens_of(full, "atmosphere", name) - around for name in ("llm-paper", "llm-packed")}
    assert tokens["llm-paper"] == pytest.approx(24_503, abs=5) and tokens["llm-packed"] == 4901
    assert forecast.tokens_of(full, "atmosphere", "llm-patches") - around == 36 + 3
    assert forecast.tokens_of(full, "atmosphere", "llm-patches") < 200


@pytest.mark.parametrize(
    ("width", "stride"), [(140, None), (140, 70), (280, None), (133, None), (97, 50), (4901, None)]
)
def test_patches_are_counted_as_they_are_cut(full: Config, width: int, stride: int | None) -> None:
    encoding = Patches(form="patches", width=width, stride=stride)
    other = full.model_copy(update={"encodings": {**full.encodings, "patches": encoding}})
    around = forecast.AROUND + 3 * forecast.ANSWERED
    tokens = forecast.tokens_of(other, "atmosphere", "llm-patches") - around
    assert tokens == len(patch_starts(4901, width, stride or width)) + 1
    estimating = encoding.model_copy(update={"estimates": Estimated()})
    other = full.model_copy(update={"encodings": {**full.encodings, "patches": estimating}})
    assert (
        forecast.tokens_of(other, "atmosphere", "llm-patches") - forecast.AROUND - 3 * forecast.ANSWERED == tokens + 3
    )


def test_trainings_of_the_run_count_spectra_splits_and_passes(full: Config) -> None:
    jobs = {
        (job.what, job.model, job.size): job
        for job in forecast.gpu_jobs(full, Device(), forecast.sample_counts(full))
        if not job.sweep
    }
    assert jobs["train", "llm-packed", "1e5"].spectra == 216_000  # 0.72 of them, three times
    assert jobs["train", "llm-packed", "1.5e6"].spectra == 1_080_000
    # Validation and test spectra, and the common ones, which are the smallest sample's.
    assert jobs["predict", "llm-packed", "1.5e6"].spectra == 120_000 + 300_000 + 20_000
    assert not any(model == "ridge" for _, model, _ in jobs)


def test_a_base_that_fills_in_patches_is_counted_and_limited(full: Config) -> None:
    """All spectra that are cleaned, 0.72 of them for training, twice; 35 patches and one, and 9 asked for again."""
    filled = MaskedPatchesBase.model_validate(
        {
            "kind": "masked_patches",
            "view": "lamost/paper",
            "base": "meta-llama/Llama-3.1-8B-Instruct",
            "encoding": "patches",
            "training": {"epochs": 2},
        }
    )
    on_it = full.models["llm-patches"].model_copy(update={"base": "filled"})
    models = {**full.models, "on-it": on_it}
    run = full.run.model_copy(update={"models": ["on-it"]})
    config = full.model_copy(update={"bases": {**full.bases, "filled": filled}, "models": models, "run": run})
    base, *others = forecast.gpu_jobs(config, Device(), forecast.sample_counts(config))
    assert (base.what, base.task, base.model, base.size) == ("train", "lamost/paper", "filled", None)
    assert base.spectra == pytest.approx(2_160_000 * config.select.margin) and base.tokens == 35 + 1 + 9
    by_hand = base.spectra * base.tokens * training_operations(LLAMA, base.tokens, recompute=False) / 400e12 / 3600
    assert base.hours == pytest.approx(by_hand, rel=0.02)
    assert others[0].hours is not None  # the base's shape is that of the one below it
    tight = limited(config, 1.0)
    with refused(where="gpu_hours"):
        forecast.require_within_limits(tight, Device(), [("train", "lamost/paper", "filled", None)])
    forecast.require_within_limits(tight, Device(), [("train", "lamost/paper", "other", None)])


def test_a_size_that_takes_all_is_counted_once_it_is_given(full: Config) -> None:
    (unknown,) = [one for one in forecast.sample_counts(full) if one.task == "abundances"]
    (known,) = [one for one in forecast.sample_counts(full, {("abundances", "all"): 80_000}) if one.size == "all"]
    assert unknown.spectra is None and known.spectra == 80_000


def test_a_seed_more_in_the_sweep_costs_a_training_more(full: Config) -> None:
    counts = forecast.sample_counts(full)
    run, sweep = forecast.gpu_hours(list(forecast.gpu_jobs(full, Device(), counts)))
    more = full.model_copy(update={"scaling": full.scaling.model_copy(update={"seeds": [0, 1, 2, 3]})})
    assert forecast.gpu_hours(list(forecast.gpu_jobs(more, Device(), counts)))[0] == run
    assert forecast.gpu_hours(list(forecast.gpu_jobs(more, Device(), counts)))[1] == pytest.approx(1.5 * sweep)


# ---------------------------------------------------------------- the device


def test_a_faster_device_takes_less() -> None:
    seconds = [
        given_device(rate, None, "H100", None).training_seconds(LLAMA, 5000, True, "nf4") for rate in (200.0, 400.0)
    ]
    assert seconds[0] == pytest.approx(2 * seconds[1])


def test_a_share_of_the_peak_is_of_needed_operations() -> None:
    device = given_device(None, 0.4, "A100", None)
    expected = needed_operations(LLAMA, 5000) / (0.4 * PEAKS["A100"])
    assert device.training_seconds(LLAMA, 5000, True, "nf4") == pytest.approx(expected)
    assert device.training_seconds(LLAMA, 5000, False, "nf4") == pytest.approx(expected)


def test_measured_rates_are_used_as_they_were_measured(tmp_path: Path) -> None:
    cases = [
        {"shape": "llama-3.1-8b", "quantisation": "nf4", "tokens": 5000, "batch": 2, "tokens_per_s": 7000.0},
        {"shape": "llama-3.1-8b", "quantisation": "none", "tokens": 5000, "batch": 2, "tokens_per_s": 9000.0},
        {"shape": "llama-3.1-8b", "quantisation": "nf4", "tokens": 24600, "failed": "does not fit"},
        {"shape": "smollm2-135m", "quantisation": "nf4", "tokens": 5000, "batch": 2, "tokens_per_s": 300_000.0},
    ]
    (tmp_path / "gpu.json").write_text(json.dumps({"device": "NVIDIA H100", "cases": cases}))
    device = given_device(None, None, "H100", tmp_path / "gpu.json")
    assert "H100" in device.said
    assert 1 / device.training_seconds(LLAMA, 5000, True, "nf4") == pytest.approx(7000)
    assert 1 / device.training_seconds(LLAMA, 5000, True, "none") == pytest.approx(9000)
    assert 1 / device.training_seconds(LLAMA, 24_600, True, "nf4") < 7000  # more attention for each token


@pytest.mark.parametrize("content", ["", "{}", '{"device": "CPU", "cases": []}', '{"device": 1, "cases": [{}]}'])
def test_a_file_of_no_measurement_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "gpu.json").write_text(content)
    with refused(where=tmp_path / "gpu.json", todo="--tflops"):
        given_device(None, None, "H100", tmp_path / "gpu.json")


def test_the_shape_of_a_base_is_read_from_its_configuration() -> None:
    config = {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3}
    config |= {"intermediate_size": 1536, "vocab_size": 49152}
    assert shape_of(config) == SHAPES["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert shape_of({"n_embd": 768}) is None


# ---------------------------------------------------------------- the limit


def limited(config: Config, hours: float | None) -> Config:
    return config.model_copy(update={"limits": config.limits.model_copy(update={"gpu_hours": hours})})


def test_the_reproduction_is_within_its_own_limit_and_the_papers_form_is_not(full: Config, project: Path) -> None:
    forecast.require_within_limits(full, Device())
    models = full.run.model_copy(update={"models": ["llm-paper"]})
    with refused("llm-paper", where="gpu_hours", allowed=1000, todo="starglot plan"):
        forecast.require_within_limits(full.model_copy(update={"run": models}), Device())


def test_a_limit_counts_what_is_to_run(full: Config) -> None:
    tight = limited(full, 10)
    with refused("llm-packed", "1.5e6", where="gpu_hours", allowed=10):
        forecast.require_within_limits(tight, Device())
    forecast.require_within_limits(tight, Device(), [("predict", "atmosphere", "llm-packed", "1e5")])
    with refused("1e5", where="gpu_hours"):
        forecast.require_within_limits(tight, Device(), [("train", "atmosphere", "llm-packed", "1e5")])
    forecast.require_within_limits(limited(full, None), Device())


# ---------------------------------------------------------------- processors, disk


def test_the_forecast_of_the_demo_is_what_it_was_measured_to_take(demo: Config, project: Path) -> None:
    """README: about 11 minutes on two cores."""
    measured = processor_cost.read_measured(project / "benchmarks/demo_jobs.tsv")
    seconds = processor_cost.core_seconds(demo, forecast.sample_counts(demo), measured)
    assert sum(seconds.values()) == pytest.approx(2 * 11 * 60, rel=0.25)
    with (project / "benchmarks/demo_jobs.tsv").open() as file:
        rows = {row["rule"]: row for row in csv.DictReader(file, delimiter="\t")}
    for rule, one in seconds.items():
        assert one == pytest.approx(float(rows[rule]["core_seconds"]) * int(rows[rule]["jobs"]), rel=0.01), rule


def test_twice_the_spectra_take_twice_as_long(demo: Config, project: Path) -> None:
    measured = processor_cost.read_measured(project / "benchmarks/demo_jobs.tsv")
    assert demo.mock is not None
    more = demo.model_copy(update={"mock": demo.mock.model_copy(update={"spectra": 4800})})
    seconds = [
        processor_cost.core_seconds(each, forecast.sample_counts(each), measured)["clean_shard"]
        for each in (demo, more)
    ]
    assert seconds[1] == pytest.approx(2 * seconds[0])


def test_what_the_run_does_not_have_takes_no_time(full: Config, project: Path) -> None:
    measured = processor_cost.read_measured(project / "benchmarks/demo_jobs.tsv")
    seconds = processor_cost.core_seconds(full, forecast.sample_counts(full), measured)
    assert not {"make_mock", "build_base", "leave_out_fold", "train_llm"} & set(seconds)


def test_a_table_of_no_times_is_refused(tmp_path: Path) -> None:
    (tmp_path / "times.tsv").write_text("rule\tseconds\nclean\t3\n")
    with refused(where=tmp_path / "times.tsv"):
        processor_cost.read_measured(tmp_path / "times.tsv")


def test_disk_and_downloads(full: Config) -> None:
    counts = forecast.sample_counts(full)
    (spectra,) = forecast.spectra_to_clean(full, counts).values()
    assert spectra == 1_800_000  # with the selection's margin
    assert forecast.disk(full, counts)["cleaned spectra"] == pytest.approx(1.8e6 * 4901 * 1.26)
    sizes = forecast.downloads(full, counts)
    assert sizes["LAMOST spectra"] == pytest.approx(2e11, rel=0.05)
    assert sizes["meta-llama/Llama-3.1-8B-Instruct"] == pytest.approx(16.06e9, rel=0.01)


def test_spectra_of_pairs_and_of_starts_are_cleaned_too(project: Path) -> None:
    names = ("config.yaml", "specclip.yaml", "transfer_desi.yaml")
    config = read_config(*(project / "config" / name for name in names))
    seen = {"lamost/blue": 966_082, "gaia_xp/xp": 820_568, "desi/blue": 10_000, "lamost_xp": 820_568}
    counts = forecast.sample_counts(config)
    wanted = {view: round(n * config.select.margin) for view, n in seen.items() if "/" in view}
    assert forecast.spectra_to_clean(config, counts, seen) == wanted
    values = 1462 * (wanted["lamost/blue"] + wanted["desi/blue"]) + 343 * wanted["gaia_xp/xp"]
    assert forecast.disk(config, counts, seen)["cleaned spectra"] == pytest.approx(values * 1.26)


# ---------------------------------------------------------------- the command


def test_the_command_prints_a_plan(project: Path) -> None:
    command = [sys.executable, "-m", "starglot", "plan", "config/config.yaml", "--tflops", "500"]
    done = subprocess.run([*command, "--count", "abundances/all=90000"], capture_output=True, text=True, cwd=project)
    assert done.returncode == 0, done.stderr
    for said in ("1,080,000 spectra x", "500 TFLOP/s", "abundances, all: 90,000", "base model", "account", "limits"):
        assert said in done.stdout


def test_a_plan_above_the_limit_ends_with_1(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("run: {models: [llm-paper]}\n")
    with refused("llm-paper", where="gpu_hours"):
        plan.run([str(project / "config/config.yaml"), str(over)])
    assert "in all" in capsys.readouterr().out


@pytest.mark.parametrize("count", ["abundances=3", "abundances/none=3", "abundances/all=many", "stars/all=3"])
def test_a_count_that_names_no_size_is_refused(project: Path, count: str) -> None:
    with refused(count, where="--count", allowed="abundances/all=N"):
        plan.run([str(project / "config/config.yaml"), "--count", count])


def test_the_report_shows_the_forecast_beside_what_was_measured(tmp_path: Path) -> None:
    for rule, seconds in (("clean_shard", 6.0), ("new_rule", 3.0)):
        (tmp_path / rule).mkdir()
        (tmp_path / rule / "a.tsv").write_text(f"s\tcpu_time\tmax_rss\n{seconds}\t{seconds}\t100\n")
    shown = rule_times(tmp_path, {"clean_shard": 12.0}).set_index("rule")
    assert shown.loc["clean_shard", "forecast (CPU minutes)"] == pytest.approx(0.2)
    assert shown.loc["clean_shard", "CPU minutes"] == pytest.approx(0.1)
    assert pd.isna(shown.loc["new_rule", "forecast (CPU minutes)"])
    assert not any("forecast" in name for name in rule_times(tmp_path, {}))


def test_the_redshift_papers_model_takes_a_fraction_of_an_hour(project: Path) -> None:
    """The paper's 16 A100 hours fit padding to 8,192 tokens; without it, minutes on an H100."""
    names = ("config", "demo", "redshift", "redshift-llama")
    config = read_config(*(str(project / f"config/{name}.yaml") for name in names))
    counts = forecast.sample_counts(config)
    jobs = {
        (job.what, job.model): job for job in forecast.gpu_jobs(config, Device(), counts) if job.size == "galaxies"
    }
    digits = jobs["train", "z-llm-digits"]
    assert digits.spectra == pytest.approx(2 * 3000, abs=5) and 500 < digits.tokens < 700
    assert 0.05 < digits.hours < 0.3
    assert jobs["train", "z-llm-digits-epochs-3.s2"].sweep and jobs["train", "z-llm-digits-epochs-3.s2"].hours > 0


def test_sizes_that_are_not_run_are_not_cleaned(project: Path) -> None:
    config = read_config(*(project / "config" / name for name in ("config.yaml", "small.yaml")))
    (spectra,) = forecast.spectra_to_clean(config, forecast.sample_counts(config)).values()
    assert spectra == round(100_000 * config.select.margin)
