"""Mock spectra of one star in which a single [X/Fe] changes: which abundances does a model read from their own lines?

In a survey every element follows the others, so a model that answers from [Fe/H] and alpha alone looks good.  Here
nothing but the lines of one element differs, and a model that does not look at them answers the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from starglot.config.root import Recipe
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.labels import ABUNDANCE_NAMES, CLASSES, LABELS
from starglot.mock.population import Population, draw_stars
from starglot.mock.survey import stellar
from starglot.mock.synthesis import Stellar, grid, rest_spectra, shifted
from starglot.spectra.clean import clean, resampling
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.tables import SAMPLE, spectra_table

#: The name of the prediction set, of its sample and of its spectra.
SET = "own_line"

#: Change of the one [X/Fe] to both sides (dex).
STEP = 0.3

#: Stars from here on are in no release.
_FIRST_STAR, _POOL = 50_000_000, 400
#: Stars whose spectra have lines of most elements: Teff (K), least [Fe/H].
_TEFF, _LEAST_FEH = (4300.0, 6300.0), -0.8
_FIRST_OBSID = 990_000_000_000


def base_stars(count: int, seed: int) -> Population:
    """The first ``count`` F to K stars of an endless list that no release draws from."""
    pool = draw_stars(_FIRST_STAR, _FIRST_STAR + _POOL, seed)
    inside = (pool.teff > _TEFF[0]) & (pool.teff < _TEFF[1]) & (pool.feh > _LEAST_FEH)
    return pool.take(np.flatnonzero(inside)[:count])


def own_line_tables(task: Task, recipe: Recipe, count: int, seed: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """(spectra, labels, sample) of ``count`` base stars x the task's labels x two steps, free of noise.

    spectra: of ``tables.spectra_schema``; labels: obsid, star_id, class, shard, ``changed`` (the label), ``step``
    (dex), and the true labels of the task; sample: ``tables.SAMPLE``, its split named :data:`SET`.

    A recipe that does not resample has its values by a cubic.  Raises StarglotError when the task asks for anything
    but abundances, and for a grid that the mock's spectra do not cover.
    """
    wrong = [label for label in task.labels if label not in ABUNDANCE_NAMES]
    if wrong:
        raise StarglotError(
            f"the own-line test has no {', '.join(wrong)}",
            where="question: labels",
            allowed=", ".join(ABUNDANCE_NAMES),
            todo="test a task that asks for abundances",
        )
    stars = base_stars(count, seed)
    changes = [(label, sign * STEP) for label in task.labels for sign in (-1, 1)]
    rows = np.repeat(np.arange(len(stars.star)), len(changes))
    every = stars.take(rows)
    xfe = every.xfe.copy()
    changed = [changes[i % len(changes)] for i in range(len(rows))]
    for row, (label, step) in enumerate(changed):
        xfe[row, ABUNDANCE_NAMES.index(label)] += step
    base = stellar(every)
    flux = shifted(rest_spectra(Stellar(base.teff, base.logg, base.feh, xfe)), np.zeros(len(rows)))
    wavelength = grid().astype(float)
    ones, none = np.ones(len(wavelength)), np.zeros(len(wavelength), np.int64)
    observed = (RawSpectrum(wavelength, spectrum.astype(float), ones, none) for spectrum in flux)
    try:
        stored = np.stack([clean(spectrum, resampling(recipe))[0] for spectrum in observed])
    except SpectrumRejected as why:
        raise StarglotError(
            f"the mock's spectra cannot be cleaned by this recipe: {why}",
            where=f"recipes: wavelength, {recipe.wavelength.start:g} to {recipe.wavelength.stop:g} A",
            allowed=f"a grid within {wavelength[0]:.0f} to {wavelength[-1]:.0f} A",
            todo="test a task whose `sample: view` has a recipe with such a grid, or change that recipe",
        ) from why

    keys = {
        "obsid": pa.array(_FIRST_OBSID + np.arange(len(rows))),
        "star_id": pa.array([f"{SET}:{star}" for star in every.star], pa.string()),
    }
    letter = pa.array([CLASSES[target] for target in every.target], pa.string())
    spectra = spectra_table(keys["obsid"], keys["star_id"], stored, np.zeros(len(rows), np.int32))
    truth = {label: pa.array(xfe[:, ABUNDANCE_NAMES.index(label)]) for label in task.labels}
    labels = {
        **keys,
        "class": letter,
        "shard": pa.array([SET] * len(rows), pa.string()),
        "changed": pa.array([label for label, _ in changed], pa.string()),
        "step": pa.array([step for _, step in changed]),
        **truth,
        **{LABELS[label].error: pa.nulls(len(rows), pa.float64()) for label in task.labels},
    }
    sample = {
        **keys,
        "class": letter,
        "split": pa.array([SET] * len(rows), pa.string()),
        "fold": pa.array(np.zeros(len(rows), np.int8)),
    }
    return spectra, pa.table(labels), pa.table(sample).cast(SAMPLE)
