"""Small networks behind estimates: what each reads, what they say together, and how they are chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from baseline_spectra import GRID, TASK
from patch_models import BRIEF, ESTIMATING, WAVE, settings, train
from safetensors.numpy import load_file
from scipy.special import erf
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from starglot.language.number_answers import scales_from_data
from starglot.models.patch_llm import PROJECTOR_FILE, load_projector
from starglot.spectra.pixels import pixels
from starglot.spectra.resample import wavelength_grid


def test_an_estimate_is_of_networks_that_read_their_own_directions_and_of_kernels(survey, base, tmp_path) -> None:
    """Networks against numpy, kernels against scikit-learn: every training spectrum, as it is, is a landmark."""
    folder, as_they_are = tmp_path / "model", {**BRIEF, "estimates": {**BRIEF["estimates"], "copies": 0}}
    manifest = train(tmp_path, "model", survey, base, how=settings(**as_they_are), encoding=ESTIMATING)
    state = load_file(folder / PROJECTOR_FILE)
    projector = load_projector(ESTIMATING, GRID, 64, folder, manifest)

    def read_by_them(split):
        seen = pixels(survey.flux[survey.split == split], ESTIMATING.coarse, wavelength_grid(WAVE))
        return projector.estimated_from(*map(torch.from_numpy, seen)).numpy()

    read = read_by_them("test")
    each = []
    for number, choice in enumerate(manifest["estimates"]["networks"]):
        weight, bias = (
            [state[f"estimates.networks.{number}.{layer}.{name}"] for layer in (0, 2, 4)]
            for name in ("weight", "bias")
        )
        assert not weight[0][:, choice["components"] : 8].any() and weight[0][:, : choice["components"]].any()
        at_layer = read
        for layer in range(3):
            at_layer = at_layer @ weight[layer].T + bias[layer]
            at_layer = at_layer if layer == 2 else at_layer * (1 + erf(at_layer / np.sqrt(2))) / 2
        each.append(at_layer)
    by_kernels = with_scikit_learn(survey, read_by_them("train"), read, manifest, state)
    share = ESTIMATING.estimates.kernels.share
    standard = (1 - share) * np.mean(each, axis=0) + share * by_kernels
    expected = state["estimates.middle"] + state["estimates.scatter"] * standard
    found = projector.estimates.fractions(torch.from_numpy(read)).numpy()
    assert len(each) == 4 and np.std(np.mean(each, axis=0) - by_kernels) > 0.01
    assert found == pytest.approx(expected, abs=2e-3)


def with_scikit_learn(survey, train, test, manifest, state) -> np.ndarray:
    """Standardised values (n, labels) of ``test`` inputs, with the widths and penalties that were chosen."""
    scales = scales_from_data(manifest["numbers"])
    found = []
    for j, name in enumerate(TASK.labels):
        truth = (survey.y[survey.split == "train", j] - scales[name].low) / (scales[name].high - scales[name].low)
        truth = (truth - state["estimates.middle"][j]) / state["estimates.scatter"][j]
        known = np.isfinite(truth)
        gamma = 1 / (2 * state["estimates.kernels.width"][j] ** 2)
        among = rbf_kernel(train[known].astype(float), gamma=gamma)
        alpha = manifest["estimates"]["kernels"]["penalties"][j]
        # Not penalised: the constant that makes the weights' sum zero.
        inverse = np.linalg.inv(among + alpha * np.eye(known.sum()))
        middle = (inverse @ truth[known]).sum() / inverse.sum()
        fit = KernelRidge(alpha=alpha, kernel="precomputed").fit(among, truth[known] - middle)
        found.append(fit.predict(rbf_kernel(test.astype(float), train[known].astype(float), gamma=gamma)) + middle)
    return np.stack(found, axis=1)


def test_where_validation_spectra_are_too_few_the_first_networks_are_taken(survey, base, tmp_path) -> None:
    """Among 10 with labels nothing can be chosen; a single weight decay leaves fewer choices than networks."""
    few = pa.array(np.where(survey.split == "val", np.arange(len(survey.split)) % 7 == 0, True))
    part = replace(survey, sample=survey.sample.filter(few))
    one = {**BRIEF["estimates"], "weight_decays": [1.0]}
    manifest = train(tmp_path, "few", part, base, how=settings(**{**BRIEF, "estimates": one}), encoding=ESTIMATING)
    said = manifest["estimates"]
    assert said["val_error"] is None and said["tried"] == 4
    assert [each["components"] for each in said["networks"]] == [4, 8, 2, 4]
