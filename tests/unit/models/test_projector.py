"""Pixels, statistics and tokens of the projector against numpy and what the field knows of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from starglot.config.kinds.patch_llm import PixelAugment
from starglot.config.patches import Estimated, Patches
from starglot.errors import StarglotError
from starglot.models.estimates import Estimates
from starglot.models.projector import PROJECTORS, Projector, patch_starts, statistics_of
from starglot.spectra.continuum import smooth_continuum
from starglot.spectra.pixels import crossed, pixels, redraw_pixels

SIZE = 200
WAVE = 4000.0 + np.arange(SIZE)
QUIET = PixelAugment(noise=0, tilt=0, velocity=0)


def flux(n=40, size=SIZE, seed=0):
    """Noisy spectra with a broad shape and two lines."""
    rng = np.random.default_rng(seed)
    at = np.linspace(-1, 1, size)
    shape = 700 + 200 * rng.standard_normal((n, 1)) * at
    lines = sum(np.exp(-((at - place) ** 2) / 2e-4) for place in (-0.4, 0.3))
    depth = rng.uniform(0.1, 0.5, (n, 1))
    return np.rint(shape * (1 - depth * lines) + 8 * rng.standard_normal((n, size))).clip(1, 2000).astype(np.int16)


def settings(**changes):
    return Patches.model_validate({"form": "patches", "width": 50, "coarse": 5, "directions": 6, **changes})


# ---------------------------------------------------------------- pixels


def test_pixels_are_flux_over_a_smooth_continuum() -> None:
    """On a grid of one value a bin the continuum is the text encodings' own, to interpolation."""
    stored = flux(n=3, size=2000)
    fine, coarse = pixels(stored, 10, 4000.0 + np.arange(2000))
    ratio = stored / 1000 / smooth_continuum(stored / 1000)
    expected = np.arcsinh((ratio - 1) / 0.05) / np.arcsinh(20)
    assert np.abs(fine - expected.clip(-1, 1))[:, 100:-100].max() < 5e-3
    means = stored.reshape(3, 10, 200).mean(axis=2) / 1000
    assert coarse == pytest.approx(1 + np.log10(means) / 2, abs=1e-5)


def test_a_wide_gap_that_was_crossed_is_missing_and_noise_is_not() -> None:
    stored, wave = flux(n=4, size=400), 4000.0 + np.arange(400)
    assert not crossed(stored, wave).any()
    stored[1, 100:160] = np.rint(np.linspace(stored[1, 100], stored[1, 159], 60))
    stored[2, 200:220] = np.rint(np.linspace(stored[2, 200], stored[2, 219], 20))  # too short to be told
    found = crossed(stored, wave)
    assert found[1, 100:160].all() and found[1].sum() <= 64 and found.sum() == found[1].sum()
    fine, _ = pixels(stored, 5, wave)
    assert np.array_equal(np.isnan(fine), found)


def test_a_smooth_curve_without_noise_is_not_missing() -> None:
    curve = np.rint(600 + 300 * np.cos(np.linspace(0, 12, 1000)))[None].astype(np.int16)
    assert crossed(curve, 4000.0 + np.arange(1000)).mean() < 0.1


def test_a_shift_by_velocity_moves_a_line() -> None:
    wave = 4000.0 + np.arange(4000)
    line = -np.exp(-((wave - 6000) ** 2) / 50)[None].astype(np.float32)
    rng = np.random.default_rng(5)
    velocity = 300 * np.random.default_rng(5).standard_normal(1)[0]
    moved, _ = redraw_pixels(
        line, np.zeros((1, 5), np.float32), QUIET.model_copy(update={"velocity": 300.0}), np.zeros(4000), wave, rng
    )
    expected = -np.exp(-((wave - 6000 * (1 + velocity / 299792.458)) ** 2) / 50)
    assert abs(velocity) > 20 and np.abs(moved[0] - expected).max() < 0.02


