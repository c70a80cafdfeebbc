"""What DESI and Gaia XP see of the mock's stars: the same ones, in the surveys' files, with other instruments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from starglot.config.mock_views import MockDesi, MockGaiaXP
from starglot.config.recipes import Recipe
from starglot.config.root import Mock
from starglot.config.surveys.desi import Desi
from starglot.config.surveys.gaia_xp import GaiaXP
from starglot.mock import desi_release, gaia_xp_release
from starglot.mock.population import draw_stars
from starglot.mock.synthesis import Sampling, Stellar, rest_spectra
from starglot.spectra.clean import clean
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys import desi, desi_spectra, gaia_xp, gaia_xp_spectra
from starglot.surveys.desi_spectra import read_coadd

MOCK = Mock(spectra=120, plates=2)
BLUE = {
    "wavelength": {"start": 3999.4475, "stop": 5598.8657, "size": 1462, "log": True},
    "normalisation": {"envelope": [3700, 5700]},
    "interpolation": "linear",
}


@pytest.fixture(scope="module")
def desi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desi")
    desi_release.write_desi(folder, MOCK, MockDesi(fraction=0.5, targets=20))
    return folder


@pytest.fixture(scope="module")
def xp_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xp")
    gaia_xp_release.write_gaia_xp(folder, MOCK, MockGaiaXP())
    return folder


def test_desis_catalogue_and_coadds_hold_each_star_once(desi_folder: Path) -> None:
    truth = {row["obsid"]: row for row in pq.read_table(desi_folder / desi_release.TRUTH).to_pylist()}
    catalog = desi_folder / desi_release.CATALOG
    table = desi.read_catalog(Desi(catalog=str(catalog), spectra="healpix"))
    with fits.open(catalog) as units:
        warned = set(units["RVTAB"].data["TARGETID"][units["RVTAB"].data["RVS_WARN"] != 0].tolist())
        assert len({len(unit.data) for unit in units[1:]}) == 1
    assert set(table["obsid"].to_pylist()) == truth.keys() - warned
    root = desi_folder / desi_release.SPECTRA
    rows = desi_spectra.find_files(table, root)
    assert rows["size"].null_count == 0
    rows = rows.append_column("obsid", table["obsid"]).append_column("star_id", table["targetid"])
    outcomes = dict(desi_spectra.read(rows, root))
    assert outcomes.keys() == set(table["obsid"].to_pylist())
    recipe, empty = Recipe.model_validate(BLUE), set()
    for obsid, found in outcomes.items():
        assert isinstance(found, RawSpectrum)
        try:
            row, _ = clean(found, recipe)
            assert 500 < np.median(row) < 1050
        except SpectrumRejected as why:
            assert why.reason == "no_good_pixel"
            empty.add(obsid)
    assert empty == {obsid for obsid in outcomes if truth[obsid]["star"] % 60 == 7}


def test_desi_measures_the_truth_with_its_own_offsets_and_says_how_well(desi_folder: Path) -> None:
    truth = {row["obsid"]: row for row in pq.read_table(desi_folder / desi_release.TRUTH).to_pylist()}
    settings = Desi(catalog=str(desi_folder / desi_release.CATALOG), spectra="healpix", calibrated=False)
    rows = [row for row in desi.read_catalog(settings).to_pylist() if row["feh"] is not None]
    pulls = [(row["feh"] + 0.08 - truth[row["obsid"]]["feh"]) / row["feh_err"] for row in rows]
    assert len(rows) > 30 and 0.7 < np.std(pulls) < 1.4 and abs(np.mean(pulls)) < 0.6


def test_signal_to_noise_is_what_the_file_says(desi_folder: Path) -> None:
    with fits.open(desi_folder / desi_release.CATALOG) as units:
        told = dict(zip(units["SCORES"].data["TARGETID"], units["SCORES"].data["MEDIAN_COADD_SNR_B"], strict=True))
    for path in sorted((desi_folder / desi_release.SPECTRA).rglob("*.fits")):
        coadd = read_coadd(path)
        blue = (coadd.wavelength > 3750) & (coadd.wavelength < 5750)
        for row, target in enumerate(coadd.targets):
            if coadd.kinds[row] == "TGT" and told[target] > 0:
                ratio = np.median(coadd.flux[row, blue] * np.sqrt(coadd.ivar[row, blue]))
                assert ratio == pytest.approx(told[target], rel=0.15)


def test_lines_are_as_wide_as_desis_and_stand_where_its_zero_point_puts_them() -> None:
    """A line as narrow as the engine's is blurred to sigma 0.68 A, and 0.03 A too red."""
    wave = desi_release._engine_grid()
    centre, own = 5000.0, 5000.0 / 5000 / 2.3548
    line = np.exp(-0.5 * ((wave - centre) / own) ** 2)
    seen = desi_release._pixels("B") @ line
    at = 3600.0 + 0.8 * np.arange(2751)
    mean = (at * seen).sum() / seen.sum()
    assert mean == pytest.approx(centre + 0.03, abs=0.005)
    assert np.sqrt((seen * (at - mean) ** 2).sum() / seen.sum()) == pytest.approx(0.68, abs=0.02)


