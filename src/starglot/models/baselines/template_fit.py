"""Redshifts by least squares: templates made of the training galaxies, fitted at every trial redshift.

The way of survey pipelines (SDSS: Bolton et al. 2012): at each redshift the best sum of a few templates, and the
redshift at which it is best.  What is asked of a pipeline comes out with it: an error from the curvature of chi2, the
second-best minimum, and the gap to it.  Cleaned spectra carry no errors, so that the noise is what the best fit
leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.kinds.nearest import TemplateFit
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.models.baselines.files import load
from starglot.models.baselines.predict import Answer
from starglot.models.baselines.rows import Rows
from starglot.models.baselines.scatter import rms
from starglot.models.redshifts import Doubt, doubt_of, no_doubt
from starglot.spectra.rebin import binned
from starglot.spectra.resample import stored_grid
from starglot.spectra.sample_flux import ShardPath, blocks

#: Spectra that are fitted together.
_TOGETHER = 4096
#: Trial redshifts go beyond those of the training galaxies by this part of their range.
_MARGIN = 0.03


@dataclass(frozen=True)
class Templates:
    """vectors (k, pixels) on a grid at rest that is even in log10 of the wavelength, from ``start`` in steps of
    ``step``; z: trial redshifts (m,)."""

    vectors: np.ndarray
    start: float
    step: float
    z: np.ndarray

    def at(self, z: float, wave: np.ndarray, width: int) -> np.ndarray:
        """(k, bins) the templates at redshift z on the observed grid ``wave`` (A), in bins of ``width`` values."""
        place = (np.log10(wave / (1 + z)) - self.start) / self.step
        left = np.clip(place.astype(int), 0, self.vectors.shape[1] - 2)
        part = np.clip(place - left, 0, 1)
        seen = self.vectors[:, left] * (1 - part) + self.vectors[:, left + 1] * part
        count = len(wave) // width
        return np.asarray(seen[:, : count * width].reshape(len(seen), count, width).mean(axis=2))


@dataclass(frozen=True)
class Redshifts:
    """What a fit says of n spectra: redshift and its error, arrays (n,), and what speaks against it."""

    z: np.ndarray
    z_err: np.ndarray
    doubt: Doubt


def make_templates(
    flux: np.ndarray, z: np.ndarray, wave: np.ndarray, vectors: int, step: float, rounds: int
) -> Templates:
    """Templates of galaxies (n, pixels) with known redshifts (n,) on the grid ``wave`` (A).

    Each galaxy, at unit mean, is brought to rest, where it covers a part of the grid; what it does not cover is left
    open.  Vectors and amplitudes are fitted in turn to what there is (Bailey 2012, with weights 0 and 1).
    Trial redshifts are those of the galaxies and a little beyond, even in log10(1 + z).
    """
    low, high = float(z.min()), float(z.max())
    low, high = max(-0.01, low - _MARGIN * (high - low)), high + _MARGIN * (high - low)
    trial = 10 ** np.arange(np.log10(1 + low), np.log10(1 + high) + step, step) - 1
    start = float(np.log10(wave[0] / (1 + trial[-1])))
    # As fine as the grid where it is finest.
    fine = float(np.log10(wave[-1] / wave[-2]))
    rest = start + fine * np.arange(int((np.log10(wave[-1] / (1 + trial[0])) - start) / fine) + 2)
    data, weight = np.zeros((len(flux), len(rest)), np.float32), np.zeros((len(flux), len(rest)), np.float32)
    for row, (values, redshift) in enumerate(zip(flux, z, strict=True)):
        own = np.log10(wave / (1 + redshift))
        data[row] = np.interp(rest, own, values / max(values.mean(), 1e-6))
        weight[row] = (rest >= own[0]) & (rest <= own[-1])
    data *= weight
    mean = data.sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
    rng = np.random.default_rng(0)
    basis = np.concatenate([mean[None], rng.standard_normal((vectors - 1, len(rest))).astype(np.float32)])
    basis = _orthonormal(basis)
    for _ in range(rounds):
        amplitude = _solved(basis, data, weight)
        basis = _orthonormal(_solved(amplitude.T, data.T, weight.T).T.astype(np.float32))
    return Templates(basis.astype(np.float64), start, fine, trial)


def _solved(basis: np.ndarray, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(n, k) amplitudes of ``basis`` (k, m) in rows (n, m), least squares over the weights; a little held to 0."""
    k = len(basis)
    pairs = (basis[:, None] * basis[None]).reshape(k * k, -1)
    gram = (weight @ pairs.T).reshape(-1, k, k).astype(np.float64)
    trace = np.trace(gram, axis1=1, axis2=2)
    gram += (1e-6 * trace / k + 1e-12)[:, None, None] * np.eye(k)
    right = (data @ basis.T).astype(np.float64)
    return np.asarray(np.linalg.solve(gram, right[..., None])[..., 0], np.float32)


def _orthonormal(basis: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.qr(basis.T.astype(np.float64))[0].T, np.float32)


