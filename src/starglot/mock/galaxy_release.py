"""Write a mock release of galaxies as SDSS lays one out: spec files by plate, specObj, and a table of magnitudes."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits
from scipy.special import ndtri
from tqdm import tqdm

from starglot.config.mock_galaxies import MockGalaxies
from starglot.errors import StarglotError
from starglot.hashing import stable_hash
from starglot.mock.catalogs import write_table
from starglot.mock.galaxy_observation import Coadd, observe
from starglot.mock.galaxy_spectra import Galaxies, draw_galaxies
from starglot.mock.population import uniforms
from starglot.mock.sdss_files import sdss_name
from starglot.tables import atomic_path, write_parquet, write_text

log = logging.getLogger(__name__)

#: Paths below the folder of the release.
SPEC_OBJ, PHOTOMETRY, TRUTH = "specObj-mock.fits", "photometry.csv", "truth.parquet"
RUN2D = "26"
#: Ways in which spectra are broken, or their rows wrong, and what a reader meets.
BROKEN: dict[str, str] = {
    "empty_fibre": "no light: ivar 0 in every pixel; the table has z 0 and ZWARNING 6",
    "empty_unnoticed": "ivar 0 in every pixel; the table knows nothing of it",
    "cut_file": "the file ends in the middle of the table",
    "cut_spectrum": "no pixels beyond 7350 A",
    "nan_ivar": "ivar is not a number in every pixel",
    "absent": "the table lists the file, the disk does not have it",
    "wrong_class": "the table calls the galaxy a star, at z 0.0002",
    "quasar": "the table calls the galaxy a quasar, at z 1.9",
    "doubtful": "ZWARNING 4: the second-best redshift fits nearly as well; z is wrong",
}
_TYPES = {"J": ">i4", "D": ">f8", "E": ">f4", "B": "u1"}
_PLATE_SIZE, _FIRST_PLATE = 640, 266
_BLOCK = 250
#: The table of a spec file on the redshift, and specObj: format of each column.
_COLUMNS = {
    "SURVEY": "6A", "RUN2D": "6A", "SPECOBJID": "22A", "SOURCETYPE": "6A", "PLATE": "J", "MJD": "J", "FIBERID": "J",
    "PLUG_RA": "D", "PLUG_DEC": "D", "CLASS": "6A", "SUBCLASS": "21A", "Z": "E", "Z_ERR": "E", "ZWARNING": "J",
    "SN_MEDIAN_ALL": "E", "SPECPRIMARY": "B", "Z_NOQSO": "E", "Z_ERR_NOQSO": "E", "ZWARNING_NOQSO": "J",
    "CLASS_NOQSO": "6A",
}  # fmt: skip


def write_galaxies(out: Path, settings: MockGalaxies) -> dict[str, int]:
    """Write a release under ``out``; returns its counts.  The same settings give the same bytes.

    StarglotError when the spectra do not fit on the plates.
    """
    out = Path(out)
    galaxies = draw_galaxies(0, settings.number, settings.seed, settings.snr, settings.redshift)
    star, visit = _visits(galaxies)
    if len(star) > _PLATE_SIZE * settings.plates:
        raise StarglotError(
            f"{len(star)} spectra of mock galaxies do not fit on {settings.plates} plates",
            where="config: mock.galaxies.plates",
            allowed=f"at most {_PLATE_SIZE} spectra a plate",
            todo=f"set it to {-(-len(star) // _PLATE_SIZE)} or more",
        )
    rows = _rows(galaxies, star, visit, settings)
    magnitude = _magnitudes(galaxies, settings.seed)
    hashes = stable_hash(rows["SPECOBJID"].tolist(), "broken")
    broken: list[str | None] = [None] * len(star)
    for place, at in enumerate(np.argsort(hashes)[: settings.broken]):
        broken[int(at)] = list(BROKEN)[place % len(BROKEN)]
        _misjudge(rows, int(at), broken[int(at)])
    for first in tqdm(range(0, len(star), _BLOCK), desc="mock galaxies", unit="block", mininterval=2):
        at = np.arange(first, min(first + _BLOCK, len(star)))
        spectra = observe(galaxies.take(star[at]), visit[at], magnitude[star[at]], settings.seed)
        for row, spectrum in zip(at, spectra, strict=True):
            _write_file(out, {name: rows[name][row : row + 1] for name in _COLUMNS}, spectrum, broken[row])
    write_table(out / SPEC_OBJ, {name: rows[name] for name in _COLUMNS})
    listed = zip(rows["SPECOBJID"], np.full(len(star), 3), magnitude[star], strict=True)
    write_text("specobjid,type,dered_i\n" + "".join(f"{i},{t},{m:.4f}\n" for i, t, m in listed), out / PHOTOMETRY)
    write_parquet(_truth(galaxies, star, visit, rows, broken), out / TRUTH, {"seed": settings.seed})
    return {"spectra": len(star), "galaxies": settings.number, "plates": settings.plates, "broken": settings.broken}


def _visits(galaxies: Galaxies) -> tuple[np.ndarray, np.ndarray]:
    """Galaxy and visit of each spectrum: all first visits, then the second ones, which other plates have."""
    again = np.flatnonzero(galaxies.visits > 1)
    star = np.concatenate([np.arange(len(galaxies.z)), again])
    return star, np.repeat([0, 1], [len(galaxies.z), len(again)])


def _rows(galaxies: Galaxies, star: np.ndarray, visit: np.ndarray, settings: MockGalaxies) -> dict[str, np.ndarray]:
    """specObj's columns, a row for each spectrum, as the pipeline would have them."""
    n = len(star)
    # First visits go round the plates; the second visit of a galaxy is on the plate after that of its first.
    home = star % settings.plates
    plate = (home + visit) % settings.plates
    fiber = _counted(plate)
    mjd = 52000 + 7 * plate
    u = uniforms(settings.seed, 43, star, 4)
    scatter = ndtri(uniforms(settings.seed, 44, star * 2 + visit, 3))
    number = np.char.add(
        np.char.add((_FIRST_PLATE + plate).astype(str), mjd.astype(str)), [f"{f:04d}" for f in fiber]
    )
    quiet = galaxies.h_alpha[star] < 2
    error = 3e-5 * np.clip(30 / galaxies.snr[star], 0.7, 6)
    zeros = np.zeros(n)
    return {
        "SURVEY": np.full(n, "sdss"),
        "RUN2D": np.full(n, RUN2D),
        "SPECOBJID": number,
        "SOURCETYPE": np.full(n, "GALAXY"),
        "PLATE": (_FIRST_PLATE + plate).astype("i4"),
        "MJD": mjd.astype("i4"),
        "FIBERID": fiber.astype("i4"),
        # A fibre stands within half an arcsecond of where it stood before.
        "PLUG_RA": 150 + 40 * u[:, 0] + 1e-4 * scatter[:, 0],
        "PLUG_DEC": 50 * u[:, 1] + 7e-5 * scatter[:, 1],
        "CLASS": np.full(n, "GALAXY"),
        "SUBCLASS": np.where(quiet, "", "STARFORMING"),
        "Z": (galaxies.z[star] + error * scatter[:, 2]).astype("f4"),
        "Z_ERR": error.astype("f4"),
        "ZWARNING": zeros.astype("i4"),
        "SN_MEDIAN_ALL": galaxies.snr[star].astype("f4"),
        "SPECPRIMARY": (visit == 0).astype("i2"),
        "Z_NOQSO": zeros.astype("f4"),
        "Z_ERR_NOQSO": zeros.astype("f4"),
        "ZWARNING_NOQSO": zeros.astype("i4"),
        "CLASS_NOQSO": np.full(n, ""),
    }