def test_a_star_looks_the_same_however_many_there_are(tmp_path: Path, desi_folder: Path, xp_folder: Path) -> None:
    more = MOCK.model_copy(update={"spectra": 60})
    desi_release.write_desi(tmp_path / "desi", more, MockDesi(fraction=0.5, targets=20))
    ours, theirs = (
        {
            int(target): coadd.flux[row]
            for path in folder.rglob("coadd*.fits")
            for coadd in [read_coadd(path)]
            for row, target in enumerate(coadd.targets)
            if target > 0
        }
        for folder in (tmp_path / "desi", desi_folder)
    )
    assert ours and ours.keys() < theirs.keys()
    for target, flux in ours.items():
        np.testing.assert_array_equal(flux, theirs[target])
    gaia_xp_release.write_gaia_xp(tmp_path / "again", MOCK, MockGaiaXP())
    files = [path.relative_to(xp_folder) for path in sorted(xp_folder.rglob("*")) if path.is_file()]
    assert files and all((xp_folder / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in files)


def test_xp_spectra_are_found_by_their_source(xp_folder: Path) -> None:
    table = gaia_xp.read_catalog(GaiaXP(catalog=str(xp_folder / gaia_xp_release.SOURCES), spectra="", level=0))
    assert len(set(table["shard"].to_pylist())) <= 16  # the mock's ids are numbers, not places on the sky
    root = xp_folder / gaia_xp_release.SPECTRA
    rows = gaia_xp_spectra.find_files(table, root).append_column("obsid", table["obsid"])
    assert rows["size"].null_count == 0
    outcomes = dict(gaia_xp_spectra.read(rows, root))
    assert outcomes.keys() == set(table["obsid"].to_pylist())
    assert all(isinstance(each, RawSpectrum) and (each.ivar > 0).all() for each in outcomes.values())


def test_xp_errors_are_those_of_its_noise_and_its_colours_those_of_the_star() -> None:
    stars = draw_stars(0, 60, 1)
    one, error = gaia_xp_release.sampled(stars, 1)
    other, _ = gaia_xp_release.sampled(stars, 2)
    assert np.std((one - other) / np.sqrt(2) / error) == pytest.approx(1, abs=0.1)
    colour = one[:, 60:80].mean(1) / one[:, 240:260].mean(1)
    unreddened = stars.ebv < 0.1
    order = np.argsort(np.argsort(colour[unreddened])), np.argsort(np.argsort(stars.teff[unreddened]))
    assert np.corrcoef(*order)[0, 1] > 0.95


def test_the_engines_default_resolution_is_lamosts() -> None:
    stars = draw_stars(0, 2, 1)
    some = Stellar(stars.teff, stars.logg, stars.feh, stars.xfe)
    np.testing.assert_array_equal(rest_spectra(some), rest_spectra(some, Sampling(1800.0, 1)))
    assert np.abs(np.diff(rest_spectra(some, Sampling(5000.0, 1)))).sum() > np.abs(np.diff(rest_spectra(some))).sum()