def fit_redshifts(templates: Templates, flux: np.ndarray, wave: np.ndarray, width: int) -> Redshifts:
    """Redshifts of spectra (n, bins), means of ``width`` values of the grid ``wave`` (A)."""
    n, trial = len(flux), templates.z
    data = np.asarray(flux, np.float64)
    power = (data**2).sum(axis=1)
    chi2 = np.empty((n, len(trial)))
    for place, z in enumerate(trial):
        seen = templates.at(float(z), wave, width)
        basis = np.linalg.qr(seen.T)[0]  # an orthonormal basis: the fit is a projection
        chi2[:, place] = power - ((data @ basis) ** 2).sum(axis=1)
    best = chi2.argmin(axis=1)
    free = max(data.shape[1] - templates.vectors.shape[0] - 1, 1)
    least = chi2[np.arange(n), best]
    noise = np.maximum(least / free, 1e-12)
    z, curvature = _parabola(trial, chi2, best)
    z_err = np.sqrt(2 * noise / np.where(curvature > 0, curvature, np.nan))
    return Redshifts(z, z_err, doubt_of(trial, chi2 / noise[:, None], z))


def _parabola(trial: np.ndarray, chi2: np.ndarray, best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of the minimum and second derivative of chi2 (n, m) there, by its lowest value and both neighbours."""
    at = np.clip(best, 1, len(trial) - 2)
    rows = np.arange(len(chi2))
    left, middle, right = (chi2[rows, at + step] for step in (-1, 0, 1))
    step = (trial[at + 1] - trial[at - 1]) / 2
    bend = left - 2 * middle + right
    shift = np.where(bend > 0, (left - right) / np.where(bend > 0, 2 * bend, 1), 0.0)
    inside = (best > 0) & (best < len(trial) - 1)
    return trial[best] + np.where(inside, np.clip(shift, -1, 1) * step, 0.0), np.maximum(bend, 0) / step**2


def fit_template_fit(
    settings: TemplateFit, train: Rows, val: Rows, shard_path: ShardPath
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
    """Templates of the training galaxies, and how well they do on validation rows.

    Returns tensors vectors (k, pixels), trial (m,) and rest (start and step of log10 of the wavelength), wavelength
    (grid,; A), and facts.
    Raises StarglotError for a task of other labels than one, which is taken for the redshift.
    """
    if train.truth.shape[1] != 1:
        raise StarglotError(
            f"templates are fitted over one label, the redshift; the task has {train.truth.shape[1]}",
            where="a model of kind template_fit",
            allowed="a task whose one label is redshift",
            todo="take the model out of run: models, or the task's other labels",
        )
    known = np.flatnonzero(np.isfinite(train.truth[:, 0]))[: settings.galaxies]
    rows = train.where(known)
    wave = stored_grid(shard_path(str(rows.shard[0])))
    flux = np.empty((len(rows), len(wave)), np.float32)
    for at, stored in blocks(rows, shard_path, "templates"):
        flux[at] = binned(stored, 1)
    count = min(settings.vectors, len(rows))
    made = make_templates(flux, rows.truth[:, 0], wave, count, settings.step, settings.rounds)
    residual = np.full(val.truth.shape, np.nan)
    for at, fitted in _fitted(made, val, shard_path, wave, settings.bin):
        residual[at, 0] = fitted.z - val.truth[at, 0]
    weights = {
        "vectors": made.vectors,
        "trial": made.z,
        "rest": np.array([made.start, made.step]),
        "wavelength": wave,
    }
    return weights, {"templates": [count], "galaxies": [len(rows)], "val_rmse": [rms(residual[:, 0])]}


def read_template_fit(settings: TemplateFit, task: Task, folder: Path, rows: Rows, shard_path: ShardPath) -> Answer:
    """Redshifts with the errors of their fits; none told of the group."""
    weights, _ = load(folder, settings.kind, task)
    start, step = (float(each) for each in weights["rest"])
    templates = Templates(weights["vectors"], start, step, weights["trial"])
    value, sigma = np.full((len(rows), 1), np.nan), np.full((len(rows), 1), np.nan)
    doubt = no_doubt(len(rows))
    for at, fitted in _fitted(templates, rows, shard_path, weights["wavelength"], settings.bin):
        value[at, 0], sigma[at, 0] = fitted.z, fitted.z_err
        doubt.second[at], doubt.gap[at], doubt.warning[at] = vars(fitted.doubt).values()
    return Answer(value, sigma, np.full(len(rows), -1), np.full(len(rows), np.nan), doubt)


def _fitted(
    templates: Templates, rows: Rows, shard_path: ShardPath, wave: np.ndarray, width: int
) -> Iterator[tuple[np.ndarray, Redshifts]]:
    """Places of rows and what their fits say, several shards at a time: for these templates are shifted once."""
    places: list[np.ndarray] = []
    held: list[np.ndarray] = []
    for at, stored in blocks(rows, shard_path, "template fit"):
        places.append(at)
        held.append(binned(stored, width))
        if sum(map(len, held)) >= _TOGETHER:
            yield np.concatenate(places), fit_redshifts(templates, np.concatenate(held), wave, width)
            places, held = [], []
    if held:
        yield np.concatenate(places), fit_redshifts(templates, np.concatenate(held), wave, width)
