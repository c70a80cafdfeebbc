"""What surveys make of mock stars: LAMOST's visits with noise and labels, APOGEE's, GALAH's and Gaia-ESO's labels.

Every survey has its own errors and offsets on top of the truth, so that agreement with one survey's pipeline and
agreement with the truth are different things, as they are in the sky.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from starglot.errors import StarglotError
from starglot.mock.population import Population, draw_stars, generator, subclass, uniforms
from starglot.mock.synthesis import N_PIXELS, Stellar, grid, rest_spectra, shifted

FIBRES = 250
SPECTROGRAPHS = 16
PLATES_PER_FIELD = 4
#: Spectra of one plate: 4000 fibres less those on the sky.
PLATE_SIZE = 3800
#: Stars that are synthesised together; a block is always whole, so its bytes do not depend on how many are wanted.
BLOCK = 256
#: LAMOST's bands in A for the S/N in the header.
BANDS: dict[str, tuple[float, float]] = {
    "u": (3700, 3950), "g": (4000, 5500), "r": (5500, 6900), "i": (6900, 8200), "z": (8200, 9080),
}  # fmt: skip
#: Photons that reach the two arms, over those at 6500 A: (A, relative throughput); the dip at 5900 A is the dichroic.
_THROUGHPUT = (
    (3690, 0.012), (3750, 0.035), (3900, 0.09), (4000, 0.14), (4200, 0.23), (4500, 0.34), (5000, 0.50), (5500, 0.52),
    (5700, 0.42), (5850, 0.36), (5950, 0.55), (6100, 0.80), (6500, 1.0), (7000, 1.15), (7500, 1.2), (8000, 1.1),
    (8500, 0.9), (8800, 0.65), (9000, 0.38), (9100, 0.25),
)  # fmt: skip
#: Sky lines in vacuum A that leave extra noise: [O I] and the strong OH lines.
_SKY_LINES = (5578.9, 6302.0, 6365.5, 7716.3, 7753.1, 7796.7, 7916.0, 7966.9, 8346.9, 8401.8, 8432.5, 8467.7, 8829.5,
              8888.3, 8921.9, 8960.6)  # fmt: skip
#: Telluric bands, of which flux calibration with standard stars leaves residuals: (A, depth, width), vacuum.
TELLURIC = ((6870.0, 0.35, 12.0), (6885.0, 0.2, 14.0), (7185.0, 0.10, 28.0), (7250.0, 0.08, 35.0),
             (7596.0, 0.75, 8.0), (7620.0, 0.5, 18.0), (8150.0, 0.07, 40.0), (8230.0, 0.10, 35.0),
             (8980.0, 0.15, 40.0))  # fmt: skip


@dataclass(frozen=True)
class Plate:
    """One plate: observed night, name, and the centre of its field (deg)."""

    number: int
    lmjd: int
    planid: str
    ra: float
    dec: float

    @property
    def obsdate(self) -> str:
        """Evening of the night, YYYY-MM-DD: LAMOST's local MJD is one more than that of the evening in UT."""
        return (datetime.date(1858, 11, 17) + datetime.timedelta(days=self.lmjd - 1)).isoformat()


@dataclass(frozen=True)
class Visits:
    """Spectra to write, in order; arrays of one length.

    star: number k; visit: 0-based; plate: index; spid, fiberid: 1-based; obsid: int64.
    """

    star: np.ndarray
    visit: np.ndarray
    plate: np.ndarray
    spid: np.ndarray
    fiberid: np.ndarray
    obsid: np.ndarray


@dataclass(frozen=True)
class Observed:
    """n visits as observed: flux, ivar (n, 3909) float32, mask (n, 3909) int16; n_pixels and each band's S/N (n,)."""

    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    n_pixels: np.ndarray
    snr: dict[str, np.ndarray]


