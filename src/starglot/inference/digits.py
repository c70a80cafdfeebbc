"""The distribution of a number that a model writes digit by digit: a pruned tree over signs, digits and the point.

The digit-wise shortcut (expected value of each digit along the greedy path) is biased: for a star at 5000 +- 40 K the
expected first digit is 4.5, while the digits after it are predicted given a "5".  The tree keeps both branches.
Nothing here knows a model: whoever drives the tree says what comes next after a prefix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: What may stand next in a number; the last, empty one ends it.
SYMBOLS: tuple[str, ...] = (*"0123456789", ".", "-", "")
_POINT, _MINUS, _END = 10, 11, 12

#: Relative to ``prune``: wide branches are followed down to this, and what is rarer behind its prefix is left out.
_RARE = 0.01
#: Cut branches of a lower joint probability are left out, too: a hundredth of a kelvin even when 10,000 K off.
_NEGLIGIBLE = 1e-6
#: A branch is wide when its digits leave more than so many units of the number's resolution open.
_WIDE = 10


def _allowed_next() -> np.ndarray:
    """(5, 13) what may follow: at the start, after the sign, in the integer part, after the point, among decimals."""
    allowed = np.zeros((5, len(SYMBOLS)), bool)
    allowed[:, :10] = True
    allowed[0, _MINUS] = True
    allowed[2, [_POINT, _END]] = True
    allowed[4, _END] = True
    return allowed


_ALLOWED = _allowed_next()


def _state(prefix: str) -> int:
    if not prefix:
        return 0
    if prefix == "-":
        return 1
    if "." not in prefix:
        return 2
    return 3 if prefix.endswith(".") else 4


def _shape(number: str) -> tuple[int, int]:
    """Digits before and behind the point."""
    whole, _, fraction = number.lstrip("-").partition(".")
    return len(whole), len(fraction)


@dataclass(frozen=True)
class Leaf:
    """An end of the tree.

    text: the number, or its first digits where the branch was cut; probability: joint, as the model gave it;
    value: the number, or the mean of all numbers that begin so; width: how far these reach (one unit of the last
    place for a whole number); variance: theirs, 0 for a whole number.
    """

    text: str
    probability: float
    value: float
    width: float
    variance: float


@dataclass(frozen=True)
class Distribution:
    """A number's distribution over the leaves of its tree, renormalised.

    mass: probability that the leaves hold before that; what is missing went to text that is no number.
    """

    leaves: tuple[Leaf, ...]
    mass: float
    mean: float
    sigma: float

    def quantiles(self, levels: Sequence[float] | np.ndarray) -> np.ndarray:
        """Values below which the fractions ``levels`` lie; each leaf is spread evenly over its width."""
        x, cumulative = self._cumulative
        below = np.asarray(levels, float) * cumulative[-1]
        values: np.ndarray = np.interp(below, np.maximum.accumulate(cumulative), x)
        return values

    def chances(self, edges: np.ndarray) -> np.ndarray:
        """(m,) probabilities of the cells between ``edges`` (m + 1,), ascending; leaves spread as above."""
        x, cumulative = self._cumulative
        return np.asarray(np.maximum(np.diff(np.interp(edges, x, cumulative)), 0.0) / cumulative[-1])

    @cached_property
    def _cumulative(self) -> tuple[np.ndarray, np.ndarray]:
        """Places where the density changes, and the probability below each."""
        centre = np.array([leaf.value for leaf in self.leaves])
        half = np.array([leaf.width for leaf in self.leaves]) / 2
        weight = np.array([leaf.probability for leaf in self.leaves]) / self.mass
        edges = np.concatenate([centre - half, centre + half])
        slope = np.concatenate([weight, -weight]) / np.tile(2 * half, 2)
        order = np.argsort(edges, kind="stable")
        x, density = edges[order], np.cumsum(slope[order])
        return x, np.concatenate([[0.0], np.cumsum(density[:-1] * np.diff(x))])


class DigitTree:
    """A tree that is grown level by level, so that one forward pass can serve many trees.

    Ask ``frontier`` for the prefixes to continue, give their next-symbol probabilities to :meth:`grow`, until it is
    empty; ``origin`` says for each prefix which entry of the frontier before, and which symbol, it came from.

    prune: branches of a lower joint probability are cut, those that are still wide (sign, leading digits: a cut
    "36" would put weight at 3650 K for a star at 3590 +- 3 K) only below a hundredth of it; decimals: a number with
    so many decimals is whole (None: the model must end it); like: a number of the expected shape (the greedy answer);
    resolution: smallest difference that matters (None: a unit of the last of ``decimals``, else of ``like``);
    limits: numbers outside are no answers and count no more than other text does; max_nodes: most prefixes a level;
    max_symbols: longest number.
    """

    def __init__(
        self,
        prune: float,
        *,
        decimals: int | None = None,
        like: str | None = None,
        resolution: float | None = None,
        limits: tuple[float, float] = (-math.inf, math.inf),
        max_nodes: int = 128,
        max_symbols: int = 16,
    ):
        self.prune, self.decimals, self.limits = prune, decimals, limits
        self.max_nodes, self.max_symbols = max_nodes, max_symbols
        places = decimals if decimals is not None else _shape(like or "")[1]
        self.resolution = 10.0**-places if resolution is None else resolution
        self.frontier: list[str] = [""]
        self.origin: list[tuple[int, int]] = [(-1, -1)]
        self._joint = np.ones(1)
        self._whole: dict[str, float] = {}
        self._cut: dict[str, float] = {}
        #: by beginning: probability and shape of the likeliest known number that begins so
        self._shapes: dict[str, tuple[float, tuple[int, int]]] = {}
        #: leading digits, with sign, of which the length is known
        self._sized: set[str] = set()
        if like is not None:
            self._remember(like, 0.0)

    def grow(self, probabilities: np.ndarray) -> None:
        """Go one symbol further.

        probabilities: (len(frontier), 13) next-symbol probabilities, in the order of SYMBOLS, given the prefix.
        A row need not sum to 1: what is missing is text that is no number.
        """
        states = [_state(prefix) for prefix in self.frontier]
        given = np.asarray(probabilities, float) * _ALLOWED[states]
        joint = self._joint[:, None] * given
        children: list[tuple[float, str, int, int]] = []
        for parent, symbol in np.argwhere(given >= _RARE * self.prune):
            prefix, probability = self.frontier[parent], float(joint[parent, symbol])
            text = prefix + SYMBOLS[symbol]
            if self._beyond(text):
                continue
            if symbol == _END or (self.decimals and _shape(text)[1] >= self.decimals):
                self._whole[text] = self._whole.get(text, 0.0) + probability
                if probability >= self.prune:
                    self._know(text, probability)
            else:
                children.append((probability, text, int(parent), int(symbol)))
        children.sort(key=lambda child: (-child[0], child[1]))
        live = [c for c in children if self._follow(c[1], c[0])][: self.max_nodes]
        live = sorted([*live, *self._spines(children, live)], key=lambda child: (child[2], child[3]))
        followed = {child[1] for child in live}
        for probability, text, _, _ in children:
            if text not in followed and probability >= _NEGLIGIBLE:
                self._cut[text] = probability
        self.frontier = [child[1] for child in live]
        self.origin = [(child[2], child[3]) for child in live]
        self._joint = np.array([child[0] for child in live])

    def _beyond(self, text: str) -> bool:
        """Whether every number that begins so is outside the limits: further digits only add to its size."""
        if text in ("", "-"):
            return False
        low, high = self.limits
        return float(text) < low if text.startswith("-") else float(text) > high

    def _follow(self, text: str, probability: float) -> bool:
        if len(text) >= self.max_symbols or probability < _RARE * self.prune:
            return False
        if probability >= self.prune:
            return True
        place = self._place(text)
        return place is None or place[1] > _WIDE * self.resolution * 1.001  # widths are powers of ten, and inexact

    def _know(self, number: str, probability: float) -> None:
        self._remember(number, probability)
        self._sized.add(self._leading(number))

    def _remember(self, number: str, probability: float) -> None:
        entry = probability, _shape(number)
        for n in range(len(number) + 1):
            self._shapes[number[:n]] = max(self._shapes.get(number[:n], entry), entry)

    def _likely_shape(self, text: str) -> tuple[int, int]:
        """Shape of the known number that shares the longest beginning with ``text``; without one, its own."""
        for n in range(len(text), -1, -1):
            if text[:n] in self._shapes:
                return self._shapes[text[:n]][1]
        return _shape(text)

    @staticmethod
    def _leading(text: str) -> str:
        return text[:2] if text.startswith("-") else text[:1]

    def _spines(
        self, children: list[tuple[float, str, int, int]], live: list[tuple[float, str, int, int]]
    ) -> list[tuple[float, str, int, int]]:
        """Improbable children that are followed all the same, so that a leading digit's place is known.

        9990 K and 10050 K differ in length: a branch cut at "10" is worth 1050 or 10500.  Per sign and leading digit
        the most probable continuation is therefore followed to its end, at the price of one node a level.
        """
        waiting = {self._leading(prefix) for prefix in self.frontier if prefix not in ("", "-")} - self._sized
        waiting -= {self._leading(child[1]) for child in live}
        if not waiting:
            return []
        best: dict[str, tuple[float, str, int, int]] = {}
        for child in children:  # the likeliest come first
            if len(child[1]) < self.max_symbols:
                best.setdefault(self._leading(child[1]), child)
        spines = []
        for group in sorted(waiting):
            ends = [(self._whole[n], n) for n in self.frontier if n in self._whole and self._leading(n) == group]
            probability, number = max(ends, default=(0.0, ""))
            if group in best and best[group][0] > probability:
                spines.append(best[group])
            elif number:
                self._know(number, probability)
        return spines

    def _place(self, text: str) -> tuple[float, float, float] | None:
        """Value, width and variance of the numbers that begin with a cut branch; None for a bare sign."""
        whole, fraction = _shape(text)
        if not whole:
            return None
        like_whole, like_fraction = self._likely_shape(text)
        last = 10.0**-fraction if "." in text else 10.0 ** max(like_whole - whole, 0)
        unit = min(last, 10.0 ** -(like_fraction if self.decimals is None else self.decimals))
        start = float(text.lstrip("-")) * (1.0 if "." in text else last)
        middle = start + (last - unit) / 2
        # The variance of evenly spaced numbers that are all as likely.
        return (-middle if text.startswith("-") else middle), last, (last**2 - unit**2) / 12

    def distribution(self) -> Distribution | None:
        """The number's distribution; None when the model gives no probability to any number.

        A branch cut before its end counts with the mean and variance of the numbers that begin with it: half a unit
        of its last place (less half a unit of the number's last place) above its digits.  How many digits would have
        followed is read off the known number that shares the longest beginning with it.
        """
        leaves = [Leaf(text, p, float(text) + 0.0, 10.0 ** -_shape(text)[1], 0.0) for text, p in self._whole.items()]
        for text, probability in [*self._cut.items(), *zip(self.frontier, self._joint, strict=True)]:
            place = self._place(text)
            if place is not None:
                leaves.append(Leaf(text, float(probability), *place))
        low, high = self.limits
        leaves = [leaf for leaf in leaves if low <= leaf.value <= high]
        if not leaves:
            return None
        weight = np.array([leaf.probability for leaf in leaves])
        value = np.array([leaf.value for leaf in leaves])
        mass = float(weight.sum())
        if not mass > 0:
            return None
        weight /= mass
        mean = float(weight @ value)
        variance = float(weight @ ((value - mean) ** 2 + [leaf.variance for leaf in leaves]))
        return Distribution(tuple(leaves), mass, mean, float(np.sqrt(variance)))


def expand(
    next_probabilities: Callable[[list[str]], np.ndarray],
    prune: float,
    *,
    decimals: int | None = None,
    like: str | None = None,
    resolution: float | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
    max_nodes: int = 128,
    max_symbols: int = 16,
) -> Distribution | None:
    """Grow a whole :class:`DigitTree` (see there for the parameters).

    next_probabilities: prefixes of a level -> (len(prefixes), 13) probabilities of SYMBOLS after each.
    """
    tree = DigitTree(
        prune,
        decimals=decimals,
        like=like,
        resolution=resolution,
        limits=limits,
        max_nodes=max_nodes,
        max_symbols=max_symbols,
    )
    while tree.frontier:
        tree.grow(next_probabilities(tree.frontier))
    return tree.distribution()


def grow_joined(tree: DigitTree, chances: np.ndarray, places: int) -> None:
    """Grow a tree that has come to the point of its number by ``places`` decimals at once.

    chances: (10 ** places,) probabilities of '000' to '999', as far as the model gives them to any.
    """
    while tree.frontier:
        rows = np.zeros((len(tree.frontier), len(SYMBOLS)))
        for row, prefix in enumerate(tree.frontier):
            digits = prefix.partition(".")[2]
            inside = chances.reshape(10 ** len(digits), -1)[int(digits or 0)]
            each = inside.reshape(10, -1).sum(axis=1)
            rows[row, :10] = each / inside.sum() if digits else each
        tree.grow(rows)
