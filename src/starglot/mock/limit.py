"""The information limit of mock spectra: how well labels can be known at all from a spectrum of this noise.

The mock's own engine gives the derivatives of the noise-free flux by every label, and the noise of a visit is what
the visit was drawn with.  What else may differ between spectra is free, too: velocity, extinction and the errors of
flux calibration and telluric correction, as far as :func:`starglot.mock.survey.observe` draws them.  The Cramer-Rao
bound is the least standard deviation of an unbiased estimate of a label when all others are unknown; with the
population's covariance of the labels as a prior (the class's own) it is the least error that knowing the population
allows, as far as that is a normal distribution (van Trees 1968, section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.root import Mock
from starglot.hashing import stable_hash
from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES, CLASSES
from starglot.mock.atmosphere import Layer, layer
from starglot.mock.population import Population, draw_stars
from starglot.mock.survey import TELLURIC, extinction, observe, stellar
from starglot.mock.synthesis import LIGHT, Stellar, grid, rest_spectra, shifted

#: The labels of a mock star, all of them free.
LABELS: tuple[str, ...] = (*ATMOSPHERE_NAMES, *ABUNDANCE_NAMES)
#: Spectra that the limit is worked out for, at most: the medians of a class are known to a few per cent then.
MOST = 600
#: Half the step of a derivative: of Teff relative, of the others in dex.
_RELATIVE, _LOGG, _DEX = 0.01, 0.05, 0.04
#: Scatter of what is free beside the labels, as `observe` draws it, in units of the derivatives below; the level and
#: the velocity of a spectrum are not known beforehand.
FREE = (np.inf, np.inf, 0.035, 0.025, 0.015, 0.012, 0.12, 0.06, 0.046)
#: Stars that give the population's covariance, from a seed of their own.
_POOL, _POOL_SEED = 6000, 999
_BLOCK = 64


def cramer_rao(derivatives: np.ndarray, sigma: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(k,) least standard deviations of k parameters of a normal model.

    derivatives: (k, m) of m values by each parameter; sigma: (m,) their independent errors, infinite for a value that
    says nothing; prior: (k, k) inverse covariance of what is known of the parameters beforehand, 0 for nothing.
    A parameter that nothing is known of is infinitely uncertain.
    """
    scaled = derivatives / sigma
    information = scaled @ scaled.T + prior
    size = np.sqrt(np.diag(information))
    known = size > 0
    unit = information[np.ix_(known, known)] / np.outer(size[known], size[known])
    bound = np.full(len(size), np.inf)
    variance = np.diag(np.linalg.pinv(unit, rcond=1e-12, hermitian=True))
    bound[known] = np.sqrt(np.maximum(variance, 0.0)) / size[known]
    return bound


def limit_table(truth: pa.Table, obsid: Sequence[int], settings: Mock, seen: tuple[float, float]) -> pa.Table:
    """The limit of mock spectra: obsid, class, snr_g, label, truth, bound, bound_prior; a row a spectrum and label.

    truth: of the mock release (obsid, star, visit); obsid: the spectra, of which at most :data:`MOST` are taken, by a
    hash of their ids; seen: the range of wavelengths (A) that models are shown.  bound: Cramer-Rao, bound_prior: with
    the class's population as prior, in the label's unit.
    """
    chosen = truth.filter(pc.is_in(truth["obsid"], value_set=pa.array(obsid, pa.int64()))).sort_by("obsid")
    order = np.argsort(stable_hash(chosen["obsid"].to_pylist(), "limit"), kind="stable")[:MOST]
    chosen = chosen.take(pa.array(np.sort(order)))
    stars = _stars(chosen["star"].to_pylist(), settings.seed)
    visits = chosen["visit"].to_numpy()
    parts = [
        _bounds(stars.take(at), visits[at], settings, seen)
        for at in np.split(np.arange(len(chosen)), range(_BLOCK, len(chosen), _BLOCK))
        if len(at)
    ]
    bound, with_prior, snr = (np.concatenate(each) for each in zip(*parts, strict=True))
    k = len(LABELS)
    return pa.table(
        {
            "obsid": np.repeat(chosen["obsid"].to_numpy(), k),
            "class": pa.array(np.repeat([CLASSES[target] for target in stars.target], k), pa.string()),
            "snr_g": np.repeat(snr, k),
            "label": pa.array(list(LABELS) * len(chosen), pa.string()),
            "truth": _parameters(stars).reshape(-1),
            "bound": bound.reshape(-1),
            "bound_prior": with_prior.reshape(-1),
        }
    )