def plates(number: int) -> list[Plate]:
    """The plates of a release: fields of four plates each, on different nights."""
    out = []
    for index in range(number):
        field, repeat = divmod(index, PLATES_PER_FIELD)
        ra, dec = (37.0 + 47.3 * field) % 360.0, 5.0 + (13.7 * field) % 45.0
        hours = f"{int(ra / 15):02d}{int(ra * 4) % 60:02d}{int(ra * 240) % 60:02d}"
        name = f"HD{hours}N{int(dec):02d}{int(dec * 60) % 60:02d}B{repeat + 1:02d}"
        out.append(Plate(index, 59000 + 7 * index + field, name, ra, dec))
    return out


def plan_visits(spectra: int, number_of_plates: int, seed: int) -> tuple[Visits, Population]:
    """The first ``spectra`` visits, star by star, each with plate and fibre; and all stars of the blocks they are in.

    Which fibre a visit has depends on the visits before it alone.
    """
    if spectra > PLATE_SIZE * number_of_plates:
        raise StarglotError(
            f"{spectra} mock spectra do not fit on {number_of_plates} plates",
            where="config: mock.plates",
            allowed=f"at most {PLATE_SIZE} spectra a plate",
            todo=f"set mock.plates to {-(-spectra // PLATE_SIZE)} or more",
        )
    blocks: list[Population] = []
    used = np.zeros(number_of_plates, int)
    rows: list[tuple[int, int, int, int]] = []
    while len(rows) < spectra:
        block = draw_stars(len(blocks) * BLOCK, (len(blocks) + 1) * BLOCK, seed)
        blocks.append(block)
        for star, where, wanted in zip(block.star, block.field, block.visits, strict=True):
            home = int(where * number_of_plates)
            first = home - home % PLATES_PER_FIELD
            here = min(PLATES_PER_FIELD, number_of_plates - first)
            for visit in range(min(int(wanted), here)):
                plate = first + (home - first + visit) % here
                if used[plate] >= PLATE_SIZE:
                    plate = int(np.argmin(used))
                rows.append((int(star), visit, plate, int(used[plate])))
                used[plate] += 1
    star, visit, plate, order = np.array(rows[:spectra], np.int64).T
    # Neighbouring visits go to different spectrographs, as stars all over a field do.
    spid, fibre = order % SPECTROGRAPHS + 1, order // SPECTROGRAPHS + 1
    obsid = (9001 + plate) * 100_000 + spid * 1000 + fibre
    every = Population(**{k: np.concatenate([getattr(b, k) for b in blocks]) for k in vars(blocks[0])})
    return Visits(star, visit, plate, spid, fibre, obsid), every


def sky_position(stars: Population, number_of_plates: int, fields: list[Plate]) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination (deg, epoch 2000) of stars in the field where they are observed."""
    home = (stars.field * number_of_plates).astype(int)
    home -= home % PLATES_PER_FIELD
    ra0, dec0 = np.array([p.ra for p in fields])[home], np.array([p.dec for p in fields])[home]
    dec = dec0 + stars.radius * np.sin(stars.angle)
    ra = ra0 + stars.radius * np.cos(stars.angle) / np.cos(np.radians(dec))
    return ra % 360.0, dec


def moved(
    ra: np.ndarray, dec: np.ndarray, stars: Population, years: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (deg) ``years`` after J2000 by proper motion (pmra is along the great circle)."""
    step = years / 3.6e6
    return ra + stars.pmra * step / np.cos(np.radians(dec)), dec + stars.pmdec * step


def stellar(stars: Population) -> Stellar:
    """The part of a population that its spectra depend on."""
    return Stellar(stars.teff, stars.logg, stars.feh, stars.xfe)


def extinction(wavelength: np.ndarray) -> np.ndarray:
    """A(lambda)/E(B-V) for R_V = 3.1; Cardelli, Clayton & Mathis (1989), optical polynomials; wavelength in A."""
    y = 1e4 / wavelength - 1.82
    a = np.polyval([0.32999, -0.77530, 0.01979, 0.72085, -0.02427, -0.50447, 0.17699, 1.0], y)
    b = np.polyval([-2.09002, 5.30260, -0.62251, -5.38434, 1.07233, 2.28305, 1.41338, 0.0], y)
    return 3.1 * a + b


