"""Networks that were carried over, opened to be looked into: loss landscapes and saliency of each strategy."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from torch import nn

from starglot.config.kinds.registry import KINDS
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.evaluation.cells import LEAST_STARS
from starglot.evaluation.rows import values_of
from starglot.evaluation.transfer.landscape import STEPS, landscape, offsets, trained_part
from starglot.evaluation.transfer.saliency import LINES, at_rest, line_sensitivity, saliency
from starglot.evaluation.transfer.tables import METAL_POOR, SUBSETS
from starglot.models.baselines.features import prepared
from starglot.models.baselines.reading import Scales, open_network
from starglot.models.baselines.rows import Rows, rows_of
from starglot.spectra.rebin import binned
from starglot.spectra.resample import wavelength_grid
from starglot.spectra.sample_flux import ShardPath, blocks, evenly_spread
from starglot.surveys.index import cleaned_spectra

#: Pairs of directions (the paper has five), and test spectra that are looked at, at most.
DIRECTIONS, MOST = 5, 1000

LANDSCAPE_COLUMNS: tuple[str, ...] = (
    *("task", "strategy", "model", "size", "label", "stars", "n", "directions", "parameters"),
    *("loss", "least_loss", "x", "y", "distance"),
)
LANDSCAPE_NOTES: tuple[str, ...] = (
    "Mean squared error of test spectra where the weights that the strategy has trained are moved along two random "
    f"directions, on {STEPS} x {STEPS} points from -3 to 3; 1 moves the weights of each output neuron by their norm.",
    "loss: at what was learnt. least_loss: the least of all points, at (x, y), 'distance' from it; 0 says that no "
    "point is better. A row for each pair of directions.",
    "Residual: weights of the head; LoRA: both factors of each update, a row of the first being a vector of the rank "
    "and of the second an output; full and scratch: all weights that the label depends on. Biases stay.",
)
SALIENCY_COLUMNS: tuple[str, ...] = (
    *("task", "strategy", "model", "size", "label", "stars", "n", "n_stars", "species", "line"),
    *(f"{name}{end}" for name in ("sensitivity", "influence") for end in ("", "_lo", "_hi")),
    "interval",
)
SALIENCY_NOTES: tuple[str, ...] = (
    "Sensitivity: |d label / d flux| within 3 A of the line, in units of its median over the whole spectrum; the "
    "median over test spectra, brought to rest by the catalogue's velocities. Lines: vacuum wavelengths (A).",
    "Influence: the same of |d label / d flux| times the scatter of the flux between these spectra at each pixel. A "
    "label may answer strongly to a pixel that hardly differs from star to star, and be told by others.",
    "A network may know a label by lines of other elements: sensitivity to a line is no measure of an abundance.",
)


@dataclass(frozen=True)
class Opened:
    """A network with the test spectra that it is looked at with.

    features: (n, inputs) flux as the network is given it; wavelength: (inputs,) A, of its bins.
    """

    task: str
    model: str
    size: str
    strategy: str
    folder: Path
    network: nn.Module
    scales: Scales
    labels: Sequence[str]
    rows: Rows
    features: np.ndarray
    wavelength: np.ndarray

    def known(self, label: str) -> np.ndarray:
        """(n,) whether a spectrum has the label."""
        return np.asarray(np.isfinite(self.rows.truth[:, self.labels.index(label)]))

    def subsets(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names of the subsets of stars, and which spectra are in them."""
        every = np.ones(len(self.rows), bool)
        if "feh" not in self.labels:
            yield SUBSETS[0], every
            return
        feh = self.rows.truth[:, self.labels.index("feh")]
        with np.errstate(invalid="ignore"):
            yield from zip(SUBSETS, (every, feh < METAL_POOR, feh >= METAL_POOR), strict=True)


def open_carried(
    folder: Path,
    settings: Mapping[str, Any],
    strategy: str,
    task: Task,
    sample: pa.Table,
    labels: pa.Table,
    shard_path: ShardPath,
    grid: np.ndarray,
) -> Opened:
    """The network in a model's ``folder`` (.../{task}/{model}/{size}) with test spectra of its ``sample``.

    settings: the model's, as in the configuration; labels: obsid, shard and labels of at least these; grid: the
    recipe's wavelengths (A).
    """
    model = KINDS[settings["kind"]].settings.model_validate(settings)
    test = sample.filter(pc.equal(sample["split"], "test")).sort_by("obsid")
    test = test.take(evenly_spread(len(test), MOST))
    rows = rows_of(task, test, labels)
    network, scales, _ = open_network(model, task, folder, rows.outputs)  # type: ignore[arg-type]
    features = np.empty((len(rows), len(scales.input_shift)), np.float32)
    width = model.bin  # type: ignore[attr-defined]
    for at, flux in blocks(rows, shard_path, "flux"):
        features[at] = prepared(binned(flux, width), model)  # type: ignore[arg-type]
    whole = len(grid) // width
    wavelength = grid[: whole * width].reshape(whole, width).mean(axis=1)
    where, name, size = folder.parts[-3:]
    return Opened(where, name, size, strategy, folder, network, scales, task.labels, rows, features, wavelength)


