"""The region of training spectra: what lies in it, what does not, and how many good ones are lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from starglot.errors import StarglotError
from starglot.models.domain import QUANTILE, learn_domain, load_domain, save_domain, threshold

GRID = 980


def drawn(n: int, seed: int, noise: float = 10.0) -> np.ndarray:
    """Spectra (n, GRID), int16, of three shapes in any mixture."""
    rng, x = np.random.default_rng(seed), np.linspace(0, 1, GRID)
    shapes = np.stack([np.sin(3 * x), np.cos(7 * x), np.exp(-(((x - 0.5) / 0.02) ** 2))])
    return np.rint(600 + rng.normal(0, 60, (n, 3)) @ shapes + rng.normal(0, noise, (n, GRID))).astype(np.int16)


@pytest.mark.parametrize("spectra", [40, 400, 2000])
def test_few_of_those_like_them_are_outside(spectra: int) -> None:
    domain = learn_domain(drawn(spectra, 1), drawn(spectra // 4, 2))
    lost = (domain.excess(drawn(4000, 3)) > 1).mean()
    assert lost < (0.06 if spectra > 40 else 0.15)


def test_what_the_shapes_cannot_make_and_what_they_make_too_much_of_is_outside() -> None:
    domain = learn_domain(drawn(400, 1), drawn(200, 2))
    other = drawn(50, 4)
    other[:, 300:330] += 300  # a line where none has one
    assert (domain.excess(other) > 1).all()
    # Ten times the greatest mixture: nothing is left of it, and it is far away.
    far = drawn(50, 5)
    far = np.rint(600 + 10 * (far.astype(float) - 600)).clip(-30000, 30000).astype(np.int16)
    assert (domain.excess(far) > 1).all()
    assert (domain.excess(np.full((1, GRID), 1000, np.int16)) > 1).all()


@pytest.mark.parametrize("n", [12, 40, 99, 500])
def test_a_threshold_keeps_its_promise_however_few_there_are(n: int) -> None:
    rng = np.random.default_rng(n)
    beyond = [
        np.mean(np.exp(rng.normal(0, 0.3, 2000)) > threshold(np.exp(rng.normal(0, 0.3, n)))) for _ in range(300)
    ]
    assert np.mean(beyond) == pytest.approx(1 - QUANTILE, abs=0.007)


def test_a_handful_of_spectra_has_a_region_too() -> None:
    domain = learn_domain(drawn(6, 1), drawn(1, 2))
    assert len(domain.components) == 1 and np.isfinite(domain.excess(drawn(5, 3))).all()


def test_it_is_written_and_read_as_it_is(tmp_path: Path) -> None:
    domain, spectra = learn_domain(drawn(100, 1), drawn(30, 2)), drawn(20, 3)
    save_domain(domain, tmp_path / "domain.safetensors", {"spectra": 100, "snr": {"least": None}})
    again, facts = load_domain(tmp_path / "domain.safetensors")
    assert facts == {"spectra": 100, "snr": {"least": None}}
    np.testing.assert_array_equal(again.excess(spectra), domain.excess(spectra))


def test_too_few_spectra_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StarglotError) as raised:
        learn_domain(drawn(1, 1), drawn(0, 2))
    assert raised.value.allowed
    (tmp_path / "domain.safetensors").write_bytes(b"no tensors")
    with pytest.raises(StarglotError) as raised:
        load_domain(tmp_path / "domain.safetensors")
    assert raised.value.where == tmp_path / "domain.safetensors"
