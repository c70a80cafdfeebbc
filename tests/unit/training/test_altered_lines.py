"""Lines of an element's own: what synthetic spectra say of them, what estimates make of it, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from refusals import at, refused
from starglot.config.checks.across_keys import cross_check
from starglot.config.kinds.patch_llm import EstimateTraining, Lines, PixelAugment
from starglot.config.load import merge, read_config
from starglot.config.patches import Patches
from starglot.config.replay import lines_from
from starglot.config.root import Config
from starglot.language.number_answers import AnswerTokens, number_scales
from starglot.models.baselines.rows import Rows
from starglot.models.projector import Projector, statistics_of
from starglot.spectra.pixels import pixels
from starglot.training.estimates import Synthetic, Taught, teach_estimates
from starglot.training.lines import LineChanges, learn_lines
from starglot.training.patch_draws import PatchDraws, Variation

NAMES = ("teff", "logg", "feh", "mg_fe", "ca_fe")
RNG = np.random.default_rng(0)


def settings(**changes: Any) -> Lines:
    return Lines.model_validate({"task": "synthetic", "size": "grid", **changes})


@pytest.fixture(scope="module")
def linear() -> tuple[np.ndarray, LineChanges, torch.Tensor]:
    """Inputs that are a linear map of the labels, known beforehand, with noise; the last number is no label's."""
    unit = np.array([500.0, 0.5, 0.3, 0.4, 0.4])
    slopes = RNG.normal(size=(5, 12)) / unit[:, None]
    truth = RNG.normal(size=(1500, 5)) * unit
    truth[7, 3] = np.nan
    inputs = np.nan_to_num(truth) @ slopes + 0.1 * RNG.normal(size=(1500, 12))
    given = torch.tensor(np.column_stack([inputs, RNG.normal(size=1500)]), dtype=torch.float32)
    learnt = learn_lines(given, truth, NAMES, settings(synthetic_passes=30), flux=12, seed=0)
    return slopes, learnt, given


def test_a_changed_abundance_changes_what_it_does_in_synthetic_spectra(linear) -> None:
    slopes, learnt, given = linear
    change, labels = learnt.of(given, ("ca_fe", "mg_fe", "teff"))(
        torch.arange(1000), torch.Generator().manual_seed(1)
    )
    assert (labels[:, 2] == 0).all(), "a temperature has no lines of its own"
    expected = labels.numpy()[:, [1, 0]] @ slopes[3:]
    assert np.abs(change.numpy()[:, :12] - expected).max() < 0.15 * np.abs(expected).max()
    assert (change[:, 12] == 0).all(), "noise stays"


def test_changes_are_as_many_and_as_large_as_the_settings_say(linear) -> None:
    _, learnt, given = linear
    rows, generator = torch.randint(1500, (6000,)), torch.Generator().manual_seed(2)
    sparse = LineChanges(**{**vars(learnt), "settings": settings(altered=0.5, elements=0.2, reach=0.6, scatter=0.0)})
    _, labels = sparse.of(given, ("mg_fe", "ca_fe"))(rows, generator)
    # Binomial: 12,000 x .1 within four standard deviations of 33; the two go together in altered spectra alone.
    assert abs(int((labels != 0).sum()) - 1200) < 132
    assert 0.55 < float(labels.abs().max()) <= 0.6
    small = LineChanges(**{**vars(learnt), "settings": settings(altered=1e-9, scatter=0.05)})
    _, labels = small.of(given, ("mg_fe",))(rows, generator)
    assert float(labels.std()) == pytest.approx(0.05, rel=0.05)


def test_synthetic_spectra_without_abundances_teach_no_lines() -> None:
    truth = RNG.normal(size=(50, 2))
    truth = np.column_stack([truth, np.full(50, 0.1)])
    with refused(where=("teff", "mg_fe"), allowed="mg_fe"):
        learn_lines(torch.zeros(50, 4), truth, ("teff", "logg", "mg_fe"), settings(), flux=4, seed=0)


# ---------------------------------------------------------------- estimates

WAVE = 5000.0 + np.arange(240)


