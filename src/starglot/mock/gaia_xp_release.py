"""The mock's stars as Gaia's XP instruments see them: sampled mean spectra in the archive's files.

343 values from 336 to 1020 nm, at a resolving power of 30 to 100.  The mock's lines end where its engine does, at 370
and 908 nm; beyond, a spectrum is the engine's continuum with the blanketing of its last stretch.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from starglot.config.mock_views import MockGaiaXP
from starglot.config.root import Mock
from starglot.mock.atmosphere import layer
from starglot.mock.population import Population, generator, uniforms
from starglot.mock.survey import BLOCK, extinction, moved, plan_visits, plates, sky_position, stellar
from starglot.mock.synthesis import continuum_at, rest_grid, rest_spectra
from starglot.tables import atomic_path, write_parquet

#: Paths below the folder of the release.
SOURCES, SPECTRA, TRUTH = "gaia_source.csv", "spectra", "truth.parquet"
#: The sampling, A.
WAVELENGTH = 10.0 * np.arange(336.0, 1021.0, 2.0)
#: Flux of a star of G = 15 at 550 nm, W m-2 nm-1.
_FLUX_15 = 2.4e-17
_EPOCH = 16.0
#: The archive's files hold so many pixels of level 8 each; a source id over 2^43 is one.
_PIXELS, _LEVEL_8 = 4096, 43
_HEADER = """# %ECSV 1.0
# ---
# delimiter: ','
# datatype:
# - {name: source_id, datatype: int64}
# - {name: solution_id, datatype: int64}
# - {name: ra, datatype: float64, unit: deg}
# - {name: dec, datatype: float64, unit: deg}
# - {name: flux, datatype: string, subtype: 'float32[343]', unit: W.m**-2.nm**-1}
# - {name: flux_error, datatype: string, subtype: 'float32[343]', unit: W.m**-2.nm**-1}
source_id,solution_id,ra,dec,flux,flux_error
"""


def write_gaia_xp(out: Path, mock: Mock, settings: MockGaiaXP) -> dict[str, int]:
    """Write XP spectra of a mock's stars under ``out``; returns counts.  The same settings give the same bytes."""
    out = Path(out)
    visits, every = plan_visits(mock.spectra, mock.plates, mock.seed)
    ra, dec = sky_position(every, mock.plates, plates(mock.plates))
    seen = np.unique(visits.star)
    seen = seen[(every.gaia_dr3[seen] > 0) & (uniforms(mock.seed, 71, seen, 1)[:, 0] < settings.fraction)]
    stars = every.take(seen)
    ra, dec = moved(ra[seen], dec[seen], stars, _EPOCH)
    lines: dict[int, list[str]] = {}
    bar = tqdm(total=len(seen), desc="mock XP spectra", unit="spectrum", mininterval=2)
    for first in range(0, len(seen), BLOCK):
        at = np.arange(first, min(first + BLOCK, len(seen)))
        flux, error = sampled(stars.take(at), mock.seed)
        for row, star in enumerate(at):
            source = int(stars.gaia_dr3[star])
            texts = ("[" + ",".join(f"{value:.7g}" for value in values[row]) + "]" for values in (flux, error))
            line = f'{source},1,{ra[star]:.9f},{dec[star]:.9f},"{{}}","{{}}"\n'.format(*texts)
            lines.setdefault((source >> _LEVEL_8) // _PIXELS, []).append(line)
        bar.update(len(at))
    bar.close()
    for part, rows in sorted(lines.items()):
        name = f"XpSampledMeanSpectrum_{part * _PIXELS:06d}-{(part + 1) * _PIXELS - 1:06d}.csv.gz"
        with atomic_path(out / SPECTRA / name) as partial:
            partial.write_bytes(gzip.compress((_HEADER + "".join(sorted(rows))).encode(), 4, mtime=0))
    listed = zip(stars.gaia_dr3.tolist(), ra.tolist(), dec.tolist(), stars.magnitude.tolist(), strict=True)
    with atomic_path(out / SOURCES) as partial:
        partial.write_text(
            "source_id,ra,dec,phot_g_mean_mag\n" + "".join(f"{i},{a:.9f},{d:.9f},{m:.4f}\n" for i, a, d, m in listed)
        )
    truth = {"obsid": stars.gaia_dr3, "star": stars.star, "teff": stars.teff, "logg": stars.logg, "feh": stars.feh}
    write_parquet(pa.table(truth), out / TRUTH, {"seed": mock.seed})
    return {"stars": len(seen), "files": len(lines)}


def sampled(stars: Population, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Flux and its error (n, 343), W m-2 nm-1, of n stars (256 at most).

    Calibration errors are shared by neighbouring samples, as those of the coefficients that the archive's spectra are
    made of; the noise grows towards both ends.
    """
    n, wave = len(stars.star), rest_grid()
    layers = layer(stars.teff, stars.logg, stars.feh)
    rest = rest_spectra(stellar(stars)).astype(np.float64)
    own_continuum = continuum_at(stars.teff, layers, wave)
    blanketing = rest / (own_continuum / own_continuum.mean(1, keepdims=True))
    # BP resolves 30 to 100, RP 70 to 100 (Montegriffo et al. 2023): a Gaussian of 4 to 9 nm.
    sigma = np.interp(WAVELENGTH, [3360, 4000, 6000, 6700, 10200], [40.0, 45.0, 90.0, 60.0, 90.0])
    weights = np.exp(-0.5 * ((wave - WAVELENGTH[:, None]) / sigma[:, None]) ** 2) * np.gradient(wave)
    totals = weights.sum(1, keepdims=True)
    near = np.clip(WAVELENGTH, wave[0] + 150, wave[-1] - 150)
    weights = np.where(totals > 1.0, weights / np.maximum(totals, 1e-300), 0.0)
    seen = blanketing @ weights.T
    # Beyond the engine, the blanketing of its last stretch.
    seen = np.array([np.interp(WAVELENGTH, near[totals[:, 0] > 60], row[totals[:, 0] > 60]) for row in seen])
    flux = seen * continuum_at(stars.teff, layers, WAVELENGTH)
    flux *= 10 ** (-0.4 * stars.ebv[:, None] * extinction(WAVELENGTH))
    flux *= (_FLUX_15 * 10 ** (-0.4 * (stars.magnitude - 15)) / flux[:, 107])[:, None]
    noise = np.array([generator(seed, 72, int(star)).standard_normal((2, WAVELENGTH.size)) for star in stars.star])
    snr = 250 * 10 ** (-0.2 * (np.maximum(stars.magnitude, 12) - 13))[:, None]
    ends = np.interp(WAVELENGTH, [3360, 3800, 4500, 9500, 10200], [0.08, 0.35, 1.0, 1.0, 0.5])
    error = flux[:, 60:280].mean(1, keepdims=True) / (snr * ends)
    smooth = np.exp(-0.5 * ((WAVELENGTH - WAVELENGTH[:, None]) / 60.0) ** 2)
    smooth /= np.sqrt((smooth**2).sum(1, keepdims=True))
    shared = noise[:, 1] @ smooth.T
    return flux + error * (0.97 * shared + 0.25 * noise[:, 0]), error * np.ones((n, 1))
