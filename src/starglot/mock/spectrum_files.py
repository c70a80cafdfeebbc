"""LAMOST DR10/11 low-resolution spectrum files, byte for byte the same for the same spectrum.

The layout follows real files (docs/mock.md says in what): a primary header without data but with
left-over NAXIS1 and NAXIS2, then the COADD table: one row of six float32 vectors.  Headers are put together by hand
because a release is many small files.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starglot.mock.survey import BANDS, Plate, shortened
from starglot.mock.synthesis import LOG_START, LOG_STEP, grid
from starglot.tables import atomic_path

#: Ways in which files are broken, and what a reader meets.
BROKEN: dict[str, str] = {
    "truncated": "the gzip stream is cut off",
    "no_extension": "the primary header alone, no COADD table",
    "no_good_pixel": "every pixel is masked and has ivar 0",
    "dead_arm": "the red arm is missing: flux 0, ivar 0 and masked above 5900 A",
    "nan_flux": "the flux has NaN where ivar is positive",
    "lengths_differ": "the wavelength vector is shorter than the flux",
    "absent": "the catalogue lists the file, the disk does not have it",
}
COLUMNS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")
#: zlib's fastest way through data that are mostly noise: runs only.  31: a gzip header, which carries no time.
_PACKING = (1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)


@dataclass(frozen=True)
class Spectrum:
    """One spectrum to write: arrays (npix,), and the identity and results that go into the header."""

    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    plate: Plate
    spid: int
    fiberid: int
    obsid: int
    ra: float
    dec: float
    magnitude: float
    subclass: str
    redshift: float
    snr: Mapping[str, float]


def spectrum_name(plate: Plate, spid: int, fiberid: int) -> str:
    """Path of a spectrum under the root of the spectra."""
    folder = plate.obsdate.replace("-", "")
    return f"{folder}/{plate.planid}/spec-{plate.lmjd}-{plate.planid}_sp{spid:02d}-{fiberid:03d}.fits.gz"


def write_spectrum(spectrum: Spectrum, root: Path, broken: str | None = None) -> Path:
    """Write one file under ``root``, whole or, if ``broken`` names a key of BROKEN, broken that way; return its path.

    A file that is "absent" is not written.
    """
    path = root / spectrum_name(spectrum.plate, spectrum.spid, spectrum.fiberid)
    if broken == "absent":
        return path
    packer = zlib.compressobj(*_PACKING)
    data = packer.compress(fits_bytes(spectrum, broken)) + packer.flush()
    with atomic_path(path, durable=False) as partial:  # one of thousands
        partial.write_bytes(data[: int(0.6 * len(data))] if broken == "truncated" else data)
    return path


def fits_bytes(spectrum: Spectrum, broken: str | None = None) -> bytes:
    """The uncompressed FITS file."""
    n = spectrum.flux.size
    primary = _block(_primary_cards(spectrum, n))
    if broken == "no_extension":
        return primary
    flux, ivar, mask = spectrum.flux.astype(">f4"), spectrum.ivar.astype(">f4"), spectrum.mask.astype(">f4")
    wave = grid()[:n].astype(">f4")
    if broken == "no_good_pixel":
        ivar[:], mask[:] = 0, 1
    elif broken == "dead_arm":
        dead = wave > 5900
        flux[dead], ivar[dead], mask[dead] = 0, 0, 1
    elif broken == "nan_flux":
        flux[n // 3 : n // 3 + 40] = np.nan
    elif broken == "lengths_differ":
        wave = wave[: n - 7]
    norm = shortened(_pseudo_normalised(spectrum.flux).astype(np.float32)).astype(">f4")
    vectors = (flux, ivar, wave, np.zeros(n, ">f4"), mask, norm)
    body = b"".join(v.tobytes() for v in vectors)
    return primary + _block(_table_cards([v.size for v in vectors])) + body + b"\0" * (-len(body) % 2880)


def _pseudo_normalised(flux: np.ndarray) -> np.ndarray:
    """Flux over a running mean of 200 pixels: an approximation to the pipeline's continuum-normalised spectrum."""
    width = 200
    padded = np.pad(np.maximum(flux.astype(float), 0), width // 2, mode="edge")
    total = np.cumsum(np.concatenate([[0.0], padded]))
    mean = (total[width:] - total[:-width])[: flux.size] / width
    normalised: np.ndarray = flux / np.maximum(mean, 1e-3 * mean.max() + 1e-12)
    return normalised


def _card(key: str, value: object, comment: str) -> bytes:
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, int | np.integer):
        text = f"{int(value):>20d}"
    elif isinstance(value, float | np.floating):
        text = f"{float(value):>20.8f}"
    else:
        quoted = "'" + str(value).ljust(8) + "'"
        text = quoted.ljust(20)
    return f"{key:<8}= {text} / {comment}"[:80].ljust(80).encode("ascii")


def _comment(text: str) -> bytes:
    return f"COMMENT {text}".ljust(80).encode("ascii")


def _block(cards: list[bytes]) -> bytes:
    data = b"".join(cards) + b"END".ljust(80)
    return data + b" " * (-len(data) % 2880)


