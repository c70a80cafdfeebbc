"""The MILES library as a LAMOST release: what is read back is what was laid out, whatever reads LAMOST."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from refusals import refused
from starglot.commands import miles
from starglot.config.recipes import Recipe, Wavelength
from starglot.config.surveys.desi import Desi
from starglot.config.surveys.registry import Lamost
from starglot.inference.single import read_singles
from starglot.mock import miles_desi
from starglot.mock.miles import AGAIN, MSTELLAR, SPECTRA, STELLAR, read_parameters, write_miles
from starglot.mock.miles_desi import LIBRARY_FWHM, Instrument
from starglot.samples.star_ids import star_ids
from starglot.spectra.air import air_to_vacuum
from starglot.surveys import desi, lamost
from starglot.surveys.desi_spectra import coadd_file, read_coadd
from starglot.surveys.lamost_spectrum import read_spectrum

#: The head of the table, and lines of four stars as it has them: one lacks [Fe/H].
TABLE = """\
Name                  MILES   CaT   SpT            Teff   log g   [Fe/H]  Refs   Libraries
                      s????   
 - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - --
HD224930               0001   673   G3 V            5305    4.49    -0.75   SKC   L     I E   
HD102224               0418   352   K0 III          4383    2.02    -0.46   SKC     J S I E   
HD001326B              0012         M6V             3370    5.19    -1.40   131               
G156-031               0838   705   M7e             2748    5.09      --    33    L           
"""
LINE, AIR = 6562.80, 3540.5 + 0.9 * np.arange(4300)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A spectrum of each star but the last, with a line at H alpha; zeros at the ends, as in the library's files."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "paramsMILES_v9.1.txt").write_text(TABLE)
    for number in (1, 418, 12):
        flux = (1 + AIR / 7000) * (1 - 0.6 * np.exp(-0.5 * ((AIR - LINE) / 4) ** 2))
        flux[:5] = flux[-8:] = 0
        unit = fits.PrimaryHDU(flux)
        unit.header.update({"CRVAL1": 3540.5, "CDELT1": 0.9, "CRPIX1": 1})
        unit.writeto(folder / f"MILES_res2.50_star_m{number:04d}V.fits")
    return folder


def release(library: Path, out: Path, **changed) -> tuple[dict[str, int], Lamost]:
    counts = write_miles(library, out, **({"visits": 2, "snr": (40.0, 200.0), "seed": 3} | changed))
    paths = {"stellar": STELLAR, "mstellar": MSTELLAR, "spectra": SPECTRA}
    return counts, Lamost(**{key: str(out / name) for key, name in paths.items()})


def test_the_table_is_read_by_its_columns(library: Path) -> None:
    stars = {star.number: star for star in read_parameters(library / "paramsMILES_v9.1.txt")}
    assert list(stars) == [1, 418, 12, 838]
    assert (stars[418].name, stars[418].spectral_type) == ("HD102224", "K0 III")
    assert (stars[418].teff, stars[418].logg, stars[418].feh) == (4383, 2.02, -0.46)
    assert stars[838].teff == 2748 and np.isnan(stars[838].feh)


def test_the_catalogue_is_lamosts(library: Path, tmp_path: Path) -> None:
    counts, settings = release(library, tmp_path / "out")
    assert counts["stars"] == 3 and counts["spectra"] == 6 and counts["of M stars"] == 2
    assert counts["stars without a spectrum"] == 1
    rows = {row["obsid"]: row for row in lamost.read_catalog(settings).to_pylist()}
    assert len(rows) == 6
    by_star = {row["uid"] or row["gp_id"]: row for row in rows.values()}
    assert {name: (row["class"], row["teff"], row["logg"], row["feh"]) for name, row in by_star.items()} == {
        "MILES0001": ("G", 5305, 4.49, -0.75),
        "MILES0418": ("K", 4383, 2.02, -0.46),
        "MILES0012": ("M", 3370, 5.19, -1.40),
    }


def test_a_spectrum_is_the_librarys_in_vacuum_shifted_and_noisy(library: Path, tmp_path: Path) -> None:
    _, settings = release(library, tmp_path / "out", snr=(80.0, 81.0))
    table = Table.read(settings.stellar)
    for row in table:
        night = row["obsdate"].replace("-", "")
        name = f"spec-{row['lmjd']}-{row['planid']}_sp{row['spid']:02d}-{row['fiberid']:03d}.fits.gz"
        raw = read_spectrum(Path(settings.spectra) / night / row["planid"] / name)
        good = raw.ivar > 0
        assert raw.wavelength[-1] < 7420 and good.mean() > 0.99
        # The line stands where the velocity of the catalogue puts it, within a pixel (1.5 A).
        near = good & (np.abs(raw.wavelength - 6565) < 25)
        depth = np.clip(np.median(raw.flux[near]) - raw.flux[near], 0, None) ** 2
        found = np.average(raw.wavelength[near], weights=depth)
        assert found == pytest.approx(air_to_vacuum(np.array([LINE]))[0] * (1 + row["z"]), abs=0.75)
        # The noise is what the inverse variance says, and the S/N near that which was wanted.
        smooth = np.convolve(raw.flux, np.ones(15) / 15, "same")
        calm = good & (np.abs(raw.wavelength - 5000) < 400)
        assert np.std((raw.flux - smooth)[calm] * np.sqrt(raw.ivar[calm])) == pytest.approx(1, abs=0.12)
        assert row["snrr"] == pytest.approx(80, rel=0.15)
        assert (
            row["snri"] > 0 > row["snrz"]
        )  # the library reaches into i, on which LAMOST's spectra are cut, not into z


def test_every_spectrum_is_cleaned_over_the_librarys_range(library: Path, tmp_path: Path) -> None:
    _, settings = release(library, tmp_path / "out")
    recipe = Recipe(wavelength=Wavelength(start=3800, stop=7400, step=1))
    singles = read_singles(sorted(Path(settings.spectra).rglob("*.fits.gz")), recipe)
    assert len(singles) == 6 and all(single.flux is not None and single.survey == "lamost" for single in singles)


def test_the_same_seed_gives_the_same_bytes(library: Path, tmp_path: Path) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        release(library, tmp_path / name, seed=seed)
    assert content(tmp_path / "a") == content(tmp_path / "b") != content(tmp_path / "c")


def test_a_folder_that_is_not_the_library_is_refused(library: Path, tmp_path: Path) -> None:
    with refused(where=tmp_path / "nowhere"):
        write_miles(tmp_path / "nowhere", tmp_path / "out", 1, (15, 120), 0)
    with refused(where="visits", allowed=100):
        write_miles(library, tmp_path / "out", 0, (15, 120), 0)
    for path in library.glob("*.fits"):
        path.unlink()
    with refused(where=library, allowed="m0001V.fits"):
        write_miles(library, tmp_path / "out", 1, (15, 120), 0)
    (library / "paramsMILES_v9.1.txt").write_text(TABLE.replace("4.49", "4,49"))
    with refused(4, where=library / "paramsMILES_v9.1.txt"):
        read_parameters(library / "paramsMILES_v9.1.txt")


def test_the_command_says_what_it_wrote(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    miles.run([str(library), str(tmp_path / "out"), "--visits", "3"])
    assert "3 stars, 9 spectra" in capsys.readouterr().out
    assert (tmp_path / "out" / STELLAR).is_file()


@pytest.fixture
def again(library: Path, tmp_path: Path) -> tuple[Lamost, Desi, Instrument]:
    """The library seen by both instruments, the other one with hardly any noise."""
    other = Instrument(fwhm=12.0, snr=(3000.0, 3001.0), shift=0.7, slope=0.3)
    counts, settings = release(library, tmp_path / "out", again=other)
    assert counts["spectra of the other instrument"] == 3
    folder = tmp_path / "out" / AGAIN
    paths = {"catalog": folder / miles_desi.CATALOG, "spectra": folder / miles_desi.SPECTRA}
    return settings, Desi(calibrated=False, **{key: str(path) for key, path in paths.items()}), other


def test_both_instruments_see_the_same_stars_with_the_librarys_labels(again) -> None:
    first, second, _ = again
    seen = {}
    for survey, table in (("lamost", lamost.read_catalog(first)), ("desi", desi.read_catalog(second))):
        ids = star_ids(table, survey=survey, own_ids=("targetid",) if survey == "desi" else ("gp_id", "uid"))
        labels = (table[name].to_pylist() for name in ("teff", "logg", "feh"))
        seen[survey] = dict(zip(ids.to_pylist(), zip(*labels, strict=True), strict=True))
    assert seen["desi"] == seen["lamost"] and len(seen["desi"]) == 3
    assert (5305, 4.49, -0.75) in seen["desi"].values()
    assert desi.read_catalog(second)["alpha_fe"].null_count == 3


def test_the_other_instruments_lines_are_broader_and_stand_elsewhere(again) -> None:
    _, settings, other = again
    table = desi.read_catalog(settings)
    coadd = read_coadd(Path(settings.spectra) / coadd_file(table["shard"][0].as_py()))
    velocity = dict(
        zip(*(fits.getdata(settings.catalog, "RVTAB")[name] for name in ("TARGETID", "VRAD")), strict=True)
    )
    assert coadd.wavelength[0] == 3600 and np.allclose(np.diff(coadd.wavelength), 0.8)
    for row in np.flatnonzero(coadd.targets > 0):
        good = coadd.ivar[row] > 0
        assert 7300 < coadd.wavelength[good][-1] < 7430  # the library's end
        near = good & (np.abs(coadd.wavelength - 6565) < 40)
        wave, flux = coadd.wavelength[near], coadd.flux[row][near]
        level = np.polynomial.Polynomial.fit(wave[[0, -1]], flux[[0, -1]], 1)(wave)
        depth = 1 - flux / level
        centre = (wave * depth).sum() / depth.sum()
        width = np.sqrt((depth * (wave - centre) ** 2).sum() / depth.sum())
        rest = air_to_vacuum(np.array([LINE]))[0]
        moved = rest * (1 + velocity[coadd.targets[row]] / 299792.458) + other.shift
        assert centre == pytest.approx(moved, abs=0.1)
        blurred = (other.fwhm**2 - LIBRARY_FWHM**2) / (8 * np.log(2))
        assert width == pytest.approx(np.sqrt(4**2 + blurred), rel=0.03)


def test_the_other_instruments_flux_rises_by_its_slope(library: Path, tmp_path: Path) -> None:
    """Against the same stars without one: the mean over stars of the slope along arm B, which scatters by half."""
    ends = {}
    for slope in (0.0, 0.4):
        out = tmp_path / str(slope)
        release(library, out, again=Instrument(fwhm=2.5, snr=(3000.0, 3001.0), shift=0.0, slope=slope))
        (path,) = (out / AGAIN).rglob("coadd-*.fits")
        flux = fits.getdata(path, "B_FLUX")[:3]
        ends[slope] = np.log(flux[:, -200:].mean(axis=1) / flux[:, 200:400].mean(axis=1))
    part = (2751 - 400) / 2750
    gained = (ends[0.4] - ends[0.0]) / part
    assert np.abs(gained - 0.4).max() < 4 * 0.2 and np.std(gained) > 0.02
    assert gained.mean() == pytest.approx(0.4, abs=4 * 0.2 / np.sqrt(3))


def test_another_instrument_leaves_the_spectra_of_the_first_as_they_are(library: Path, tmp_path: Path) -> None:
    for name, other in (("alone", None), ("both", Instrument())):
        release(library, tmp_path / name, again=other)
    for path in (tmp_path / "alone" / SPECTRA).rglob("*.fits.gz"):
        same = tmp_path / "both" / path.relative_to(tmp_path / "alone")
        assert same.read_bytes() == path.read_bytes()


def test_an_instrument_that_there_cannot_be_is_refused(library: Path, tmp_path: Path) -> None:
    with refused(2, where="--fwhm", allowed=LIBRARY_FWHM):
        release(library, tmp_path / "out", again=Instrument(fwhm=2.0))
    with refused(where="--desi-snr"):
        release(library, tmp_path / "out", again=Instrument(snr=(50.0, 20.0)))
    assert not (tmp_path / "out").exists()
