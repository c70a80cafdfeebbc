"""Draw mock spectra beside real ones of the same type: docs/images/mock_cousins.png.

    python benchmarks/mock_cousins.py REAL docs/images/mock_cousins.png

REAL holds ``miles/`` (MILES spectra and labels.csv) and ``lamost/`` (LAMOST spectrum files, any layout).
"""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from PIL import Image

from starglot.labels import ABUNDANCE_NAMES
from starglot.mock.synthesis import MARGIN, Stellar, grid, rest_spectra
from starglot.spectra.air import air_to_vacuum
from starglot.surveys.lamost_spectrum import read_spectrum

#: Teff (K), log g, [Fe/H] to look for in MILES; the star nearest to them is drawn with its own labels.
MILES_WANTED = (
    (9400, 4.0, 0.0),
    (8100, 4.0, -0.3),
    (6900, 4.1, 0.0),
    (5780, 4.4, 0.0),
    (5600, 4.4, -1.3),
    (5000, 4.6, 0.0),
    (4850, 2.6, 0.0),
    (4400, 1.9, 0.0),
    (3650, 0.9, 0.0),
)
#: LAMOST subclasses, and the mean Teff and log g of dwarfs of that subclass.
LAMOST_WANTED = {
    "F0": (7150, 4.1),
    "F5": (6500, 4.2),
    "G2": (5800, 4.35),
    "G5": (5600, 4.4),
    "K1": (5100, 4.5),
    "K3": (4850, 4.55),
    "K7": (4080, 4.65),
    "dM1": (3680, 4.8),
    "dM3": (3400, 4.9),
}


@dataclass(frozen=True)
class Real:
    """A real spectrum on the mock's grid (NaN where there is none), its title, and the labels to imitate."""

    title: str
    flux: np.ndarray
    teff: float
    logg: float
    feh: float


def miles(folder: Path) -> list[Real]:
    """The stars of MILES nearest to MILES_WANTED (air wavelengths, 3540-7409 A)."""
    with open(folder / "labels.csv") as handle:
        stars = [
            (row, float(row["teff"]), float(row["logg"]), float(row["feh"]))
            for row in csv.DictReader(handle)
            if row["subclass"]
        ]
    out = []
    for teff, logg, feh in MILES_WANTED:
        row, t, g, m = min(
            stars, key=lambda s: 25 * abs(np.log(s[1] / teff)) + abs(s[2] - logg) + 1.5 * abs(s[3] - feh)
        )
        with fits.open(folder / row["file"], ignore_missing_simple=True) as hdus:
            flux, header = np.ravel(hdus[0].data).astype(float), hdus[0].header
        air = header["CRVAL1"] + header["CDELT1"] * (np.arange(flux.size) + 1 - header.get("CRPIX1", 1))
        good = flux != 0
        on_grid = np.interp(grid(), air_to_vacuum(air)[good], flux[good], left=np.nan, right=np.nan)
        on_grid[(grid() < 3800) | (grid() > 7380)] = np.nan
        title = f"MILES {row['star']} {row['subclass'].lstrip('dg')}: {t:.0f} K, {g:.2f}, {m:+.2f}"
        out.append(Real(title, on_grid, t, g, m))
    return out


def lamost(folder: Path) -> list[Real]:
    """The LAMOST spectra with the best S/N_i of the subclasses in LAMOST_WANTED."""
    best: dict[str, tuple[float, Path]] = {}
    for path in sorted(folder.glob("dr*_*/*.fits")):
        header = fits.getheader(path)
        name, snr = str(header.get("SUBCLASS", "")).strip(), float(header.get("SNRI", -1))
        if name in LAMOST_WANTED and snr > best.get(name, (0.0, path))[0]:
            best[name] = (snr, path)
    out = []
    for name, (teff, logg) in LAMOST_WANTED.items():
        if name not in best:
            continue
        raw = read_spectrum(best[name][1])
        good = (raw.ivar > 0) & (raw.mask == 0) & (raw.flux != 0)
        flux = np.interp(grid(), raw.wavelength[good], raw.flux[good], left=np.nan, right=np.nan)
        flux[(grid() < 3850) | (grid() > 8950)] = np.nan
        out.append(Real(f"LAMOST {name}, S/N {best[name][0]:.0f}; mock {teff} K, {logg}", flux, teff, logg, -0.15))
    return out


def mock(stars: list[Real]) -> np.ndarray:
    """(n, 3909) noise-free mock spectra with the stars' labels; alpha elements and dredge-up as the mock's discs."""
    teff, logg, feh = (np.array([getattr(s, key) for s in stars]) for key in ("teff", "logg", "feh"))
    xfe = np.zeros((len(stars), len(ABUNDANCE_NAMES)))
    for name in ("o_fe", "mg_fe", "si_fe", "s_fe", "ca_fe", "ti_fe", "tiii_fe"):
        xfe[:, ABUNDANCE_NAMES.index(name)] = np.clip(-0.3 * feh, 0, 0.3)
    xfe[logg < 3, ABUNDANCE_NAMES.index("c_fe")] -= 0.2
    xfe[logg < 3, ABUNDANCE_NAMES.index("n_fe")] += 0.35
    return rest_spectra(Stellar(teff, logg, feh, xfe))[:, MARGIN:-MARGIN].astype(float)


def matched(real: np.ndarray, flux: np.ndarray, order: int) -> np.ndarray:
    """``flux`` times a smooth curve (extinction and flux calibration): a polynomial of the log ratio."""
    good = np.isfinite(real) & (real > 0.02 * np.nanmedian(real))
    x = (grid() - 6300) / 2600
    fit = np.polyfit(x[good], np.log(real[good] / flux[good]), order)
    return flux * np.exp(np.polyval(fit, x))


def draw(stars: list[Real], columns: np.ndarray) -> None:
    """Real spectra in black, mock ones in red, one panel a star."""
    spectra = mock(stars)
    for axis, star, flux in zip(columns, stars, spectra, strict=False):
        scale = np.nanmean(star.flux)
        order = 1 if star.title.startswith("MILES") else 2
        cousin = matched(star.flux, flux, order) / scale
        shown = np.isfinite(star.flux)
        axis.plot(grid()[shown], star.flux[shown] / scale, color="black", lw=0.5)
        axis.plot(grid()[shown], cousin[shown], color="tab:red", lw=0.5, alpha=0.85)
        difference = np.nanstd((star.flux / scale - cousin)[shown])
        axis.set_title(f"{star.title}; rms {difference:.2f}", fontsize=7, pad=2)
        axis.set_ylim(0, 1.08 * np.nanpercentile(star.flux / scale, 99.7))
        axis.tick_params(labelsize=6)


def main() -> None:
    """Read REAL, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    rows = len(MILES_WANTED)
    figure, axes = plt.subplots(rows, 2, figsize=(13, 1.25 * rows), layout="constrained")
    draw(miles(arguments.real / "miles"), axes[:, 0])
    draw(lamost(arguments.real / "lamost"), axes[:, 1])
    figure.supxlabel("wavelength in vacuum, A", fontsize=8)
    figure.supylabel("flux over its mean: real black, mock red", fontsize=8)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=95, format="png")
    Image.open(buffer).convert("RGB").quantize(16).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