def observe(rest: np.ndarray, stars: Population, visits: np.ndarray, snr: tuple[float, float], seed: int) -> Observed:
    """One visit of each of n stars: velocity, extinction, calibration errors, tellurics, photon noise, bad pixels.

    rest: (n, pixels) from :func:`rest_spectra`; visits: (n,) visit numbers; snr: range of the g-band S/N a
    pixel, drawn evenly in its logarithm.
    """
    n, wave = len(visits), grid().astype(np.float64)
    u = np.empty((n, 24))
    noise = np.empty((n, N_PIXELS), np.float32)
    for i, (star, visit) in enumerate(zip(stars.star, visits, strict=True)):
        own = generator(seed, 2, int(star), int(visit))
        u[i] = own.random(24)
        noise[i] = own.standard_normal(N_PIXELS, dtype=np.float32)
    normal = ndtri(np.clip(u, 1e-12, 1 - 1e-12))
    flux = shifted(rest, stars.rv + 3.0 * normal[:, 0])

    z = (wave - 6400) / 2700
    shape = np.exp(
        0.035 * normal[:, 1:2] * z
        + 0.025 * normal[:, 2:3] * (1.5 * z**2 - 0.5)
        + 0.015 * normal[:, 3:4] * (2.5 * z**3 - 1.5 * z)
        + 0.012 * normal[:, 4:5] * np.tanh((wave - 5900) / 40)  # the arms do not quite meet
    )
    # Tellurics are divided out with standard stars; what is left has either sign.
    bands = sum(depth * np.exp(-0.5 * ((wave - at) / width) ** 2) for at, depth, width in TELLURIC)
    atmosphere = np.exp(-0.12 * normal[:, 5:6] * bands - 0.06 * normal[:, 6:7] * bands**2)
    flux = flux * shape * 10 ** (-0.4 * stars.ebv[:, None] * extinction(wave)) * atmosphere

    wanted = snr[0] * (snr[1] / snr[0]) ** u[:, 7:8]
    through = np.interp(wave, *np.array(_THROUGHPUT).T)
    flux = flux / flux[:, _in_band(wave, "g")].mean(1, keepdims=True)
    lines = sum(np.exp(-0.5 * ((wave - at) / 2.5) ** 2) for at in _SKY_LINES)
    photons = np.maximum(flux, 0) * through
    background = 0.04 + 0.5 * lines * (5 / wanted) ** 0.5
    sigma = np.sqrt(photons + background * through**0.5 * 0.5) / through
    sigma *= np.median(flux[:, _in_band(wave, "g")] / sigma[:, _in_band(wave, "g")], axis=1, keepdims=True) / wanted
    # The pipeline knows its errors to ten per cent.
    claimed = sigma * np.exp(0.08 * normal[:, 8:9])
    flux = flux + sigma * noise
    level = 10 ** np.clip(4.0 - 0.35 * (stars.magnitude[:, None] - 11) + 0.15 * normal[:, 9:10], 0.5, 4.3)
    mask = np.zeros((n, N_PIXELS), np.int16)
    n_pixels = N_PIXELS - np.where(u[:, 10] < 0.35, 0, np.floor(13 * u[:, 11]).astype(int))
    n_pixels = np.where(u[:, 12] < 0.02, 3751 + np.floor(100 * u[:, 11]).astype(int), n_pixels)
    zeros = np.floor(30 * u[:, 13] ** 2).astype(int)
    for i in range(n):
        if u[i, 14] < 0.25:
            _bad_pixels(generator(seed, 3, int(stars.star[i]), int(visits[i])), flux[i], claimed[i], mask[i])
        flux[i, n_pixels[i] - zeros[i] : n_pixels[i]] = 0.0
    with np.errstate(divide="ignore"):
        ivar = np.where(np.isfinite(claimed), 1 / (claimed * level) ** 2, 0)
    out_flux, out_ivar = shortened((flux * level).astype(np.float32)), shortened(ivar.astype(np.float32))
    ratio = out_flux * np.sqrt(out_ivar)
    signal = {band: np.maximum(np.median(ratio[:, _in_band(wave, band)], axis=1), 0.01) for band in BANDS}
    return Observed(out_flux, out_ivar, mask, n_pixels, signal)