def test_noise_tilt_and_gaps_are_as_large_as_they_say() -> None:
    rng, rest = np.random.default_rng(1), np.zeros((2000, 50), np.float32)
    coarse = np.zeros((2000, 5), np.float32)
    augment = PixelAugment(noise=0.5, tilt=1.0, velocity=0, gaps=1.0, gap_width=9)
    fine, tilted = redraw_pixels(rest, coarse, augment, np.full(50, 2.0, np.float32), WAVE[:50], rng)
    assert np.nanstd(fine) == pytest.approx(0.5 * 2 * np.exp(0.5**2), rel=0.05)  # root mean square of a log-normal
    assert 0.06 < np.isnan(fine).mean() < 0.12  # a window of 5 on average, some beyond the end
    assert tilted[:, -1].std() == pytest.approx(0.05 * np.hypot(1, 1 / 3), rel=0.1)
    assert not np.isnan(rest).any() and not rest.any() and not coarse.any()


# ---------------------------------------------------------------- statistics


def test_statistics_are_numpys() -> None:
    fine, coarse = pixels(flux(n=60), 5, WAVE)
    found = statistics_of(fine, coarse, 6)
    assert found.mean == pytest.approx(fine.mean(axis=0, dtype=float))
    assert found.scatter == pytest.approx(fine.std(axis=0, dtype=float) + 1e-4)
    assert found.coarse_mean == pytest.approx(coarse.mean(axis=0))
    over = (fine - found.mean) / found.noise
    _, values, vectors = np.linalg.svd(over, full_matrices=False)
    assert found.variances == pytest.approx(values[:6] ** 2 / 60)
    assert np.abs((found.directions * vectors[:6]).sum(axis=1)) == pytest.approx(np.ones(6))


def test_noise_is_the_noise_and_not_the_lines() -> None:
    rng = np.random.default_rng(2)
    at = np.arange(SIZE)
    line = np.exp(-((at - 80) ** 2) / 20)
    truth = 0.02 + 0.02 * (at > 100)
    fine = (rng.standard_normal((400, 1)) * line + truth * rng.standard_normal((400, SIZE))).astype(np.float32)
    noise = statistics_of(fine, np.zeros((400, 5), np.float32), 4).noise
    away = np.abs(at - 100) > 10
    assert noise[away] == pytest.approx(truth[away], rel=0.2)


def test_missing_pixels_leave_statistics_of_the_others_alone() -> None:
    fine, coarse = pixels(flux(n=60), 5, WAVE)
    gone = fine.copy()
    gone[:30, 10] = np.nan
    found = statistics_of(gone, coarse, 6)
    assert found.mean[10] == pytest.approx(fine[30:, 10].mean(dtype=float)) and np.isfinite(found.directions).all()


def test_too_few_spectra_are_refused() -> None:
    with pytest.raises(StarglotError) as error:
        statistics_of(*pixels(flux(n=3), 5, WAVE), 6)
    assert error.value.allowed


# ---------------------------------------------------------------- patches and tokens


@pytest.mark.parametrize(
    ("size", "width", "step", "starts"),
    [
        (200, 50, 50, [0, 50, 100, 150]),
        (4901, 140, 140, list(range(0, 4761, 140))),  # the last value is left out
        (230, 50, 50, [0, 50, 100, 150, 180]),  # the last patch ends with the grid
        (200, 50, 40, [0, 40, 80, 120, 150]),
        (50, 50, 50, [0]),
    ],
)
def test_patches_reach_the_end_of_the_grid(size, width, step, starts) -> None:
    assert patch_starts(size, width, step) == starts


def test_a_patch_wider_than_the_grid_is_refused() -> None:
    with pytest.raises(StarglotError) as error:
        patch_starts(40, 50, 50)
    assert error.value.where == "encodings: width"


def made(size=SIZE, hidden=16, labels=0, **changes):
    fine, coarse = pixels(flux(n=60, size=size), 5, 4000.0 + np.arange(size))
    torch.manual_seed(0)
    return Projector(settings(**changes), size, hidden, 0.5, statistics_of(fine, coarse, 6), labels), fine, coarse


