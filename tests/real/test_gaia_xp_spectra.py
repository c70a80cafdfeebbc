"""Real Gaia XP files, in every format of the archive and of GaiaXPy: the same spectra as astropy reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.gaia_xp_spectra import read_all

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folder(real_files: Path) -> Path:
    if not (real_files / "gaia_xp_archive").is_dir():
        pytest.skip("no real Gaia XP files beside the checkout (../shared/real/gaia_xp_archive)")
    return real_files / "gaia_xp_archive"


def spectra(path: Path) -> dict[str, RawSpectrum]:
    found = dict(read_all(path))
    assert all(isinstance(each, RawSpectrum) for each in found.values())
    return {source: each for source, each in found.items() if isinstance(each, RawSpectrum)}


@pytest.mark.parametrize("stem", ["XP_SAMPLED_RAW", "gaiaxpy_calibrate_output"])
def test_every_format_is_what_astropy_reads_from_fits(folder: Path, stem: str) -> None:
    files = [path for path in sorted(folder.glob(f"{stem}*")) if "sampling" not in path.name]
    assert {path.suffix for path in files} == {".csv", ".ecsv", ".fits", ".xml"}
    (reference,) = (path for path in files if path.suffix == ".fits")
    with fits.open(reference) as units:
        truth = {str(row["source_id"]): (np.array(row["flux"]), np.array(row["flux_error"])) for row in units[1].data}
    assert truth
    for path in files:
        found = spectra(path)
        assert found.keys() == truth.keys(), path.name
        for source, (flux, error) in truth.items():
            np.testing.assert_allclose(found[source].flux, flux, rtol=2e-6, err_msg=path.name)
            np.testing.assert_allclose(found[source].ivar, error.astype(float) ** -2.0, rtol=1e-5)


def test_continuous_spectra_are_sampled_where_gaiaxpy_is_installed(folder: Path, real_files: Path) -> None:
    """Against GaiaXPy's own output of an earlier version, which lies beside its test files."""
    pytest.importorskip("gaiaxpy")
    with fits.open(folder / "gaiaxpy_calibrate_output.fits") as units:
        truth = {str(row["source_id"]): (np.array(row["flux"]), np.array(row["flux_error"])) for row in units[1].data}
    names = [
        *folder.glob("XP_CONTINUOUS_RAW.*"),
        *folder.glob("*_plain.xml"),
        *(real_files / "gaia_xp").glob("*RAW.fits"),
    ]
    assert {path.suffix for path in names} == {".csv", ".fits", ".xml"}
    for path in names:
        found = spectra(path)
        assert found.keys() == truth.keys(), path.name
        for source, (flux, error) in truth.items():
            assert np.abs((found[source].flux - flux) / error).max() < 0.03  # in errors: the version was another
            np.testing.assert_allclose(found[source].ivar, error.astype(float) ** -2.0, rtol=1e-2)
    for path in (
        folder / "XP_CONTINUOUS_RAW_with_missing_BP.csv",
        *(real_files / "gaia_xp").glob("*missing_BP.fits"),
    ):
        halves = [np.isfinite(each.flux) & (each.ivar > 0) for each in spectra(path).values()]
        (half,) = (each for each in halves if not each.all())
        assert half[-50:].all() and not half[:100].any()  # RP alone


def test_what_cannot_be_read_says_why(folder: Path, real_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starglot.surveys.gaia_xp_continuous.find_spec", lambda name: None)
    for path in [*folder.glob("XP_CONTINUOUS*"), *(real_files / "gaia_xp").glob("XP_CONTINUOUS*")]:
        with pytest.raises(SpectrumRejected) as caught:
            read_all(path)
        assert caught.value.reason == "layout_unknown" and "GaiaXPy" in caught.value.detail, path.name
    for path in (
        real_files / "gaia_xp" / "SampledMeanSpectrum.csv",
        folder / "gaiaxpy_calibrate_output_sampling.csv",
    ):
        with pytest.raises(SpectrumRejected) as caught:
            read_all(path)
        assert caught.value.reason == "layout_unknown", path.name
    for path in (real_files / "gaia_xp" / "SPSS_mini.csv", folder / "SPSS_2nm.csv"):  # their own sampling
        reasons = {why.reason for _, why in read_all(path) if isinstance(why, SpectrumRejected)}
        assert reasons == {"lengths_differ"}, path.name