def _in_band(wave: np.ndarray, band: str) -> np.ndarray:
    low, high = BANDS[band]
    return (wave >= low) & (wave < high)


def _bad_pixels(own: np.random.Generator, flux: np.ndarray, sigma: np.ndarray, mask: np.ndarray) -> None:
    """Cosmic rays and bad columns, in place: ORMASK bits and ivar 0 (sigma becomes infinite) in short runs."""
    for _ in range(own.integers(1, 9)):
        at, length = own.integers(20, N_PIXELS - 200), own.integers(1, 5)
        bit = own.choice([1, 4, 64])
        mask[at : at + length] |= bit
        flux[at : at + length] += own.exponential(0.6) * np.abs(flux[at])
        if bit == 1:
            sigma[max(at - 1, 0) : at + length + 1] = np.inf


def shortened(values: np.ndarray) -> np.ndarray:
    """Float32 with 14 bits of mantissa (1 part in 16,000): far below the noise, and quicker to pack."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + np.uint32(0x100)) & np.uint32(0xFFFFFE00)).view(np.float32)


# ---------------------------------------------------------------- labels


def lamost_labels(stars: Population, visits: np.ndarray, snr: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """LAMOST's Teff, log g, [Fe/H], rv and [alpha/M] with errors, and the subclass, of n visits.

    Scatter is about what the paper quotes for the pipeline (38 K, 0.06, 0.04 dex at good S/N); it grows to low S/N
    and towards A stars.  Small offsets by class are shared by every visit.  snr: (n,) in the r band.
    """
    normal = ndtri(uniforms(seed, 4, stars.star * PLATES_PER_FIELD + visits, 12))
    worse = np.sqrt(1 + (20 / np.maximum(snr, 3.0)) ** 2)
    hot = np.interp(stars.teff, [3100, 3900, 4500, 6500, 7500, 9900], [1.2, 1.1, 1.0, 1.0, 1.8, 2.6])
    err_teff, err_logg, err_feh = 42 * worse * hot, 0.065 * worse * hot**0.5, 0.048 * worse * hot**0.6
    shift = np.array([[40, 0.03, 0.02], [10, 0.01, -0.01], [0, 0.0, 0.0], [-15, 0.03, 0.02], [35, -0.04, -0.05]])
    offset = shift[stars.target]
    alpha = stars.xfe[:, [4, 6, 10, 14]].mean(1)
    return {
        "teff": stars.teff + offset[:, 0] + err_teff * normal[:, 0],
        "teff_err": err_teff * np.exp(0.15 * normal[:, 1]),
        "logg": stars.logg + offset[:, 1] + err_logg * normal[:, 2],
        "logg_err": err_logg * np.exp(0.15 * normal[:, 3]),
        "feh": stars.feh + offset[:, 2] + err_feh * normal[:, 4],
        "feh_err": err_feh * np.exp(0.15 * normal[:, 5]),
        "rv": stars.rv + 4.5 * worse * normal[:, 6],
        "rv_err": 4.5 * worse * np.exp(0.1 * normal[:, 7]),
        "alpha_m": alpha + 0.06 * worse * normal[:, 8],
        "alpha_m_err": 0.06 * worse,
        "subclass": subclass(stars.teff, stars.logg, 0.45 * normal[:, 9]),
        "missing": normal[:, 10] > 2.4,
    }


def synthesise(stars: Population) -> np.ndarray:
    """Rest-frame spectra of one block of stars."""
    return rest_spectra(stellar(stars))