def _counted(plate: np.ndarray) -> np.ndarray:
    """1, 2, 3 ... within each plate, in order."""
    out = np.zeros(len(plate), int)
    for each in np.unique(plate):
        mine = plate == each
        out[mine] = np.arange(1, mine.sum() + 1)
    return out


def _misjudge(rows: dict[str, np.ndarray], at: int, how: str | None) -> None:
    """What the table says of a broken spectrum."""
    wrong: dict[str, dict[str, float | str]] = {
        "empty_fibre": {"Z": 0.0, "ZWARNING": 6, "SN_MEDIAN_ALL": 0.0},
        "wrong_class": {"CLASS": "STAR", "SUBCLASS": "K5", "Z": 0.0002},
        "quasar": {"CLASS": "QSO", "SUBCLASS": "BROADLINE", "Z": 1.9},
        "doubtful": {"ZWARNING": 4, "Z": 0.31},
    }
    for name, value in wrong.get(how or "", {}).items():
        rows[name][at] = value


def _magnitudes(galaxies: Galaxies, seed: int) -> np.ndarray:
    """(n,) dereddened magnitudes in i: fainter ones have a lower S/N, and a few are beyond the usual cut at 18."""
    u = ndtri(uniforms(seed, 45, galaxies.number, 1)[:, 0])
    return np.asarray(17.3 - 1.1 * np.log10(galaxies.snr / 15) + 0.25 * u)


