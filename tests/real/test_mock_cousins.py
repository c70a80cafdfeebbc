"""Mock spectra beside real ones: the same layout, and stars of a type that look alike."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from starglot.config.root import Mock
from starglot.labels import ABUNDANCE_NAMES
from starglot.mock import write_release
from starglot.mock.synthesis import MARGIN, Stellar, grid, rest_spectra
from starglot.spectra.air import air_to_vacuum

pytestmark = pytest.mark.real


def test_files_have_the_layout_of_a_real_one(real_files: Path, tmp_path: Path) -> None:
    write_release(tmp_path, Mock(spectra=20, plates=1, broken=0))
    mock, real = next(tmp_path.rglob("spec-*.fits.gz")), sorted((real_files / "lamost/dr10_coadd").glob("*.fits"))[0]
    with warnings.catch_warnings(), fits.open(mock) as ours, fits.open(real) as theirs:
        warnings.simplefilter("ignore")
        assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs]
        assert ours[1].columns.names == theirs[1].columns.names
        width = {name: hdus[1].data["FLUX"].size for name, hdus in (("ours", ours), ("theirs", theirs))}
        kinds = [c.format.removeprefix(str(width["ours"])) for c in ours[1].columns]
        assert kinds == [c.format.removeprefix(str(width["theirs"])) for c in theirs[1].columns]
        known = set(theirs[0].header) | {"MAG_G"}
        assert set(ours[0].header) <= known
        n = min(width.values())
        assert (ours[1].data["WAVELENGTH"][0][:n] == theirs[1].data["WAVELENGTH"][0][:n]).all()


def test_stars_look_like_their_miles_cousins(real_files: Path) -> None:
    """Fifty MILES stars and their mock: after a quadratic in log flux, differences stay near a tenth of the flux."""
    with open(real_files / "miles/labels.csv") as handle:
        rows = [r for r in csv.DictReader(handle) if 3500 < float(r["teff"]) < 9800 and float(r["feh"]) > -2][::17]
    teff, logg, feh = (np.array([float(r[key]) for r in rows]) for key in ("teff", "logg", "feh"))
    xfe = np.zeros((len(rows), len(ABUNDANCE_NAMES)))
    mock = rest_spectra(Stellar(teff, logg, feh, xfe))[:, MARGIN:-MARGIN].astype(float)
    wave = grid().astype(float)
    at = (wave > 3950) & (wave < 7350)
    x = (wave[at] - 5600) / 1700
    own, other = [], []
    for index, row in enumerate(rows):
        with fits.open(real_files / "miles" / row["file"], ignore_missing_simple=True) as hdus:
            flux, header = np.ravel(hdus[0].data).astype(float), hdus[0].header
        air = header["CRVAL1"] + header["CDELT1"] * (np.arange(flux.size) + 1 - header.get("CRPIX1", 1))
        real = np.interp(wave[at], air_to_vacuum(air)[flux != 0], flux[flux != 0])
        real = np.maximum(real / real.mean(), 1e-3)
        for cousin, into in ((mock[index], own), (mock[index - 9], other)):
            ratio = np.log(real / cousin[at])
            into.append(np.std(ratio - np.polyval(np.polyfit(x, ratio, 2), x)))
    assert np.median(own) < 0.12
    assert (np.array(own) < np.array(other)).mean() > 0.8  # nearer to its own cousin than to some other star's
