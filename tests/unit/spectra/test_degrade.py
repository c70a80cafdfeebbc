"""Altered spectra: line widths add in quadrature, wavelengths shift as Doppler says, noise has the S/N asked for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.modeling.fitting import LevMarLSQFitter
from astropy.modeling.models import Const1D, Gaussian1D
from scipy.interpolate import CubicSpline
from scipy.special import voigt_profile

from refusals import refused
from starglot.config.degradation import Change
from starglot.config.root import Recipe, Wavelength
from starglot.mock.sdss_files import BRIGHTSKY, write_sdss_spectrum
from starglot.samples.altered import alter_test_spectra
from starglot.spectra.degrade import add_noise, broaden, doppler, outside, survey_pixels, tilt
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.sdss_spectrum import read_sdss_spectrum
from starglot.tables import SAMPLE, flux_matrix, spectra_schema, spectra_table, write_parquet

GRID = np.arange(3800.0, 8701.0)
FWHM = np.sqrt(8 * np.log(2))


def with_line(centre, fwhm, depth=0.5):
    """A flat spectrum with one Gaussian absorption line."""
    return 1.0 - depth * np.exp(-0.5 * ((GRID - centre) * FWHM / fwhm) ** 2)


def fitted(flux, centre):
    """(centre, FWHM, depth) of a line, fitted with astropy."""
    near = np.abs(GRID - centre) < 60
    start = Gaussian1D(amplitude=-0.3, mean=centre, stddev=3.0) + Const1D(1.0)
    found = LevMarLSQFitter()(start, GRID[near], flux[near])
    return found.mean_0.value, found.stddev_0.value * FWHM, -found.amplitude_0.value


@pytest.mark.parametrize("centre", [4000.0, 5184.0, 8500.0])
@pytest.mark.parametrize("resolution", [1200.0, 600.0])
def test_the_widths_of_a_line_add_in_quadrature_and_its_strength_stays(centre, resolution):
    native = centre / 1800.0  # an unresolved line at R = 1800
    flux = broaden(np.stack([with_line(centre, native), np.ones(len(GRID))]), GRID, resolution, 1800.0)
    at, width, depth = fitted(flux[0], centre)
    assert at == pytest.approx(centre, abs=0.03)
    assert width == pytest.approx(centre / resolution, rel=0.01)
    assert depth * width == pytest.approx(0.5 * native, rel=0.01)
    np.testing.assert_allclose(flux[1], 1.0, atol=1e-12)


def test_broadening_a_lorentzian_gives_scipys_voigt_profile():
    centre, gamma, native, resolution = 6000.0, 8.0, 1800.0, 900.0
    lorentz = 1.0 - 10.0 * voigt_profile(GRID - centre, 0.0, gamma)
    sigma = centre / FWHM * np.sqrt(resolution**-2 - native**-2)
    expected = 1.0 - 10.0 * voigt_profile(GRID - centre, sigma, gamma)
    near = np.abs(GRID - centre) < 150
    found = broaden(lorentz[None], GRID, resolution, native)[0]
    assert np.abs(lorentz - expected)[near].max() > 0.02
    np.testing.assert_allclose(found[near], expected[near], atol=5e-4)


def test_a_spectrum_cannot_be_sharpened():
    with pytest.raises(ValueError, match=r"2000\D+1800"):
        broaden(np.ones((1, len(GRID))), GRID, 2000.0, 1800.0)


@pytest.mark.parametrize("velocity", [-1000.0, -200.0, 0.0, 50.0])
def test_wavelengths_shift_as_astropy_says(velocity):
    rest = 5500 * u.AA
    expected = (velocity * u.km / u.s).to(u.AA, equivalencies=u.doppler_relativistic(rest))
    assert 5500 * doppler(velocity) == pytest.approx(expected.value, rel=1e-12)


def test_a_tilt_is_end_to_end():
    flux = tilt(np.ones((1, len(GRID))), GRID, 0.3)[0]
    assert flux[-1] - flux[0] == pytest.approx(0.3) and flux[len(GRID) // 2] == pytest.approx(1.0)
    assert np.ptp(np.diff(flux)) < 1e-12


def test_noise_has_the_ratio_asked_for():
    rng = np.random.default_rng(3)
    pixels = survey_pixels(GRID[0], GRID[-1])
    had, target, n = 40.0, 15.0, 60
    smooth = 1.0 + 0.3 * np.sin(GRID / 700.0)
    # Spectra that have been resampled with their own noise, as cleaning does it.
    own = np.interp(pixels, GRID, smooth) * rng.standard_normal((n, len(pixels))) / had
    flux = smooth + CubicSpline(pixels, own, axis=1)(GRID)
    noisy = add_noise(flux, GRID, np.full(n, had), target, [(7, i) for i in range(n)])
    # What the spline leaves of white noise on the survey's pixels, found by sending such noise through it.
    band = (GRID > 5500) & (GRID < 7000)
    passed = CubicSpline(pixels, rng.standard_normal((200, len(pixels))), axis=1)(GRID)[:, band].std()
    level = np.median(smooth[band])
    # Photon noise in the r band: the variance goes with the flux, and is the target's at the median.
    scatter = (noisy - smooth)[:, band] / np.sqrt(smooth[band] * level)
    added = (noisy - flux)[:, band] / np.sqrt(smooth[band] * level)
    assert np.sqrt(np.mean(added**2)) == pytest.approx(passed * np.sqrt(target**-2 - had**-2), rel=0.02)
    assert 1 / np.sqrt(np.mean(scatter**2)) == pytest.approx(target / passed, rel=0.02)
    blue = GRID < 4300  # as bright a pixel has as much noise wherever it is
    ratio = (noisy - flux)[:, blue].std() / (noisy - flux)[:, band].std()
    assert ratio == pytest.approx(np.sqrt(smooth[blue].mean() / smooth[band].mean()), rel=0.03)
    assert abs(np.mean(added)) < 3e-3


def test_noise_belongs_to_its_spectrum():
    flux = np.ones((3, len(GRID)))
    snr = np.array([8.0, 100.0, np.nan])
    noisy = add_noise(flux, GRID, snr, 10.0, [(1, 5), (1, 6), (1, 7)])
    assert (noisy[0] == 1).all(), "noisier already"
    alone = add_noise(flux[1:2], GRID, snr[1:2], 10.0, [(1, 6)])
    np.testing.assert_array_equal(noisy[1], alone[0])
    fainter = add_noise(flux[1:2], GRID, snr[1:2], 5.0, [(1, 6)])
    ratio = (fainter[0] - 1) / (alone[0] - 1)
    np.testing.assert_allclose(ratio, np.sqrt((1 / 25 - 1e-4) / (1 / 100 - 1e-4)))
    assert noisy[2].std() == pytest.approx(alone[0].std() / np.sqrt(1 - 0.01), rel=0.05)


# ---------------------------------------------------------------- another survey's format


def test_sdss_files_are_read_as_they_were_written(tmp_path):
    pixels = survey_pixels(3810.0, 9200.0)
    flux = 0.7 + 0.3 * np.cos(pixels / 500.0)
    path = write_sdss_spectrum(pixels, flux, 50.0, 266, 51602, 31, tmp_path)
    assert path.name == "spec-0266-51602-0031.fits"
    raw = read_sdss_spectrum(path)
    np.testing.assert_allclose(raw.wavelength, pixels, rtol=1e-6)
    np.testing.assert_allclose(raw.flux / raw.flux.max(), flux / flux.max(), rtol=1e-6)
    middle = np.argmin(np.abs(flux - np.median(flux)))
    assert raw.flux[middle] * np.sqrt(raw.ivar[middle]) == pytest.approx(50.0, rel=0.01)
    assert set(raw.mask) == {0, BRIGHTSKY}
    assert (raw.mask[(pixels > 5578) & (pixels < 5580)] == BRIGHTSKY).all()


def test_the_columns_of_sdss_may_be_in_capitals_and_or_mask_does_not_count(tmp_path):
    columns = {"FLUX": [1.0, 2.0], "LOGLAM": [3.6, 3.6001], "IVAR": [1.0, 0.0], "AND_MASK": [0, 4], "OR_MASK": [9, 9]}
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "J" if "MASK" in name else "E", array=values) for name, values in columns.items()]
    )
    table.name = "COADD"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "spec.fits")
    raw = read_sdss_spectrum(tmp_path / "spec.fits")
    assert raw.mask.tolist() == [0, 4] and raw.ivar.tolist() == [1.0, 0.0]
    assert raw.wavelength == pytest.approx([10**3.6, 10**3.6001], rel=1e-6)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "file_missing"),
        (b"", "file_unreadable"),
        (b"no FITS file" * 500, "file_unreadable"),
        ("half", "file_unreadable"),
        ("table", "layout_unknown"),
        ("air", "layout_unknown"),
        ("columns", "layout_unknown"),
    ],
)
def test_what_is_no_sdss_spectrum_says_why(tmp_path, content, reason):
    path = tmp_path / "spec.fits"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        pixels = survey_pixels(4000, 4400)
        whole = write_sdss_spectrum(pixels, np.ones(len(pixels)), 9, 1, 2, 3, tmp_path)
        with fits.open(whole) as units:
            if content == "table":
                del units[1:]
            elif content == "air":
                units[0].header["VACUUM"] = False
            elif content == "columns":
                units["COADD"].columns.del_col("ivar")
            units.writeto(path)
        if content == "half":
            path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(SpectrumRejected) as why:
        read_sdss_spectrum(path)
    assert why.value.reason == reason


# ---------------------------------------------------------------- a prediction set


RECIPE = Recipe(wavelength=Wavelength(start=3800, stop=8700))


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """(sample, labels, shard_path, flux) of 12 stars on two shards; every third is no test star."""
    folder = tmp_path_factory.mktemp("spectra")
    rng = np.random.default_rng(0)
    n = 12
    flux = np.stack([with_line(5184, 10, 0.1 + 0.05 * i) * (0.6 + 0.4 * GRID / 8700) for i in range(n)])
    flux = np.rint(1000 * flux / flux.max(axis=1, keepdims=True)).astype(np.int16)
    obsid = 100 + rng.permutation(n).astype(np.int64)
    shard = np.array(["58000-A", "58001-B"])[np.arange(n) % 2]
    star = [f"gaia:{i}" for i in range(n)]
    for name in np.unique(shard):
        mine = np.flatnonzero(shard == name)
        table = spectra_table(obsid[mine], [star[i] for i in mine], flux[mine], np.zeros(len(mine), np.int32))
        write_parquet(table, folder / f"{name}.parquet")
    split = ["train" if i % 3 == 0 else "test" for i in range(n)]
    sample = pa.table(
        {"obsid": obsid, "star_id": star, "class": ["G"] * n, "split": split, "fold": np.zeros(n, np.int8)}
    ).cast(SAMPLE)
    labels = pa.table({"obsid": obsid, "shard": shard, "snr_r": np.full(n, 80.0), "teff": 5000.0 + obsid})
    return (
        sample,
        labels.take(pa.array(rng.permutation(n))),
        lambda name: folder / f"{name}.parquet",
        dict(zip(obsid.tolist(), flux, strict=True)),
    )


def altered(stars, limit=100, **change):
    sample, labels, shard_path, _ = stars
    chosen = Change(name="x", **change)
    return alter_test_spectra(sample, labels, shard_path, RECIPE, chosen, 1800.0, limit, 1, chosen.set)


def test_an_altered_set_is_a_sample_of_its_own(stars):
    made = altered(stars, tilt=0.1)
    tests = sorted(row["obsid"] for row in stars[0].to_pylist() if row["split"] == "test")
    assert made.spectra["obsid"].to_pylist() == made.sample["obsid"].to_pylist() == tests
    assert made.spectra.schema == spectra_schema(len(GRID)) and made.sample.schema == SAMPLE
    assert set(made.sample["split"].to_pylist()) == set(made.labels["shard"].to_pylist()) == {"test-x"}
    assert [5000.0 + obsid for obsid in made.labels["obsid"].to_pylist()] == made.labels["teff"].to_pylist()
    few = altered(stars, limit=3, snr=20).sample
    same = altered(stars, limit=3, tilt=0.1).sample
    assert few["obsid"].to_pylist() == same["obsid"].to_pylist() and len(few) == 3


def test_each_change_does_what_it_says_to_the_stored_flux(stars):
    flux = stars[3]

    def stored(**change):
        made = altered(stars, **change)
        was = np.stack([flux[obsid] for obsid in made.spectra["obsid"].to_pylist()])
        return was.astype(float), flux_matrix(made.spectra).astype(float)

    was, now = stored(velocity=200.0)
    for before, after in zip(was, now, strict=True):
        moved = fitted(after / 1000, 5187.0)[0] - fitted(before / 1000, 5184.0)[0]
        assert moved == pytest.approx(5184 * (doppler(200) - 1), abs=0.1)
    # Missing pixels: the line between the ends of the gap, the end value beyond the last.
    was, now = stored(missing=[(5100.0, 5300.0), (8000.0, 8700.0)])
    inside, red = ~outside(GRID, [(5100, 5300)]), GRID >= 8000
    scale = (now[:, 0] / was[:, 0])[:, None]
    line = np.stack([np.interp(GRID, GRID[~inside], row[~inside]) for row in was])
    np.testing.assert_allclose(now[:, inside], (scale * line)[:, inside], atol=1.5)
    assert (np.ptp(now[:, red], axis=1) == 0).all() and (now.max(axis=1) == 1000).all()
    untouched = ~inside & ~red
    np.testing.assert_allclose(now[:, untouched], (scale * was)[:, untouched], atol=1.5)
    # Another format: the same spectrum, but for what the other pixels cannot hold and the flagged sky lines.
    was, now = stored(format="sdss")
    assert np.abs(now - was).max() <= 3
    was, now = stored(snr=20.0, format="sdss")
    assert 20 < np.std(now - was, axis=1).mean() < 60


def test_what_cleaning_refuses_is_listed_and_nothing_else_is_lost(stars):
    sample, labels, shard_path, _ = stars
    strict = RECIPE.model_copy(update={"min_good": 0.9})
    change = Change(name="x", missing=[(4000.0, 6000.0)])
    with refused("'test-x'", where="too_few_good_pixels", todo="degradation.changes"):
        alter_test_spectra(sample, labels, shard_path, strict, change, 1800.0, 100, 1, change.set)
    none = sample.filter(pa.compute.equal(sample["split"], "train"))
    with refused(where=f"{len(none)} spectra"):
        alter_test_spectra(none, labels, shard_path, RECIPE, change, 1800.0, 100, 1, change.set)