def open_all(
    settings: Mapping[str, Any], models: Sequence[str], sample: str, labels: str, index: str
) -> Iterator[Opened]:
    """Networks by their manifests, each with test spectra of the sample, from the workflow's files.

    settings: ``task``, ``wavelength`` (the grid), ``models`` and ``strategies`` (name -> settings, name -> strategy).
    """
    rows, known = pq.read_table(sample), pq.read_table(labels)
    shard_path = cleaned_spectra(known, index).shard_path
    task, grid = (
        Task.model_validate(settings["task"]),
        wavelength_grid(Wavelength.model_validate(settings["wavelength"])),
    )
    for folder in (Path(manifest).parent for manifest in models):
        name = folder.parts[-2]
        yield open_carried(
            folder, settings["models"][name], settings["strategies"][name], task, rows, known, shard_path, grid
        )


def explained_arguments(command: ArgumentParser) -> ArgumentParser:
    """Declare what :func:`open_all` is given, and the outputs; returns ``command``."""
    command.add_argument("--models", nargs="+", required=True, help="manifests of the networks")
    command.add_argument("--sample", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--csv", required=True)
    command.add_argument("--png", required=True, help="the figure; an .svg comes beside it")
    return command


def landscapes(opened: Opened, label: str, seed: int = 0) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """(rows of LANDSCAPE_COLUMNS, subset -> (steps, steps) losses of the first pair of directions) of one label."""
    at, known = opened.labels.index(label), opened.known(label)
    trained = trained_part(opened.network, opened.strategy, opened.folder, at)
    names, chosen = zip(*((name, mine[known]) for name, mine in opened.subsets()), strict=True)
    features, truth = opened.scales.inputs(opened.features[known]), opened.rows.truth[known, at]
    scale = float(opened.scales.label_shift[at]), float(opened.scales.label_scale[at])
    rows: list[dict[str, Any]] = []
    first: dict[str, np.ndarray] = {}
    for number in range(DIRECTIONS):
        losses = landscape(opened.network, trained, features, truth, at, scale, chosen, seed + number)
        for name, mine, loss in zip(names, chosen, losses, strict=True):
            first.setdefault(name, loss)
            row: dict[str, Any] = {"task": opened.task, "strategy": opened.strategy, "model": opened.model}
            row |= {"size": opened.size, "label": label, "stars": name, "n": int(mine.sum())}
            row |= {"directions": number, "parameters": trained.parameters}
            if mine.any():
                y, x = np.unravel_index(int(np.argmin(loss)), loss.shape)
                place = offsets()[x], offsets()[y]
                row |= {"loss": loss[STEPS // 2, STEPS // 2], "least_loss": loss.min(), "x": place[0], "y": place[1]}
                row["distance"] = float(np.hypot(*place))
            rows.append(row)
    return rows, first


@dataclass(frozen=True)
class Sensitive:
    """Of test spectra at rest, each (n, inputs): |d label / d flux|, that times the flux's scatter between them, and
    flux; and which subsets they are in."""

    wavelength: np.ndarray
    saliency: np.ndarray
    influence: np.ndarray
    flux: np.ndarray
    subsets: Mapping[str, np.ndarray]


def sensitivities(
    opened: Opened,
    label: str,
    catalog: pa.Table,
    star: pa.Table,
    *,
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
) -> tuple[list[dict[str, Any]], Sensitive]:
    """(rows of SALIENCY_COLUMNS, saliency at rest) of one label, of spectra whose velocity is known.

    catalog: obsid and ``rv`` (km/s); without that column, all spectra as they were observed.  star: obsid, star_id.
    """
    velocity = values_of(catalog, "rv", opened.rows.obsid)
    if "rv" not in catalog.column_names:
        velocity = np.zeros(len(opened.rows))
    known = np.isfinite(velocity)
    at = pc.index_in(pa.array(opened.rows.obsid[known]), value_set=star["obsid"].combine_chunks())
    stars = np.unique(star["star_id"].combine_chunks().take(at).to_numpy(zero_copy_only=False), return_inverse=True)[
        1
    ]
    seen = opened.features[known]
    values = saliency(opened.network, opened.scales, seen, opened.labels.index(label))
    influence = values * seen.std(axis=0) if len(seen) else values
    values, influence, seen = (
        at_rest(each, opened.wavelength, velocity[known]) for each in (values, influence, seen)
    )
    subsets = {name: mine[known] for name, mine in opened.subsets()}
    found = Sensitive(opened.wavelength, values, influence, seen, subsets)
    rows = []
    for name, mine in found.subsets.items():
        count = len(np.unique(stars[mine]))
        for line in LINES:
            if not opened.wavelength[0] <= line.wavelength <= opened.wavelength[-1]:
                continue
            row: dict[str, Any] = {"task": opened.task, "strategy": opened.strategy, "model": opened.model}
            row |= {"size": opened.size, "label": label, "stars": name, "n": int(mine.sum()), "n_stars": count}
            row |= {"species": line.species, "line": f"{line.wavelength:.2f}", "interval": level}
            for what, of in (("sensitivity", found.saliency), ("influence", found.influence)):
                if count >= LEAST_STARS:
                    bounds = line_sensitivity(of[mine], found.wavelength, line, stars[mine], level, replicates, seed)
                    row |= dict(zip((what, f"{what}_lo", f"{what}_hi"), bounds, strict=True))
            rows.append(row)
    return rows, found


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame of these columns."""
    return pd.DataFrame.from_records(list(rows), columns=list(columns))
