"""Real SDSS and BOSS spectra against another library's reading, and the mock's files against them."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pytest

from starglot.mock.sdss_files import write_sdss_spectrum
from starglot.spectra.degrade import LOG_PIXEL, survey_pixels
from starglot.surveys.sdss_spectrum import read_sdss_spectrum

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def files(real_files: Path) -> list[Path]:
    found = sorted((real_files / "sdss").glob("spec-*.fits"))
    if not found:
        pytest.skip("no real SDSS spectra beside the checkout (../shared/real/sdss)")
    return found


def test_every_file_is_read_as_fitsio_reads_it(files: list[Path]) -> None:
    for path in files:
        raw, table = read_sdss_spectrum(path), fitsio.read(path, ext="COADD")
        np.testing.assert_array_equal(raw.flux, table["flux"].astype(float))
        np.testing.assert_array_equal(raw.ivar, table["ivar"].astype(float))
        np.testing.assert_array_equal(raw.mask, table["and_mask"])
        np.testing.assert_allclose(np.log10(raw.wavelength), table["loglam"].astype(float), rtol=1e-12)
        assert np.diff(np.log10(raw.wavelength)) == pytest.approx(LOG_PIXEL, abs=1e-6)


def test_the_mocks_files_have_the_real_columns_and_keywords(files: list[Path], tmp_path: Path) -> None:
    pixels = survey_pixels(3800.0, 9200.0)
    mock = write_sdss_spectrum(pixels, np.ones(len(pixels)), 30.0, 266, 51602, 31, tmp_path)
    ours = fitsio.read(mock, ext="COADD").dtype
    header = fitsio.read_header(mock)
    for path in files:
        assert fitsio.read(path, ext="COADD").dtype == ours
        real = fitsio.read_header(path)
        for key in ("PLATEID", "MJD", "FIBERID", "COEFF0", "COEFF1", "VACUUM", "BUNIT", "TELESCOP"):
            assert key in real and key in header
        assert real["BUNIT"] == header["BUNIT"] and real["COEFF1"] == header["COEFF1"]
