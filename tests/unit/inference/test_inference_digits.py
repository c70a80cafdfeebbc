"""The digit tree against numbers of which the distribution is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from starglot.inference.digits import SYMBOLS, DigitTree, expand


class Calibrated:
    """A perfect model of numbers drawn from N(mean, sigma) and rounded: next-symbol probabilities by counting."""

    def __init__(self, mean: float, sigma: float, decimals: int):
        unit = 10.0**-decimals
        reach = math.ceil(6 * sigma / unit)
        ticks = round(mean / unit) + np.arange(-reach, reach + 1)
        weight = norm.cdf((ticks + 0.5) * unit, mean, sigma) - norm.cdf((ticks - 0.5) * unit, mean, sigma)
        self.weight: dict[str, float] = {}
        for tick, w in zip(ticks, weight, strict=True):
            self.weight[f"{tick * unit:.{decimals}f}" if tick else f"{0:.{decimals}f}"] = float(w)
        self.calls = 0
        self.mass: dict[str, float] = {}
        for text, w in self.weight.items():
            for n in range(len(text) + 1):
                self.mass[text[:n]] = self.mass.get(text[:n], 0.0) + w

    def __call__(self, prefixes: list[str]) -> np.ndarray:
        self.calls += len(prefixes)
        rows = [
            [self.mass.get(p + s, 0.0) if s else self.weight.get(p, 0.0) for s in SYMBOLS] / np.float64(self.mass[p])
            for p in prefixes
        ]
        return np.array(rows)

    @property
    def greedy(self) -> str:
        prefix = ""
        while True:
            symbol = SYMBOLS[int(np.argmax(self([prefix])[0]))]
            if not symbol:
                return prefix
            prefix += symbol

    @property
    def moments(self) -> tuple[float, float]:
        values = np.array([float(t) for t in self.weight])
        w = np.array(list(self.weight.values()))
        mean = (w * values).sum() / w.sum()
        return mean, math.sqrt((w * (values - mean) ** 2).sum() / w.sum())


def digitwise(model: Calibrated) -> float:
    """The shortcut: the expectation of each digit, given the greedy digits before it."""
    text, value = model.greedy, 0.0
    whole = len(text.partition(".")[0])
    for i in range(len(text)):
        p = model([text[:i]])[0][:10]
        value += float(p @ np.arange(10) / p.sum()) * 10.0 ** (whole - 1 - i)
    return value


def test_a_star_at_5000_k_keeps_both_leading_digits():
    model = Calibrated(5000, 40, 0)
    result = expand(model, 0.01, like=model.greedy)
    assert abs(result.mean - 5000) < 2
    assert result.sigma == pytest.approx(40, rel=0.05)
    assert result.mass == pytest.approx(1, abs=1e-3)  # what is rarer than a hundredth of `prune` is left out
    assert result.quantiles([0.16, 0.5, 0.84]) == pytest.approx(norm.ppf([0.16, 0.5, 0.84], 5000, 40), abs=4)


def test_the_digitwise_shortcut_is_biased_there():
    wrong = [abs(digitwise(Calibrated(mean, 40, 0)) - mean) for mean in (4990, 5000, 5010)]
    assert min(wrong) > 80  # more than two sigma, where the tree is within 2 K


@pytest.mark.parametrize("mean", [9990, 10000, 10020, 10050])
@pytest.mark.parametrize("sigma", [15, 40, 150])
def test_numbers_of_four_and_of_five_digits(mean, sigma):
    model = Calibrated(mean, sigma, 0)
    result = expand(model, 0.01, like=model.greedy)
    assert abs(result.mean - mean) < max(2, 0.05 * sigma)
    assert result.sigma == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("mean", [-0.3, -0.05, 0.0, 0.02, 0.98])
def test_a_sign_in_doubt(mean, fixed):
    model = Calibrated(mean, 0.1, 2)
    result = expand(model, 0.01, decimals=2 if fixed else None, like=model.greedy)
    true_mean, true_sigma = model.moments
    assert result.mean == pytest.approx(true_mean, abs=0.005)
    assert result.sigma == pytest.approx(true_sigma, rel=0.05)


def test_fixed_decimals_need_no_look_at_the_end():
    free, fixed = Calibrated(0.1, 0.1, 2), Calibrated(0.1, 0.1, 2)
    a, b = expand(free, 0.005, like="0.10"), expand(fixed, 0.005, like="0.10", decimals=2)
    assert a.mean == pytest.approx(b.mean, abs=1e-6)
    assert fixed.calls < free.calls / 2


def test_a_certain_number_has_no_width():
    model = Calibrated(4828, 1e-6, 0)
    result = expand(model, 0.01)
    assert (result.mean, result.sigma) == (4828, 0)
    assert result.quantiles([0.5]) == pytest.approx([4828])


def test_text_that_is_no_number_is_taken_out():
    model = Calibrated(5000, 40, 0)
    result = expand(lambda prefixes: 0.9 * model(prefixes), 0.005, like="5000")
    assert result.mass < 0.95
    assert abs(result.mean - 5000) < 5
    assert expand(lambda prefixes: np.zeros((len(prefixes), len(SYMBOLS))), 0.01) is None


def test_numbers_no_star_can_have_are_no_answers():
    good = Calibrated(-0.2, 0.1, 2)

    def now_and_then_absurd(prefixes):
        rows = np.zeros((len(prefixes), len(SYMBOLS)))
        for row, prefix in zip(rows, prefixes, strict=True):
            if prefix in good.mass:
                row[:] = good([prefix])[0]
            elif prefix and "4828.".startswith(prefix):
                row[SYMBOLS.index("4828."[len(prefix)] if prefix != "4828." else "0")] = 1
            elif prefix.startswith("4828."):
                row[0] = 1
        rows *= 0.95
        if prefixes == [""]:
            rows[0, 4] += 0.05
        return rows

    free = expand(now_and_then_absurd, 0.01, decimals=2, like="-0.20")
    held = expand(now_and_then_absurd, 0.01, decimals=2, like="-0.20", limits=(-6, 2))
    assert free.sigma > 100
    assert held.sigma == pytest.approx(0.1, rel=0.05)
    assert held.mean == pytest.approx(-0.2, abs=0.01)
    assert held.mass < free.mass


def test_impossible_orders_are_not_followed():
    tree = DigitTree(0.001)
    seen: set[str] = set()
    while tree.frontier:
        seen.update(tree.frontier)
        tree.grow(np.full((len(tree.frontier), len(SYMBOLS)), 1 / len(SYMBOLS)))
    assert not {p for p in seen if p.count(".") > 1 or "-" in p[1:] or p.startswith((".", "-."))}


@settings(max_examples=25)
@given(
    mean=st.floats(2500, 12000),
    sigma=st.floats(8, 400),
    prune=st.sampled_from([0.003, 0.01, 0.03]),
    nodes=st.sampled_from([16, 128]),
)
def test_moments_for_any_temperature(mean, sigma, prune, nodes):
    model = Calibrated(mean, sigma, 0)
    result = expand(model, prune, like=model.greedy, max_nodes=nodes)
    true_mean, true_sigma = model.moments
    assert abs(result.mean - true_mean) < max(0.5, 0.1 * sigma)
    assert result.sigma == pytest.approx(true_sigma, rel=0.1)
    assert sum(leaf.probability for leaf in result.leaves) == pytest.approx(result.mass)
    assert 0.999 < result.mass < 1.0001
    low, high = result.quantiles([0.1587, 0.8413])
    assert (high - low) / 2 == pytest.approx(sigma, rel=0.15, abs=1)


def test_order_of_calls_does_not_matter():
    once = expand(Calibrated(5000, 40, 0), 0.01, like="5000")
    assert once == expand(Calibrated(5000, 40, 0), 0.01, like="5000")
