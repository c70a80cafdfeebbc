"""The picture of the README: a spectrum, the question, the model's answer, and the catalogue's parameters.

python workflow/scripts/draw_overview.py docs/examples/mock-star.fits.gz \
    --model results/demo/models/atmosphere/llm-patches/demo --catalog results/demo/catalog/lamost.parquet \
    --out docs/images/overview
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits
from matplotlib.axes import Axes

import starglot
from starglot.config.recipes import Recipe
from starglot.config.tasks import Task
from starglot.inference.single import read_singles
from starglot.labels import LABELS
from starglot.language.prompts import head
from starglot.plots.style import save, styled
from starglot.spectra.resample import wavelength_grid
from starglot.tables import FLUX_SCALE, read_json

_WIDTH = 52  # characters of a line of text
_LINES = {"H": (4341.7, 4862.7, 6564.6), "Ca": (3934.8, 3969.6, 8544.4), "Mg": (5176.6,), "Na": (5895.6,)}


def draw(axes: Axes, wave: np.ndarray, flux: np.ndarray) -> None:
    """The cleaned spectrum, with its strongest lines."""
    axes.plot(wave, flux, color="#2f6db3", linewidth=0.6)
    axes.set(xlim=(wave[0], wave[-1]), ylim=(0, 1.22), xlabel="wavelength (A)", ylabel="flux / greatest flux")
    for name, centres in _LINES.items():
        for centre in centres:
            top = flux[np.abs(wave - centre) < 40].max() + 0.03
            axes.plot([centre, centre], [top, top + 0.04], color="0.4", linewidth=0.7)
            axes.text(centre, top + 0.05, name, ha="center", fontsize=7, color="0.3")


def written(axes: Axes, title: str, text: str, place: float, colour: str) -> None:
    """A titled block of text at a height of the axes."""
    axes.text(0.0, place, title, fontsize=9, fontweight="bold", color=colour, va="top")
    axes.text(0.0, place - 0.085, text, fontsize=8, va="top", linespacing=1.35, family="DejaVu Sans Mono")


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectrum", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--catalog", type=Path, required=True, help="catalogue, with the spectrum's obsid")
    parser.add_argument("--out", type=Path, required=True, help="name of the picture, without an ending")
    given = parser.parse_args()
    model = starglot.load(given.model)
    recipe = Recipe.model_validate(model.about["recipe"])
    task = Task.model_validate(model.about["question"])
    (single,) = read_singles(given.spectrum, recipe)
    rows = model.predict(given.spectrum).to_dict("records")
    catalog = pq.read_table(given.catalog)
    known = catalog.filter(pc.equal(catalog["obsid"], fits.getval(given.spectrum, "OBSID"))).to_pylist()[0]
    wording = textwrap.fill(head(task, recipe.wavelength, task.labels).strip(), _WIDTH)
    count = read_json(given.model / "manifest.json")["counts"]["spectrum_tokens"]
    tokens = f"<flux> [{count} tokens, made from the spectrum] </flux>"
    answer, truth = [f"class   {rows[0]['class']}"], [f"class   {known['class']}"]
    for row in rows:
        label = LABELS[row["label"]]
        number = f"{label.display:<8}{{:.{label.decimals}f}}"
        answer.append(f"{number.format(row['value'])} ± {row['sigma']:.{label.decimals}f} {label.unit}")
        truth.append(f"{number.format(known[row['label']])} {label.unit}")
    with styled():
        made, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.2), width_ratios=(1.25, 1))
        assert single.flux is not None, single.problem
        draw(left, wavelength_grid(recipe.wavelength), single.flux / FLUX_SCALE)
        left.set_title("1  a spectrum goes in (of a simulated star)", loc="left", fontweight="bold")
        right.axis("off")
        written(right, "2  with a question", f"{wording}\n{tokens}", 1.05, "#2f6db3")
        written(right, "3  the model answers", "\n".join(answer), 0.44, "#8c1515")
        right.text(0.62, 0.44, "the catalogue has", fontsize=9, fontweight="bold", color="0.35", va="top")
        right.text(
            0.62,
            0.355,
            "\n".join(truth),
            fontsize=8,
            va="top",
            linespacing=1.35,
            family="DejaVu Sans Mono",
            color="0.35",
        )
        save(made, given.out)


if __name__ == "__main__":
    main()