@pytest.mark.parametrize("channels", ["plain", "whitened", "both"])
@pytest.mark.parametrize("kind", list(PROJECTORS))
@pytest.mark.parametrize("size", [200, 230])
def test_a_token_for_each_patch_and_one_for_the_shape(kind, channels, size) -> None:
    projector, fine, coarse = made(size=size, projector=kind, channels=channels)
    tokens = projector(torch.from_numpy(fine[:7]), torch.from_numpy(coarse[:7]))
    assert tokens.shape == (7, len(patch_starts(size, 50, 50)) + 1, 16) and projector.tokens == tokens.shape[1]
    assert 0.2 < tokens.std().item() < 1.5  # about the size of the base's own tokens
    tokens.sum().backward()
    assert all(each.grad is not None for each in projector.parameters())


def test_a_map_of_each_patchs_own_is_a_matrix_product() -> None:
    projector, fine, coarse = made()
    tokens = projector(torch.from_numpy(fine[:3]), torch.from_numpy(coarse[:3])).detach().numpy()
    scaled = ((fine[:3] - projector.mean.numpy()) / projector.noise.numpy()).clip(-8, 8)
    weight, place = projector.map.weight.detach().numpy(), projector.place.detach().numpy()
    for patch in range(4):
        expected = scaled[:, 50 * patch : 50 * patch + 50] @ weight[patch] + place[patch]
        assert tokens[:, patch] == pytest.approx(expected, abs=1e-4)


def test_whitening_shrinks_strong_directions_and_leaves_weak_ones() -> None:
    projector, fine, _ = made(channels="whitened", whitening=1.0)
    over = (fine - projector.mean.numpy()) / projector.noise.numpy()
    whitened = projector.scaled(torch.from_numpy(fine))[:, 0].numpy()
    directions = projector.directions.numpy()
    before, after = ((rows @ directions.T).var(axis=0) for rows in (over, whitened))
    assert after[0] == pytest.approx(before[0] * 8 / (before[0] + 8), rel=0.05) and after[0] < 9 < before[0]
    rest = over - (over @ directions.T) @ directions
    assert whitened - (whitened @ directions.T) @ directions == pytest.approx(rest, abs=1e-2)


def test_plain_and_half_whitened_pixels_stand_side_by_side() -> None:
    """As a whole singular value decomposition has them: (8 / (variance + 8)) ^ (p / 2) is left of a direction."""
    projector, fine, _ = made(channels="both", whitening=0.5)
    plain, whitened = projector.scaled(torch.from_numpy(fine)).numpy().transpose(1, 0, 2)
    over = (fine - projector.mean.numpy()) / projector.noise.numpy()
    left, values, right = np.linalg.svd(over, full_matrices=False)
    kept = np.ones(len(values))
    kept[:6] = (8 / (values[:6] ** 2 / len(fine) + 8)) ** 0.25
    assert whitened == pytest.approx((left * (values * kept)) @ right, abs=2e-2)
    assert plain == pytest.approx(over.clip(-8, 8), abs=1e-4)
    assert kept[0] < 0.6 < kept[5], "a strong direction is shrunk, a weak one less"


