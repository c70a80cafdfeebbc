"""Real DESI coadds, of healpix and of tiles, value by value against fitsio."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pytest

from starglot.config.recipes import Recipe
from starglot.spectra.clean import clean
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.desi_spectra import ARMS, read_coadd
from starglot.surveys.identify import read_file

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def files(real_files: Path) -> list[Path]:
    found = sorted(real_files.glob("desi*/coadd-*.fits"))
    if not found:
        pytest.skip("no real DESI coadds beside the checkout (../shared/real/desi)")
    return found


def test_every_pixel_is_the_files(files: list[Path]) -> None:
    for path in files:
        coadd = read_coadd(path)
        np.testing.assert_array_equal(coadd.targets, fitsio.read(path, ext="FIBERMAP")["TARGETID"])
        assert len(coadd.wavelength) == 7781
        arms = {arm: fitsio.read(path, ext=f"{arm}_WAVELENGTH") for arm in ARMS}
        times = sum(np.isin(np.rint(coadd.wavelength * 10), np.rint(wave * 10)).astype(int) for wave in arms.values())
        for arm, wave in arms.items():
            at = np.searchsorted(coadd.wavelength, wave - 0.1)
            alone = times[at] == 1
            np.testing.assert_allclose(coadd.wavelength[at], wave, atol=1e-6)
            for name, ours in (("FLUX", coadd.flux), ("IVAR", coadd.ivar), ("MASK", coadd.mask)):
                theirs = fitsio.read(path, ext=f"{arm}_{name}").astype(float)
                if name == "IVAR":  # a masked pixel says nothing
                    theirs = np.where(fitsio.read(path, ext=f"{arm}_MASK") == 0, theirs, 0.0)
                np.testing.assert_allclose(ours[:, at][:, alone], theirs[:, alone], rtol=1e-6)


def test_targets_are_cleaned_and_what_is_no_target_says_so(files: list[Path]) -> None:
    recipe = Recipe.model_validate({"wavelength": {"start": 4000.0, "stop": 5600.0, "step": 0.8}})
    seen, refused = 0, 0
    for path in files:
        kinds = [str(kind).strip() for kind in fitsio.read(path, ext="FIBERMAP")["OBJTYPE"].astype(str)]
        survey, spectra = read_file(path)
        assert survey == "desi" and len(spectra) == len(kinds)
        for kind, each in zip(kinds, spectra, strict=True):
            if kind == "TGT":
                assert isinstance(each.spectrum, RawSpectrum)
                row, _ = clean(each.spectrum, recipe)
                assert len(row) == 2001 and row.any()
                seen += 1
            else:
                assert isinstance(each.spectrum, SpectrumRejected) and each.spectrum.reason == "not_a_target"
                refused += 1
    assert (seen, refused) == (4, 3)