def _stars(numbers: Sequence[int], seed: int) -> Population:
    drawn = [draw_stars(number, number + 1, seed) for number in numbers]
    return Population(**{name: np.concatenate([getattr(each, name) for each in drawn]) for name in vars(drawn[0])})


def _parameters(stars: Population) -> np.ndarray:
    """(n, labels) in the order of :data:`LABELS`."""
    return np.column_stack([stars.teff, stars.logg, stars.feh, stars.xfe])


def _bounds(
    stars: Population, visits: np.ndarray, settings: Mock, seen: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, labels) bounds without and with the prior, and the S/N in g (n,), of one visit of each of n stars."""
    wave = grid().astype(float)
    observed = observe(rest_spectra(stellar(stars)), stars, visits, settings.snr, settings.seed)
    usable = (observed.ivar > 0) & (wave >= seen[0]) & (wave <= seen[1])
    usable &= np.arange(len(wave)) < observed.n_pixels[:, None]
    sigma = np.where(usable, 1 / np.sqrt(np.where(usable, observed.ivar, 1.0)), np.inf)
    flux, derivatives = derivatives_of(stars, observed.flux, wave)
    free, labels = np.concatenate([derivatives, other_derivatives(flux, wave)], axis=1), len(LABELS)
    nothing = np.diag(np.concatenate([np.zeros(labels), 1 / np.square(FREE)]))
    population = inverse_covariances()
    bound, with_prior = np.empty((2, len(visits), labels))
    for i, target in enumerate(stars.target):
        prior = nothing.copy()
        bound[i] = cramer_rao(free[i], sigma[i], prior)[:labels]
        prior[:labels, :labels] += population[int(target)]
        with_prior[i] = cramer_rao(free[i], sigma[i], prior)[:labels]
    return bound, with_prior, observed.snr["g"]


def derivatives_of(stars: Population, observed: np.ndarray, wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free flux (n, m) at the level of ``observed`` and its derivatives (n, labels, m)."""
    values = _parameters(stars)
    dimming = 10 ** (-0.4 * stars.ebv[:, None] * extinction(wave))

    layers = layer(stars.teff, stars.logg, stars.feh)

    def model(at: np.ndarray, layers: Layer | None) -> np.ndarray:
        rest = rest_spectra(Stellar(at[:, 0], at[:, 1], at[:, 2], at[:, 3:]), layers=layers)
        dimmed: np.ndarray = shifted(rest, stars.rv).astype(float) * dimming
        return dimmed

    flux = model(values, layers)
    green = (wave > 4000) & (wave < 5500)
    level = (np.median(observed[:, green], axis=1) / np.median(flux[:, green], axis=1))[:, None]
    derivatives = np.empty((len(values), len(LABELS), len(wave)))
    for k, name in enumerate(LABELS):
        step = _RELATIVE * stars.teff if name == "teff" else np.full(len(values), _LOGG if name == "logg" else _DEX)
        below, above = values.copy(), values.copy()
        below[:, k] -= step
        above[:, k] += step
        same = layers if name in ABUNDANCE_NAMES else None
        derivatives[:, k] = (model(above, same) - model(below, same)) * level / (2 * step[:, None])
    return flux * level, derivatives


def other_derivatives(flux: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """(n, others, m) derivatives by what is free beside the labels, in the order of ``FREE``."""
    z = (wave - 6400) / 2700
    bands = sum(depth * np.exp(-0.5 * ((wave - at) / width) ** 2) for at, depth, width in TELLURIC)
    shapes = [
        np.ones_like(wave),
        None,  # velocity, km/s
        z,
        1.5 * z**2 - 0.5,
        2.5 * z**3 - 1.5 * z,
        np.tanh((wave - 5900) / 40),
        bands,
        bands**2,
        0.4 * np.log(10) * extinction(wave),
    ]
    velocity = np.gradient(flux, wave, axis=1) * wave / LIGHT
    return np.stack([velocity if shape is None else flux * shape for shape in shapes], axis=1)


@cache
def inverse_covariances() -> list[np.ndarray]:
    """Inverse covariance of the labels by class, from stars that are in no release."""
    pool = draw_stars(0, _POOL, _POOL_SEED)
    values = _parameters(pool)
    return [np.linalg.inv(np.cov(values[pool.target == target].T)) for target in range(len(CLASSES))]
