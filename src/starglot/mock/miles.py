"""The MILES library laid out as a LAMOST release: real stars and real labels; visits, noise and velocities are drawn.

MILES (Sanchez-Blazquez et al. 2006, MNRAS 371, 703; labels of Cenarro et al. 2007, MNRAS 374, 664) is 985 spectra of
stars, 3540 to 7410 A, in air, at rest, at a resolution of 2.5 A, with a table of labels in columns of fixed width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from starglot.errors import StarglotError
from starglot.mock.catalogs import MISSING, lamost_tables, write_table
from starglot.mock.miles_desi import FIRST_GAIA_ID, Instrument, View, require_instrument, view, write_views
from starglot.mock.spectrum_files import Spectrum, write_spectrum
from starglot.mock.survey import BANDS, FIBRES, SPECTROGRAPHS, Plate
from starglot.mock.synthesis import LIGHT, grid
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.spectrum_image import read_image

#: Names within a release, as the configuration for MILES has them.
STELLAR, MSTELLAR, SPECTRA = "dr11_v1.1_LRS_stellar.fits.gz", "dr11_v1.1_LRS_mstellar.fits.gz", "spectra"
#: The folder of the release of another instrument.
AGAIN = "desi"
#: The table of labels in the library's folder.
PARAMETERS = "paramsMILES*.txt"
#: Number of a star in the name of its file: MILES_res2.50_star_m0001V.fits, m0001V.fits, s0001.fits.
_FILE = re.compile(r"(?:.*_)?[ms](\d{4})V?\.fits(?:\.gz)?")
#: Where the table's columns stand, and the least and most visits that leave obsids apart.
_NAME, _NUMBER, _TYPE, _LABELS = slice(0, 22), slice(22, 30), slice(36, 51), slice(51, 74)
_MOST_VISITS = 100
_FIRST_NIGHT, _FIRST_OBSID = 58000, 900_000_000
#: Fewest pixels of a band that its S/N is taken from: the library reaches over a third of i.
_ENOUGH = 100
#: Scatter of radial velocities (km/s): of stars near the Sun.
_VELOCITY = 45.0


@dataclass(frozen=True)
class Star:
    """One star of the library; a label that it lacks is NaN."""

    number: int
    name: str
    spectral_type: str
    teff: float
    logg: float
    feh: float


def write_miles(
    library: Path,
    out: Path,
    visits: int,
    snr: tuple[float, float],
    seed: int,
    again: Instrument | None = None,
) -> dict[str, int]:
    """Lay the stars in the folder ``library`` out in ``out``; counts of stars, spectra and what was left out.

    visits: spectra of each star; snr: between which the S/N of each is drawn, in equal parts of its logarithm.  The
    same stars, visits, S/N and seed give the same bytes.  Positions and visits are made up; a star's id is MILES's.
    again: another instrument, which sees each star once (:mod:`.miles_desi`); stars then have Gaia ids, made up, too,
    by which they are the same in both surveys.
    Raises StarglotError for a folder without the table or the spectra, for more visits than have names, and for an
    instrument that there cannot be.
    """
    if again is not None:
        require_instrument(again)
    if not 1 <= visits <= _MOST_VISITS:
        raise StarglotError(
            f"{visits} visits of each star",
            where="visits",
            allowed=f"1 to {_MOST_VISITS}",
            todo="give another number",
        )
    stars, files = read_parameters(_parameters(library)), _files(library)
    there = [star for star in stars if star.number in files]
    if not there:
        raise StarglotError(
            "no spectrum of a star in the table of labels",
            where=library,
            allowed="FITS files whose names end in m0001V.fits or s0001.fits, the star's number in the table",
            todo="unpack the spectra into this folder",
        )
    rows: list[dict[str, Any]] = []
    views: list[View] = []
    unread = 0
    for place, star in enumerate(there):
        try:
            raw = read_image(files[star.number], air=True)
        except SpectrumRejected:
            raw = None
        if raw is None or not (raw.spectrum.ivar > 0).any():
            unread += 1
            continue
        for visit in range(visits):
            rng = np.random.default_rng([seed, star.number, visit])
            rows.append(_write_visit(star, raw.spectrum, place, visit, snr, rng, out / SPECTRA))
        if again is not None:
            for row in rows[-visits:]:
                row["gaia_source_id"] = str(FIRST_GAIA_ID + star.number)
            last = rows[-1]
            labels = (star.teff, star.logg, star.feh)
            views.append(view(star.number, (last["ra"], last["dec"]), labels, raw.spectrum, again, seed))
    if not rows:
        raise StarglotError("none of the spectra can be read", where=library, todo="fetch the library again")
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    warm, cool = lamost_tables(columns)
    write_table(out / STELLAR, warm)
    write_table(out / MSTELLAR, cool)
    if again is not None:
        write_views(views, out / AGAIN)
    lacking = sum(not np.isfinite([star.teff, star.logg, star.feh]).all() for star in there)
    return {
        "stars": len(there) - unread,
        "spectra": len(rows),
        "spectra of the other instrument": len(views),
        "of M stars": len(cool["obsid"]),
        "stars that lack a label": lacking,
        "stars without a spectrum": len(stars) - len(there),
        "spectra that cannot be read": unread,
    }


def _parameters(library: Path) -> Path:
    found = sorted(library.glob(PARAMETERS)) if library.is_dir() else []
    if len(found) != 1:
        raise StarglotError(
            "there is no table of labels" if not found else f"there are {len(found)} tables of labels",
            where=library,
            allowed=f"one file called {PARAMETERS} in the library's folder",
            todo="docs/real-stars.md says where it is to be had",
        )
    return found[0]


def read_parameters(path: Path) -> list[Star]:
    """The stars of the library's table, in its order; '--' is a label that a star lacks.

    Raises StarglotError for a line that has not the table's columns.
    """
    stars = []
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        if not line[_NUMBER].strip().isdigit():
            continue  # the heading
        words = line[_LABELS].split()
        try:
            teff, logg, feh = (np.nan if set(word) == {"-"} else float(word) for word in words)
        except ValueError as error:
            raise StarglotError(
                f"line {number} has not the columns of the table of MILES: {line.strip()[:80]!r}",
                where=path,
                allowed="name, number, spectral type, Teff, log g and [Fe/H] in columns of fixed width (version 9.1)",
                todo="use the table as it is published",
            ) from error
        kind = " ".join(line[_TYPE].split())
        stars.append(Star(int(line[_NUMBER]), line[_NAME].strip(), kind, teff, logg, feh))
    return stars


def _files(library: Path) -> dict[int, Path]:
    named = ((_FILE.fullmatch(path.name), path) for path in sorted(library.iterdir()))
    return {int(found[1]): path for found, path in named if found}


def _write_visit(
    star: Star,
    raw: RawSpectrum,
    place: int,
    visit: int,
    snr: tuple[float, float],
    rng: np.random.Generator,
    root: Path,
) -> dict[str, Any]:
    """Write one spectrum; its row of the catalogue."""
    velocity, scale = float(rng.normal(0, _VELOCITY)), 10 ** rng.uniform(2.2, 3.6)
    wanted = float(np.exp(rng.uniform(*np.log(snr))))
    wave, flux, good = _shifted(raw, velocity)
    level = np.median(flux[good])
    flux = flux * scale / level
    # As of photons: S/N grows with the square root of the flux, to that which was drawn at the median.
    sigma = np.sqrt(np.maximum(flux, 0.02 * scale) * scale) / wanted
    flux = np.where(good, flux + rng.normal(size=len(wave)) * sigma, 0.0)
    ivar = np.where(good, sigma**-2, 0.0)
    ratio = dict(_ratios(wave, flux * np.sqrt(ivar), good))
    night = Plate(visit, _FIRST_NIGHT + visit, f"MILES{visit + 1:02d}", 0.0, 0.0)
    spectrograph, fibre = divmod(place, FIBRES)
    about: dict[str, Any] = {
        "obsid": _FIRST_OBSID + star.number * _MOST_VISITS + visit,
        "spid": 1 + spectrograph % SPECTROGRAPHS,
        "fiberid": 1 + fibre,
        "ra": 15.0 + 0.3 * place,
        "dec": 10.0 + 0.02 * place,
    }
    write_spectrum(
        Spectrum(
            flux=flux,
            ivar=ivar,
            mask=~good,
            plate=night,
            magnitude=MISSING,
            subclass=star.spectral_type,
            redshift=velocity / LIGHT,
            snr=ratio,
            **about,
        ),
        root,
    )
    labels = {name: getattr(star, name) for name in ("teff", "logg", "feh")}
    return {
        **about,
        "uid": f"MILES{star.number:04d}",
        "gp_id": f"MILES{star.number:04d}",
        "designation": star.name,
        "obsdate": night.obsdate,
        "lmjd": night.lmjd,
        "planid": night.planid,
        **{f"snr_{band}": value for band, value in ratio.items()},
        "subclass": star.spectral_type,
        "z": velocity / LIGHT,
        "gaia_source_id": "",
        "magnitude": MISSING,
        **{name: value if np.isfinite(value) else MISSING for name, value in labels.items()},
        **dict.fromkeys(("teff_err", "logg_err", "feh_err", "alpha_m", "alpha_m_err"), MISSING),
        "rv": velocity,
        "rv_err": 0.0,
    }


def _shifted(raw: RawSpectrum, velocity: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LAMOST's pixels as far as the library reaches, its flux there, and which of them have any."""
    moved, there = raw.wavelength * (1 + velocity / LIGHT), raw.ivar > 0
    wave = grid()
    wave = wave[wave <= moved[there][-1]]
    flux = np.interp(wave, moved[there], raw.flux[there])
    # A pixel is good where both of its neighbours in the library are.
    lacking = np.interp(wave, moved, (~there).astype(float))
    return wave, flux, (lacking == 0) & (wave >= moved[there][0])


def _ratios(wave: np.ndarray, ratio: np.ndarray, good: np.ndarray) -> Iterator[tuple[str, float]]:
    """S/N in each of LAMOST's bands; missing where the library does not reach."""
    for band, (low, high) in BANDS.items():
        mine = good & (wave >= low) & (wave < high)
        yield band, float(np.median(ratio[mine])) if mine.sum() >= _ENOUGH else MISSING
