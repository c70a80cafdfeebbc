"""How far an estimate that knows the mock's physics and its population follows one element's own lines.

    python benchmarks/own_line_limit.py [SNR ...]

For the stars of the own-line test: response of the posterior mean to one [X/Fe] alone, where the prior is the
covariance of the labels in the star's class and the spectrum has the noise of a visit of that S/N in g (30, 80, 200
if none is given).  Velocity, extinction, calibration and tellurics are unknown, as in the limit tables.  The mean of
12 stars.  A model that trusts spectra as this estimate does is at the best compromise of population and lines.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from starglot.labels import ABUNDANCE_NAMES, ATMOSPHERE_NAMES
from starglot.mock.limit import FREE, LABELS, derivatives_of, inverse_covariances, other_derivatives
from starglot.mock.own_line import base_stars
from starglot.mock.survey import observe, stellar
from starglot.mock.synthesis import grid, rest_spectra

STARS, SEED = 12, 1
SEEN = (3800.0, 8700.0)


def responses(snr: float) -> np.ndarray:
    """Mean response of each abundance, in the order of ``ABUNDANCE_NAMES``."""
    stars = base_stars(STARS, SEED)
    stars = replace(stars, rv=np.zeros(STARS), ebv=np.zeros(STARS))
    wave, labels, first = grid().astype(float), len(LABELS), len(ATMOSPHERE_NAMES)
    seen = observe(rest_spectra(stellar(stars)), stars, np.zeros(STARS, int), (snr, snr), SEED)
    usable = (seen.ivar > 0) & (wave >= SEEN[0]) & (wave <= SEEN[1])
    root = np.sqrt(np.where(usable, seen.ivar, 0.0))
    flux, derivatives = derivatives_of(stars, seen.flux, wave)
    free, population = np.concatenate([derivatives, other_derivatives(flux, wave)], axis=1), inverse_covariances()
    found = []
    for i, target in enumerate(stars.target):
        prior = np.diag(np.concatenate([np.zeros(labels), 1 / np.square(FREE)]))
        prior[:labels, :labels] += population[int(target)]
        scaled = free[i] * root[i]
        information = scaled @ scaled.T
        size = np.sqrt(np.diag(information + prior))
        unit = np.linalg.pinv((information + prior) / np.outer(size, size), rcond=1e-13, hermitian=True)
        found.append(np.diag(unit / np.outer(size, size) @ information)[first:labels])
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snr", nargs="*", type=float, default=[30.0, 80.0, 200.0])
    levels = parser.parse_args().snr
    table = np.column_stack([responses(snr) for snr in levels])
    print(f"{'label':8s}" + "".join(f"{snr:8.0f}" for snr in levels))
    for name, row in zip(ABUNDANCE_NAMES, table, strict=True):
        print(f"{name:8s}" + "".join(f"{value:8.2f}" for value in row))
    print(f"{'>= 0.5':8s}" + "".join(f"{count:8d}" for count in (table >= 0.5).sum(axis=0)))


if __name__ == "__main__":
    main()
