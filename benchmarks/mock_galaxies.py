"""Mock galaxies beside real ones, in a picture.

python benchmarks/mock_galaxies.py REAL_SPEC... --out docs/images/mock_galaxies.png

REAL_SPEC: SDSS spec files (of galaxies) with their redshift in the second extension.  Beside each stands the mock
galaxy, of a thousand, whose spectrum at rest is most like it, as it is before noise and as it is observed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d

from starglot.mock.galaxy_observation import observe
from starglot.mock.galaxy_spectra import draw_galaxies, populations, rest_grid, rest_spectra
from starglot.plots.style import styled
from starglot.surveys.sdss_spectrum import read_sdss_spectrum

_GALAXIES, _WIDTH = 1000, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    galaxies = draw_galaxies(0, _GALAXIES, 1, (10.0, 40.0), (0.02, 0.4))
    clean, wave = rest_spectra(galaxies, populations()), rest_grid()
    with styled():
        figure, axes = plt.subplots(len(given.spectra), 2, figsize=(12, 2.1 * len(given.spectra)), squeeze=False)
        for (left, right), path in zip(axes, given.spectra, strict=True):
            raw, z = read_sdss_spectrum(path), float(fits.getdata(path, 2)["Z"][0])
            good = (raw.ivar > 0) & (raw.flux != 0)
            own, flux = raw.wavelength[good] / (1 + z), gaussian_filter1d(raw.flux[good], 2)
            inside = (wave > own[0] + 50) & (wave < own[-1] - 50) & (wave > 3300)
            shown = np.interp(wave[inside], own, flux)
            shown = shown / np.median(shown)
            tried = clean[:, inside] / np.median(clean[:, inside], axis=1, keepdims=True)
            # Lines count no more than they are wide: the shape decides.
            best = int(np.abs(np.clip(tried, 0, 3) - np.clip(shown, 0, 3)).mean(axis=1).argmin())
            top = 1.15 * np.quantile(shown, 0.997)
            left.plot(wave[inside], shown, color="black", linewidth=0.5)
            left.set(ylim=(0, top), title=f"real: {path.name.removesuffix('.gz')}, z = {z:.3f}")
            seen = observe(galaxies.take(np.array([best])), np.array([0]), np.array([17.0]), 1)[0]
            at = 10**seen.loglam / (1 + galaxies.z[best])
            scale = np.median(np.interp(wave[inside], at, seen.flux))
            right.plot(at, gaussian_filter1d(seen.flux, 2) / scale, color="#2f6db3", linewidth=0.5)
            said = f"mock: galaxy {best}, z = {galaxies.z[best]:.3f}, H alpha {galaxies.h_alpha[best]:.0f} A"
            right.set(ylim=(0, top), xlim=left.get_xlim(), title=said)
        figure.supxlabel("wavelength at rest (A, vacuum)", fontsize=9)
        figure.savefig(given.out, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