def _primary_cards(s: Spectrum, n: int) -> list[bytes]:
    plate, name = s.plate, spectrum_name(s.plate, s.spid, s.fiberid)
    # Local time runs 8 h ahead: the night of LMJD begins on the evening of LMJD - 1 in UT.
    rows: list[bytes] = [
        _card("SIMPLE", True, "Standard FITS"),
        _card("BITPIX", 16, ""),
        _card("NAXIS", 0, "Number of array dimensions"),
        _card("NAXIS1", n, ""),
        _card("NAXIS2", 5, ""),
        _card("EXTEND", True, ""),
        b" " * 80,
        _comment("--------FILE INFORMATION"),
        _card("FILENAME", Path(name).name.removesuffix(".gz"), ""),
        _card("OBSID", s.obsid, "Number of this spectrum"),
        _card("AUTHOR", "starglot mock", "Made up, not observed"),
        _card("DATA_V", "LAMOST DR10", "Data release whose format this is"),
        _card("N_EXTEN", 2, "Number of extensions"),
        _card("NORM", 1, "1 if there is a normalised spectrum"),
        _card("ORIGIN", "starglot mock", "A synthetic spectrum"),
        _comment("--------TELESCOPE PARAMETERS"),
        _card("TELESCOP", "LAMOST", "Telescope whose format this is"),
        _comment("--------OBSERVATION PARAMETERS"),
        _card("DATE-OBS", f"{plate.obsdate}T16:00:00.0", "Median UTC of the observation"),
        _card("LMJD", plate.lmjd, "Local modified Julian day"),
        _card("MJD", plate.lmjd - 1, "Modified Julian day"),
        _card("PLANID", plate.planid, "Plan in use"),
        _card("RA", s.ra, "[deg] Right ascension of object"),
        _card("DEC", s.dec, "[deg] Declination of object"),
        _card("RA_OBS", s.ra, "[deg] Right ascension during observing"),
        _card("DEC_OBS", s.dec, "[deg] Declination during observing"),
        _card("OFFSET", False, "Whether the fibre is offset"),
        _card("OFFSET_V", 0.0, "Offset in arcsecond"),
        _card("FIBERID", s.fiberid, "Fibre of object"),
        _card("OBJTYPE", "Star", "Object type from input catalogue"),
        _card("FIB_TYPE", "Obj", "Fibre type"),
        _card("FIB_MASK", 0, "Bitmask of warnings, 0 means good"),
        _card("MAG_G", s.magnitude, "[mag] Magnitude of object"),
        _card("RADECSYS", "FK5", "Equatorial coordinate system"),
        _card("EQUINOX", 2000.0, "Equinox in years"),
        _card("NEXP", 3, "Number of valid exposures"),
        _card("EXPTIME", 1800.0, "[s] Least exposure time of the cameras"),
        _comment("--------SPECTROGRAPH PARAMETERS"),
        _card("SPID", s.spid, "Spectrograph"),
        _card("SLIT_MOD", "x2/3", "Slit mode"),
        _comment("--------DATA REDUCTION PARAMETERS"),
        _card("HELIO", True, "Heliocentric correction"),
        _card("VACUUM", True, "Wavelengths are in vacuum"),
        _card("NWORDER", 2, "Number of linear-log10 coefficients"),
        _card("WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"),
        _card("COEFF0", round(LOG_START, 4), "log10 wavelength of first pixel"),
        _card("COEFF1", LOG_STEP, "log10 dispersion per pixel"),
        _card("CRVAL1", round(LOG_START, 4), "log10 wavelength of first pixel"),
        _card("CD1_1", LOG_STEP, "log10 dispersion per pixel"),
        _card("CRPIX1", 1, "First pixel, from 1"),
        _card("CTYPE1", "LINEAR", ""),
        _card("DC-FLAG", 1, "Log-linear flag"),
        _comment("--------SPECTRA ANALYSIS RESULTS"),
        _card("VERSPIPE", "mock", "Version of pipeline"),
        _card("CLASS", "STAR", "Class of object"),
        _card("SUBCLASS", s.subclass, "Subclass of object"),
        _card("Z", s.redshift, "Redshift of object"),
        _card("Z_ERR", 1.5e-5, "Redshift error of object"),
        _card("ZFLAG", "LASP", "Which method gave the redshift"),
    ]
    rows += [_card(f"SNR{band.upper()}", round(s.snr[band], 2), f"S/N in {band}") for band in BANDS]
    return rows


def _table_cards(lengths: list[int]) -> list[bytes]:
    rows = [
        b"XTENSION= 'BINTABLE'           / Binary table".ljust(80),
        _card("BITPIX", 8, ""),
        _card("NAXIS", 2, ""),
        _card("NAXIS1", 4 * sum(lengths), "Number of bytes per row"),
        _card("NAXIS2", 1, "Number of rows"),
        _card("PCOUNT", 0, ""),
        _card("GCOUNT", 1, ""),
        _card("TFIELDS", len(COLUMNS), "Number of columns"),
        _comment(""),
        _card("EXTNAME", "COADD", "The extension name"),
    ]
    rows += [_card(f"TTYPE{i}", name, "") for i, name in enumerate(COLUMNS, 1)]
    rows += [_card(f"TFORM{i}", f"{length}E", "") for i, length in enumerate(lengths, 1)]
    return rows