def spectra(mg: np.ndarray, ca: np.ndarray, seed: int, noise: float = 0.004) -> np.ndarray:
    """Stored flux with one line of each of two elements, magnesium's the weaker."""
    lines = [np.exp(-0.5 * ((WAVE - centre) / 3) ** 2) for centre in (5060.0, 5170.0)]
    depth = (0.10 * 10 ** (0.6 * mg))[:, None] * lines[0] + (0.25 * 10 ** (0.6 * ca))[:, None] * lines[1]
    noisy = 1 - depth + noise * np.random.default_rng(seed).standard_normal(depth.shape)
    return np.rint(1000 * noisy).astype(np.int16)


def labels_of(mg: np.ndarray, ca: np.ndarray) -> np.ndarray:
    return np.column_stack([mg, ca])


def test_estimates_follow_an_elements_own_lines_where_the_survey_shows_them_together() -> None:
    """In the survey magnesium goes with calcium to 0.01 dex; a star in which it does not has lines that say so."""
    rng = np.random.default_rng(3)
    common = rng.normal(0, 0.15, 500)
    mg, ca = common + rng.normal(0, 0.01, 500), common + rng.normal(0, 0.01, 500)
    free = rng.uniform(-0.7, 0.7, (2, 800))
    train, val = (
        Taught(spectra(mg, ca, 1)[:400], labels_of(mg, ca)[:400]),
        Taught(spectra(mg, ca, 1)[400:], labels_of(mg, ca)[400:]),
    )
    atmosphere = np.tile([5500.0, 4.0, 0.0], (800, 1))
    grid = Synthetic(Taught(spectra(*free, 2), np.column_stack([atmosphere, labels_of(*free)])), NAMES)
    encoding = Patches.model_validate(
        {"form": "patches", "width": 40, "coarse": 4, "directions": 8, "estimates": {"components": 8, "noise": True}}
    )
    fine = pixels(np.concatenate([train.flux, grid.spectra.flux]), 4, WAVE)
    scales = number_scales(["mg_fe", "ca_fe"], train.truth, np.full_like(train.truth, 0.03))
    in_order = [scales["mg_fe"], scales["ca_fe"]]
    zero = np.zeros(20)
    changed = [pixels(spectra(zero + step, zero, 4, noise=0.0), 4, WAVE) for step in (-0.3, 0.3)]

    def response(lines: dict[str, Any] | None) -> tuple[np.ndarray, float]:
        how = EstimateTraining.model_validate({"passes": 20, "copies": 1, "lines": lines})
        torch.manual_seed(0)
        projector = Projector(encoding, len(WAVE), 16, 1.0, statistics_of(*fine, encoding.needed), 2)
        quiet = PixelAugment(noise=0.5, tilt=0, velocity=0)
        said = teach_estimates(
            projector, train, val, in_order, how, quiet, WAVE, 0, grid if lines else None, ("mg_fe", "ca_fe")
        )
        assert ("lines" in said) == (lines is not None)

        def told(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
            read = projector.estimated_from(torch.from_numpy(fine), torch.from_numpy(coarse))
            fractions = projector.estimates.fractions(read).detach().numpy()
            return np.array([s.low for s in in_order]) + fractions * np.array([s.high - s.low for s in in_order])

        low, high = (told(*each).mean(axis=0) for each in changed)
        off = told(*pixels(val.flux, 4, WAVE)) - val.truth
        return (high - low) / 0.6, float(np.sqrt(np.mean(off**2)))

    together, error = response(None)
    alone, error_of_lines = response({"task": "s", "size": "g", "synthetic_passes": 30, "passes": 60})
    assert together[0] < 0.6 and abs(together[1]) > 0.15, together
    assert alone[0] > 0.75 and abs(alone[1]) < 0.1, alone
    assert error_of_lines < 1.5 * error + 0.01, "what the survey shows is still known"


def test_estimates_are_told_the_noise_of_a_spectrum() -> None:
    few = np.zeros(100)
    encoding = Patches.model_validate(
        {"form": "patches", "width": 40, "coarse": 4, "directions": 8, "estimates": {"components": 8, "noise": True}}
    )
    statistics = statistics_of(*pixels(spectra(few, few, 5, noise=0.02), 4, WAVE), encoding.needed)
    projector = Projector(encoding, len(WAVE), 16, 1.0, statistics, 2)
    level = {}
    for noise in (0.02, 0.04):
        fine, coarse = (torch.from_numpy(each) for each in pixels(spectra(few, few, 6, noise=noise), 4, WAVE))
        level[noise] = projector.estimated_from(fine, coarse)[:, -1].median().item()
    assert level[0.02] == pytest.approx(0, abs=0.15)
    assert level[0.04] - level[0.02] == pytest.approx(np.log(2), abs=0.12)


def test_answers_change_with_the_estimates_that_they_are_to_follow() -> None:
    """A change is the same in target, fed number and estimate, in the range, and none where a label lacks."""
    truth = np.array([[5500.0, 0.1], [5000.0, np.nan]])
    names = ["teff", "mg_fe"]
    scales = number_scales(names, np.array([[4000.0, -0.4], [7000.0, 0.5]]), np.full((2, 2), 0.03))
    rows = Rows(np.array([1, 2]), np.array(["a", "a"]), truth, np.array([-1, -1]), ())
    flux = spectra(np.zeros(2), np.zeros(2), 7)
    variation = Variation(
        PixelAugment(noise=0, tilt=0, velocity=0), np.zeros(len(WAVE)), 0.0,
        settings(altered=1, elements=1, reach=2.0, scatter=0.0), np.array([False, True]),
    )  # fmt: skip
    in_order = [scales[name] for name in names]
    draws = PatchDraws(rows, flux, cast(AnswerTokens, None), in_order, 4, WAVE, 80, seed=0, variation=variation)
    changes = []
    for number in range(80):
        example = draws[number]
        if np.isnan(example["target"][1]):
            assert (example["changed"] == 0).all()
            continue
        before = (0.1 - scales["mg_fe"].low) / scales["mg_fe"].step
        assert example["changed"][0] == 0
        assert example["target"][1] == pytest.approx(before + 999 * example["changed"][1])
        assert example["fed"][1] == pytest.approx(example["target"][1]) and 0 <= example["target"][1] <= 999
        changes.append(example["changed"][1])
    assert len(changes) == 40 and np.std(changes) > 0.2


# ---------------------------------------------------------------- configuration


@pytest.fixture(scope="module")
def raw(project: Path) -> dict[str, Any]:
    """The benchmark's configuration, whose estimates learn lines, as data."""
    overlays = (project / f"{name}.yaml" for name in ("config/demo", "benchmarks/own_line"))
    return read_config(project / "config/config.yaml", *overlays).model_dump(by_alias=True)


def test_lines_are_learnt_where_abundances_are_asked_for(raw: dict[str, Any]) -> None:
    config = Config.model_validate(raw)
    assert lines_from(config, "abundances", "llm-altered", "all") == ("synthetic", "grid")
    assert lines_from(config, "atmosphere", "llm-altered", "all") is None
    assert lines_from(config, "abundances", "llm-estimates", "all") is None
    assert "synthetic" in config.seen_tasks


def test_lines_that_cannot_be_learnt_are_faults(raw: dict[str, Any]) -> None:
    def faults(over: dict[str, Any]) -> list[str]:
        return cross_check(Config.model_validate(merge(copy.deepcopy(raw), over)))

    key = "models.llm-altered.training.estimates.lines"
    for name, told in {"task": "nowhere", "size": "huge"}.items():
        plan = {"training": {"estimates": {"lines": {name: told}}}}
        assert at(faults({"models": {"llm-altered": plan}}), key, told)
    assert at(faults({"models": {"llm-altered": {"encoding": "lines"}}}), key, "lines", "estimates")
    bare = {"synthetic": {"question": {"labels": ["teff", "logg", "mg_fe"]}}}
    assert at(faults({"tasks": bare}), key, "synthetic", "feh")


def test_what_reads_neither_lines_nor_noise_depends_on_no_such_setting() -> None:
    """So that a new setting makes no finished training begin anew."""
    assert "lines" not in EstimateTraining().model_dump()
    plain = Patches.model_validate({"form": "patches", "estimates": {}})
    assert set(plain.model_dump()["estimates"]) == {"components", "kernels", "networks", "width"}
