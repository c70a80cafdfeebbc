"""One look for every figure: sizes, markers that survive greyscale print, files whose bytes repeat."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

from starglot.evaluation.presentation import label_text
from starglot.labels import CLASSES
from starglot.tables import atomic_path

log = logging.getLogger(__name__)

_RC: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.2,
    # Without a salt matplotlib names SVG elements by chance, and the same figure has other bytes each time.
    "svg.hashsalt": "starglot",
}


@dataclass(frozen=True)
class ClassMark:
    """Colour and marker of a spectral class; the colours differ in lightness, the markers in shape."""

    colour: str
    marker: str


#: Blue to red as stars are, lightness 15 30 45 60 75 of 100 so that grey prints keep them apart.
CLASS_MARKS: dict[str, ClassMark] = dict(
    zip(
        CLASSES,
        (
            ClassMark("#10206b", "^"),
            ClassMark("#2f6db3", "s"),
            ClassMark("#e0b030", "o"),
            ClassMark("#e07a3c", "D"),
            ClassMark("#8c1515", "v"),
        ),
        strict=True,
    )
)

_SNR_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

#: Letters of the groups' names that fit a legend of one row; columns of a longer one.
_LEGEND_ROW, _LEGEND_COLUMNS = 30, 3

#: More points than this are drawn as a density: markers would only hide each other.
DENSE = 3000

#: Dark is dense; perceived lightness falls monotonically, so grey prints read alike.
DENSITY_MAP = "YlGnBu"


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style of every figure, whatever the user's matplotlibrc; figures left open by an error are closed."""
    with plt.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        try:
            yield
        finally:
            plt.close("all")


def save(figure: Figure, stem: Path) -> None:
    """Write ``{stem}.png`` and ``{stem}.svg``, each whole or not at all, without dates: same input, same bytes."""
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        with atomic_path(stem.with_name(f"{stem.name}.{kind}")) as partial:
            figure.savefig(partial, format=kind, metadata=metadata)
        # The layout is half the time of a figure with many panels: the second file takes that of the first.
        figure.set_layout_engine("none")


def save_sentence(sentence: str, stem: Path, title: str) -> None:
    """Write, in place of a figure, a sentence that says why there is none, so that one model does not stop a run."""
    log.warning("%s: %s", stem.name, sentence)
    with styled():
        figure = plt.figure(figsize=(6.0, 1.6))
        figure.text(0.5, 0.4, sentence, ha="center", va="center", wrap=True)
        figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
        save(figure, stem)


def snr_axis(axis: Axes) -> None:
    """A logarithmic axis of S/N with ticks at round numbers."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(_SNR_TICKS))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_locator(NullLocator())


def marks_of(groups: Iterable[str]) -> dict[str, ClassMark]:
    """A mark for each group that occurs: a spectral class has its own, others take those in turn, by name."""
    named = set(groups)
    others = sorted(named - set(CLASS_MARKS), key=_number)
    own = {name: mark for name, mark in CLASS_MARKS.items() if name in named}
    return {**own, **dict(zip(others, cycle(CLASS_MARKS.values()), strict=False))}


def _number(name: str) -> tuple[str, int]:
    """'teff 10' after 'teff 9'."""
    stem, _, number = name.rpartition(" ")
    return (stem, int(number)) if number.isdigit() else (name, 0)


def class_legend(figure: Figure, classes: list[str], below: bool = False) -> None:
    """A row of class markers above the panels, or below where the title leaves no room."""
    handles = [
        Line2D([], [], linestyle="", marker=mark.marker, color=mark.colour, label=letter)
        for letter, mark in marks_of(classes).items()
    ]
    if handles:
        corner: Any = "lower right" if below else "upper right"
        place: Any = corner if figure.get_layout_engine() is None else f"outside {corner}"
        columns = len(handles) if sum(map(len, marks_of(classes))) <= _LEGEND_ROW else _LEGEND_COLUMNS
        figure.legend(handles=handles, loc=place, ncols=columns, title=None, handletextpad=0.1)


def axis_text(label: str, what: str) -> str:
    """An axis label with its unit: 'Teff, catalogue (K)'."""
    name, _, unit = label_text(label).rpartition(" (")
    return f"{name}, {what} ({unit}" if name else f"{label}, {what}"