def _write_file(out: Path, row: dict[str, np.ndarray], spectrum: Coadd, broken: str | None) -> None:
    plate, mjd, fiber = (int(row[name][0]) for name in ("PLATE", "MJD", "FIBERID"))
    if broken == "absent":
        return
    values = {
        "flux": spectrum.flux, "loglam": spectrum.loglam, "ivar": spectrum.ivar, "and_mask": spectrum.mask,
        "or_mask": spectrum.mask, "wdisp": np.full(len(spectrum.flux), 1.0), "sky": spectrum.sky,
        "model": spectrum.model,
    }  # fmt: skip
    if broken in ("empty_fibre", "empty_unnoticed"):
        values |= {"flux": 0 * spectrum.flux, "ivar": 0 * spectrum.ivar}
    elif broken == "nan_ivar":
        values["ivar"] = np.full(len(spectrum.ivar), np.nan)
    elif broken == "cut_spectrum":
        shown = spectrum.loglam < np.log10(7350)
        values = {name: value[shown] for name, value in values.items()}
    coadd = np.empty(len(values["flux"]), [(name, ">i4" if "mask" in name else ">f4") for name in values])
    about = np.empty(
        1, [(name, _TYPES[form] if form in _TYPES else f"S{form[:-1]}") for name, form in _COLUMNS.items()]
    )
    for table, columns in ((coadd, values), (about, row)):
        for name in columns:
            table[name] = columns[name]
    primary = fits.PrimaryHDU()
    header = {
        "TELESCOP": "SDSS 2.5-M",
        "PLATEID": plate,
        "MJD": mjd,
        "FIBERID": fiber,
        "PLUG_RA": float(row["PLUG_RA"][0]),
        "PLUG_DEC": float(row["PLUG_DEC"][0]),
        "COEFF0": float(values["loglam"][0]),
        "COEFF1": 1e-4,
        "VACUUM": True,
        "BUNIT": "1E-17 erg/cm^2/s/Ang",
    }
    primary.header.update(header)
    content = (
        primary.header.tostring().encode("ascii") + _table_bytes("COADD", coadd) + _table_bytes("SPECOBJ", about)
    )
    path = out / RUN2D / "spectra" / f"{plate:04d}" / sdss_name(plate, mjd, fiber)
    with atomic_path(path, durable=False) as partial:  # one of thousands
        partial.write_bytes(content[: int(0.6 * len(content))] if broken == "cut_file" else content)


@cache
def _table_header(name: str, kind: np.dtype[np.void]) -> str:
    return str(fits.BinTableHDU(np.zeros(0, kind), name=name).header.tostring())


def _table_bytes(name: str, rows: np.ndarray) -> bytes:
    """A table as it stands in a file; astropy makes its header once, as that takes ten times as long as the rest."""
    header = _table_header(name, rows.dtype).replace(f"NAXIS2  = {0:20d}", f"NAXIS2  = {len(rows):20d}")
    data = rows.tobytes()
    return header.encode("ascii") + data + b"\0" * (-len(data) % 2880)


def _truth(
    galaxies: Galaxies, star: np.ndarray, visit: np.ndarray, rows: dict[str, np.ndarray], broken: list[str | None]
) -> pa.Table:
    """True parameters of every spectrum's galaxy; no rule reads them."""
    seen = galaxies.take(star)
    names = ("z", "metals", "dispersion", "ebv", "h_alpha", "nii", "oiii", "gas", "snr")
    columns = {
        "specobjid": pa.array(rows["SPECOBJID"].tolist()),
        "galaxy": pa.array(star),
        "visit": pa.array(visit.astype(np.int8)),
        **{name: pa.array(getattr(seen, name)) for name in names},
        "young": pa.array(seen.light[:, 2:].sum(axis=1)),
        "broken": pa.array(broken, pa.string()),
    }
    return pa.table(columns)
