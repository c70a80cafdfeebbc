"""Loss landscapes and saliency: against networks moved by hand, finite differences and tabulated wavelengths."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from refusals import refused
from starglot.config.kinds.baselines import Mlp
from starglot.config.transfer import NetworkTransfer
from starglot.evaluation.transfer.landscape import STEPS, direction, landscape, offsets, trained_part
from starglot.evaluation.transfer.saliency import LINES, Line, at_rest, line_sensitivity, saliency
from starglot.models.baselines.networks import build_network
from starglot.models.baselines.reading import Scales, read_features
from starglot.models.baselines.updates import load_updates, save_updates
from starglot.training.transfer import Updated, prepare

INPUTS, LABELS = 24, ["feh", "logg"]
SCALES = Scales(np.full(INPUTS, 0.9), np.full(INPUTS, 0.05), np.array([-0.4, 4.0]), np.array([0.3, 0.5]))


def network(strategy: str, folder: Path) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """A network that has gone on from another by a strategy, some steps far; and the weights of its start."""
    torch.manual_seed(4)
    start = build_network(Mlp(kind="mlp", hidden=[8, 6], dropout=0.0), INPUTS, 0, len(LABELS), 1).eval()
    before = {name: weight.clone() for name, weight in start.state_dict().items()}
    transfer = NetworkTransfer(strategy=strategy, rank=2, alpha=6, hidden=[5], layers=["of_label.*"])
    learner, finish = prepare(start, transfer, [], INPUTS, LABELS, 1)
    learner.train()
    weights = [weight for weight in learner.parameters() if weight.requires_grad]
    steps = torch.optim.SGD(weights, lr=0.05)
    inputs, target = torch.randn(40, INPUTS), torch.randn(40, len(LABELS))
    for _ in range(8):
        steps.zero_grad()
        ((learner(inputs)[1] - target) ** 2).mean().backward()
        steps.step()
    if isinstance(learner, Updated):
        save_updates(learner.updates(), folder)
    return finish().eval(), before


@pytest.fixture
def spectra() -> tuple[np.ndarray, np.ndarray]:
    """Flux (30, inputs) and true [Fe/H]."""
    random = np.random.default_rng(5)
    return random.normal(0.9, 0.05, size=(30, INPUTS)), random.normal(-0.5, 0.4, size=30)


def test_a_direction_moves_each_output_by_its_own_norm(tmp_path: Path) -> None:
    made, _ = network("full", tmp_path)
    trained = trained_part(made, "full", tmp_path, 0)
    drawn = direction(trained.weights, torch.Generator().manual_seed(0))
    assert set(drawn) == {name for name, _ in made.named_parameters() if name.startswith("of_label.0.")}
    for name, weight in trained.weights.items():
        if weight.dim() > 1:
            assert torch.allclose(drawn[name].norm(dim=1), weight.norm(dim=1))
        else:
            assert not drawn[name].any()
    again = direction(trained.weights, torch.Generator().manual_seed(0))
    assert all(torch.equal(again[name], drawn[name]) for name in drawn)


@pytest.mark.parametrize("strategy", ["full", "residual"])
def test_a_point_of_the_landscape_is_the_loss_of_a_network_moved_by_hand(strategy, spectra, tmp_path: Path) -> None:
    features, truth = spectra
    made, _ = network(strategy, tmp_path)
    trained = trained_part(made, strategy, tmp_path, 0)
    whole = {name: weight.clone() for name, weight in made.state_dict().items()}
    subsets = [np.ones(30, bool), truth < -0.5, np.zeros(30, bool)]
    scale = (SCALES.label_shift[0], SCALES.label_scale[0])
    losses = landscape(made, trained, SCALES.inputs(features), truth, 0, scale, subsets, seed=3, steps=7)
    assert losses.shape == (3, 7, 7) and np.isnan(losses[2]).all()
    generator = torch.Generator().manual_seed(3)
    across, up = direction(trained.weights, generator), direction(trained.weights, generator)
    at = offsets(7)
    for row, column in ((3, 3), (1, 5), (6, 0)):
        moved = copy.deepcopy(made)
        with torch.no_grad():
            for name, weight in moved.named_parameters():
                if name in across:
                    weight += float(at[column]) * across[name] + float(at[row]) * up[name]
        values = read_features(moved, SCALES, features, torch.device("cpu"))[0][:, 0]
        for place, chosen in enumerate(subsets[:2]):
            expected = ((values - truth)[chosen] ** 2).mean()
            assert losses[place, row, column] == pytest.approx(expected, rel=1e-4)
    assert all(torch.equal(weight, whole[name]) for name, weight in made.state_dict().items())
    if strategy == "residual":
        assert set(trained.weights) == {name for name, _ in made.named_parameters() if name.startswith("correction.")}


def test_updates_are_what_was_added_to_the_start(spectra, tmp_path: Path) -> None:
    made, before = network("lora", tmp_path)
    after = made.state_dict()
    updates = load_updates(tmp_path)
    assert len(updates) == 3 * len(LABELS)
    for name, update in updates.items():
        added = update.scale * update.b @ update.a
        assert update.scale == 3.0 and np.abs(added).max() > 1e-4
        assert np.allclose(after[f"{name}.weight"].numpy() - added, before[f"{name}.weight"].numpy(), atol=1e-6)
    trained = trained_part(made, "lora", tmp_path, 0)
    assert trained.parameters == sum(
        each.a.size + each.b.size for name, each in updates.items() if name.startswith("of_label.0.")
    )
    for name, weight in trained.of_network(trained.weights).items():
        assert torch.allclose(weight, after[name], atol=1e-6)
    # A step along b alone changes the weights by scale x step x a.
    name = "of_label.0.0"
    moved = {**trained.weights, f"{name}.b": trained.weights[f"{name}.b"] + 0.5}
    change = trained.of_network(moved)[f"{name}.weight"] - after[f"{name}.weight"]
    assert torch.allclose(change, 3.0 * 0.5 * trained.weights[f"{name}.a"].sum(dim=0).expand_as(change), atol=1e-5)
    features, truth = spectra
    scale = (SCALES.label_shift[0], SCALES.label_scale[0])
    losses = landscape(made, trained, SCALES.inputs(features), truth, 0, scale, [truth < 9], seed=0)
    values = read_features(made, SCALES, features, torch.device("cpu"))[0][:, 0]
    assert losses[0, STEPS // 2, STEPS // 2] == pytest.approx(((values - truth) ** 2).mean(), rel=1e-4)


def test_updates_that_are_not_there_are_named(tmp_path: Path) -> None:
    made, _ = network("lora", tmp_path)
    with refused(where=tmp_path / "nowhere" / "updates.safetensors", todo="snakemake train"):
        trained_part(made, "lora", tmp_path / "nowhere", 0)


@pytest.mark.parametrize("strategy", ["full", "residual"])
def test_saliency_is_the_slope_of_the_label(strategy, spectra, tmp_path: Path, monkeypatch) -> None:
    features, _ = spectra
    made, _ = network(strategy, tmp_path)
    made = made.double()  # for differences this small
    monkeypatch.setattr(Scales, "inputs", lambda self, given: (given - self.input_shift) / self.input_scale)
    found = saliency(made, SCALES, features[:6], 1)
    step = 1e-6
    for pixel in (0, 7, 23):
        more, less = features[:6].copy(), features[:6].copy()
        more[:, pixel] += step
        less[:, pixel] -= step
        with torch.no_grad():
            high, low = (made(torch.from_numpy(SCALES.inputs(each)))[1][:, 1].numpy() for each in (more, less))
        slope = np.abs(high - low) / (2 * step) * SCALES.label_scale[1]
        assert found[:, pixel] == pytest.approx(slope, rel=1e-3, abs=1e-8)


def test_lines_stand_where_sdss_has_them_in_vacuum() -> None:
    known = {"Ca K": 3934.78, "Ca H": 3969.59, "Hδ": 4102.89, "Hγ": 4341.68, "Hβ": 4862.68, "Hα": 6564.61}
    found = {line.name: line.wavelength for line in LINES if line.name in known}
    assert found == pytest.approx(known, abs=0.03)
    triplet = [line.wavelength for line in LINES if line.species == "Mg I"][1:]
    assert triplet == pytest.approx([5168.76, 5174.12, 5185.05], abs=0.03)


def test_at_rest_a_line_is_where_it_belongs() -> None:
    wavelength = 10 ** (3.602 + 1e-4 * np.arange(1462))
    velocity = np.array([-150.0, 0.0, 220.0])
    seen = np.exp(-0.5 * ((wavelength - 4862.68 * (1 + velocity[:, None] / 299792.458)) / 2.0) ** 2)
    moved = at_rest(seen, wavelength, velocity)
    assert wavelength[np.nanargmax(moved, axis=1)] == pytest.approx([4862.68] * 3, abs=0.6)
    assert np.isnan(moved[0, 0]) and np.isnan(moved[2, -1]) and not np.isnan(moved[1]).any()


def test_a_network_that_looks_at_one_line_is_sensitive_to_it() -> None:
    random = np.random.default_rng(6)
    wavelength = np.arange(4000.0, 5600.0)
    values = random.uniform(0.9, 1.1, size=(50, len(wavelength)))
    beta = next(line for line in LINES if line.name == "Hβ")
    values[:, np.abs(wavelength - beta.wavelength) <= 3] *= 8
    star = np.arange(50) // 2
    value, low, high = line_sensitivity(values, wavelength, beta, star, 0.95, 200, 0)
    assert low < value < high and value == pytest.approx(8, rel=0.05)
    elsewhere, *_ = line_sensitivity(values, wavelength, Line("Fe I", "", 5000.0), star, 0.95, 200, 0)
    assert elsewhere == pytest.approx(1, rel=0.05)
    assert np.isnan(line_sensitivity(values, wavelength, Line("Ca II", "", 3934.0), star, 0.95, 200, 0)).all()