def test_estimates_read_shrunk_coordinates_and_are_tokens_of_their_own() -> None:
    """Coordinates as a singular value decomposition has them, up to the sign: scatter by the square root of shrunk
    variance, one in the mean."""
    projector, fine, coarse = made(labels=3, estimates={"components": 6, "width": 8})
    inputs = torch.from_numpy(fine), torch.from_numpy(coarse)
    read = projector.estimated_from(*inputs).numpy()
    over = (fine - projector.mean.numpy()) / projector.noise.numpy()
    left, values, _ = np.linalg.svd(over, full_matrices=False)
    variance = values[:6] ** 2 / len(fine)
    scatter = np.sqrt(variance) * (8 / (variance + 8)) ** 0.25
    expected = left[:, :6] * np.sqrt(len(fine)) * scatter / np.sqrt(np.mean(scatter**2))
    assert np.abs(read[:, :6]) == pytest.approx(np.abs(expected), abs=3e-2)
    assert read[:, 6:] == pytest.approx((coarse - coarse.mean(axis=0)) / (coarse.std(axis=0) + 1e-3), abs=1e-2)
    tokens = projector(*inputs)
    assert tokens.shape[1] == projector.tokens == 5 + 3 and 0.2 < tokens[:, -3:].std().item() < 2.5
    tokens[:, -3:].sum().backward()
    assert projector.map.weight.grad.abs().max() == 0 < projector.estimates.written.grad.abs().max()
    assert all(weight.grad is None for weight in projector.estimates.networks.parameters()), (
        "it stays as it was taught"
    )


def test_an_estimate_is_the_mean_of_its_networks_and_written_alike_for_alike_values() -> None:
    """The token of 0.50 is nearer to that of 0.51 than to that of 0.55, which is nearer than that of 0.7."""
    torch.manual_seed(0)
    estimates = Estimates(Estimated(components=2, width=4, networks=2, kernels=None), coarse=0, labels=1, hidden=32)
    networks = []
    for _ in range(2):
        network = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.GELU(), torch.nn.Linear(4, 4), torch.nn.GELU())
        networks.append(network.append(torch.nn.Linear(4, 1)))
    estimates.learnt(networks, torch.tensor([0.5]), torch.tensor([0.2]))
    inputs = torch.linspace(-3, 3, 100).reshape(50, 2)
    one, other = (network(inputs) for network in networks)
    assert torch.allclose(estimates.fractions(inputs), 0.5 + 0.2 * (one + other) / 2, atol=1e-6)
    assert not torch.allclose(one, other)
    estimates.fractions = lambda value: value  # what follows is about how a value is written
    zero, near, far, farther = estimates(torch.tensor([[0.50], [0.51], [0.55], [0.70]]))[:, 0]
    assert 0 < (near - zero).norm() < (far - zero).norm() < (farther - zero).norm()


def test_fewer_spectra_than_components_leave_the_rest_empty() -> None:
    fine, coarse = pixels(flux(n=5), 5, WAVE)
    few = settings(estimates={"components": 9, "width": 8})
    found = Projector(few, SIZE, 16, 0.5, statistics_of(fine, coarse, 9), labels=1)
    read = found.estimated_from(torch.from_numpy(fine), torch.from_numpy(coarse))
    assert read.shape == (5, 14) and torch.isfinite(read).all() and not read[:, 5:9].any()


def test_a_missing_pixel_counts_as_its_mean_and_is_told() -> None:
    projector, fine, coarse = made()
    gone, mean = fine[:2].copy(), fine[:2].copy()
    gone[:, 60:85] = np.nan
    mean[:, 60:85] = projector.mean.numpy()[60:85]
    shape = torch.from_numpy(coarse[:2])
    one, other = (projector(torch.from_numpy(rows), shape) for rows in (gone, mean))
    assert torch.allclose(one, other, atol=1e-5)
    with torch.no_grad():
        projector.missing.fill_(1.0)
    told = (projector(torch.from_numpy(gone), shape) - other).mean(dim=2)
    assert told[0].tolist() == pytest.approx([0, 0.5, 0, 0, 0], abs=1e-5)


def test_what_a_projector_knows_travels_with_its_weights() -> None:
    changes = {"channels": "both", "estimates": {"components": 4, "width": 8}}
    projector, fine, coarse = made(labels=2, **changes)
    fresh = Projector(settings(**changes), SIZE, 16, 1.0, labels=2)
    fresh.load_state_dict(projector.state_dict())
    inputs = torch.from_numpy(fine), torch.from_numpy(coarse)
    assert torch.equal(projector(*inputs), fresh(*inputs))
