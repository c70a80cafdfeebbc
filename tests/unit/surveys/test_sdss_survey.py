"""SDSS as a survey: the catalogue's cuts, files in the archive's layouts, what cannot be used, the mock."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from refusals import refused
from starglot.config.mock_galaxies import MockGalaxies
from starglot.config.recipes import Recipe
from starglot.config.surveys.sdss import Sdss
from starglot.formats.counts import Counts
from starglot.mock.galaxy_release import BROKEN, write_galaxies
from starglot.mock.galaxy_spectra import (
    attenuation,
    draw_galaxies,
    emission_lines,
    populations,
    rest_grid,
    rest_spectra,
)
from starglot.samples.held_out import held_out
from starglot.samples.star_ids import star_ids
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.shard import clean_shard
from starglot.surveys.sdss import read_catalog
from starglot.surveys.sdss_spectra import find_files, read
from starglot.surveys.sdss_spectrum import read_sdss_spectrum
from starglot.tables import SELECTED

GALAXY = {"wavelength": {"start": 3850.0, "stop": 9149.0}, "normalisation": "p99", "interpolation": "linear"}
RECIPE = Recipe.model_validate({**GALAXY, "max_edge": 40.0})


def row(**changes):
    """A row of specObj."""
    return {
        "PLATE": 266, "MJD": 51602, "FIBERID": 1, "RUN2D": "26", "SPECOBJID": "299489676975171584", "PLUG_RA": 10.0,
        "PLUG_DEC": -5.0, "CLASS": "GALAXY", "SUBCLASS": "", "Z": 0.1, "Z_ERR": 1e-4, "ZWARNING": 0,
        "SN_MEDIAN_ALL": 12.0, "Z_NOQSO": 0.0, "Z_ERR_NOQSO": 0.0, "ZWARNING_NOQSO": 0, "CLASS_NOQSO": "", **changes,
    }  # fmt: skip


def catalog(folder: Path, *rows, **settings):
    Table(list(rows)).write(folder / "specObj.fits", overwrite=True)
    counts = Counts()
    table = read_catalog(Sdss(catalog=str(folder / "specObj.fits"), spectra=str(folder), **settings), counts)
    return table, counts


def redshifts(table):
    return dict(zip(table["fiberid"].to_pylist(), table["redshift"].to_pylist(), strict=True))


def test_classes_warnings_and_ranges_decide_which_redshifts_count(tmp_path):
    rows = [
        row(),
        row(FIBERID=2, CLASS="QSO", Z=0.3),
        row(FIBERID=3, CLASS="STAR", Z=0.0001),
        row(FIBERID=4, ZWARNING=4),
        row(FIBERID=5, Z=0.6),
        row(FIBERID=6, Z=-0.001),
        row(FIBERID=7, Z=77.0),  # no redshift that an object can have
    ]
    table, counts = catalog(tmp_path, *rows)
    assert redshifts(table) == {1: pytest.approx(0.1), **dict.fromkeys(range(2, 8))}
    assert table["obsid"].to_pylist()[0] == 266516020001 and set(table["shard"].to_pylist()) == {"0266"}
    assert table["object_class"].to_pylist()[:3] == ["GALAXY", "QSO", "STAR"]  # read, and kept apart
    account = counts.as_json()["values"]["redshift"]
    assert account["valid"] == 1 and account["refused"]["flagged"]["rows"] == 6
    wide = {"redshift": (-0.01, 99.0), "zwarning_bits": [2]}
    table, counts = catalog(tmp_path, *rows, classes=["GALAXY", "QSO"], **wide)
    found = redshifts(table)
    assert [fiber for fiber, z in found.items() if z is not None] == [1, 2, 5, 6]
    assert counts.as_json()["values"]["redshift"]["refused"]["outside_limits"]["rows"] == 1


def test_held_out_plates_are_judged_and_never_learnt(tmp_path):
    rows = [row(), row(FIBERID=2, PLATE=400), row(FIBERID=3, PLATE=400, ZWARNING=4), row(FIBERID=4, PLATE=400, Z=0.7)]
    table, _ = catalog(tmp_path, *rows, held_out=[400])
    table = table.append_column("star_id", pa.array(["a", "b", "c", "d"]))
    assert redshifts(table) == {1: pytest.approx(0.1), 2: None, 3: None, 4: None}
    found = held_out(table, "sdss")
    assert found.to_pylist() == [
        {"obsid": 400516020002, "star_id": "b", "redshift": pytest.approx(0.1), "redshift_err": pytest.approx(1e-4)}
    ]
    without, _ = catalog(tmp_path, *rows, held_out=[7])
    for none in (without.append_column("star_id", table["star_id"]), table.select(["obsid", "star_id", "redshift"])):
        with refused("sdss", where=str(len(rows)), todo="surveys.sdss.held_out"):
            held_out(none, "sdss")


def test_z_noqso_counts_for_galaxies_where_the_file_has_it(tmp_path):
    boss = {"Z_NOQSO": 0.2, "Z_ERR_NOQSO": 2e-4, "CLASS_NOQSO": "GALAXY"}
    table, _ = catalog(
        tmp_path,
        row(),  # legacy: 0 and blank, not filled
        row(FIBERID=2, **boss),
        row(FIBERID=3, **boss, ZWARNING=4),
        row(FIBERID=4, **{**boss, "ZWARNING_NOQSO": 4}),
        row(FIBERID=5, **boss, CLASS="QSO", Z=0.3),
        classes=["GALAXY", "QSO"],
    )
    expected = {1: 0.1, 2: 0.2, 3: 0.2, 4: None, 5: 0.3}
    assert redshifts(table) == {k: v if v is None else pytest.approx(v) for k, v in expected.items()}
    assert table["redshift_err"].to_pylist()[1] == pytest.approx(2e-4)


@pytest.mark.parametrize("form", ["csv", "fits"])
def test_a_table_of_magnitudes_cuts(tmp_path, form):
    ids = [str(299489676975171584 + n) for n in range(5)]
    photometry = Table(
        {
            "specobjid": ids[:4],
            "type": [3, 3, 6, 3],
            "modelMag_i": [17.5, 18.2, 15.0, 18.2],
            "extinction_i": [0.1] * 3 + [0.3],
        }
    )
    path = tmp_path / f"photo.{form}"
    photometry.write(path)
    rows = [row(FIBERID=n + 1, SPECOBJID=name) for n, name in enumerate(ids)]
    table, _ = catalog(tmp_path, *rows, photometry=str(path))
    # 17.4; 18.1; a star; 17.9; not in the table
    assert [n for n, z in redshifts(table).items() if z is not None] == [1, 4]
    Table({"ra": [1.0], "type": [3]}).write(path, overwrite=True)
    with refused(where=path, allowed="specobjid"):
        catalog(tmp_path, *rows, photometry=str(path))


def test_a_catalogue_of_another_kind_says_what_it_lacks(tmp_path):
    for lost in ("Z", "CLASS", "PLATE"):
        with refused(where=tmp_path / "specObj.fits", allowed=lost):
            catalog(tmp_path, {name: value for name, value in row().items() if name != lost})
    with refused(where=tmp_path / "specObj.fits"):
        catalog(tmp_path, {"obsid": 1, "teff": 5000.0})


def test_a_galaxy_on_two_plates_is_one_object_and_a_row_twice_is_one_row(tmp_path):
    table, counts = catalog(
        tmp_path,
        row(),
        row(PLATE=900, MJD=52000, PLUG_RA=10.0002, PLUG_DEC=-5.0001),  # 0.8 arcsec away
        row(FIBERID=9, PLUG_RA=10.01),
        row(),
    )
    assert counts.as_json()["rows"]["left_out"]["second_entry"]["rows"] == 1
    ids = star_ids(table, survey="sdss", own_ids=()).to_pylist()
    assert ids[0] == ids[1] != ids[2]


def selected(*rows):
    names = {
        "obsid": pa.int64(),
        "star_id": pa.string(),
        "plate": pa.int64(),
        "mjd": pa.int64(),
        "fiberid": pa.int64(),
    }
    schema = pa.schema([*names.items(), ("run2d", pa.string())])
    return pa.Table.from_pylist([dict(zip(schema.names, each, strict=True)) for each in rows], schema=schema)


@pytest.mark.parametrize("folder", ["0266", "26/spectra/0266", "26/spectra/lite/0266", "26/spectra/full/0266"])
def test_files_are_found_in_every_layout_of_the_archive(tmp_path, folder):
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "spec-0266-51602-0031.fits").write_bytes(b"x" * 10)
    (place / "spec-0266-51602-0032.fits.gz").write_bytes(b"x" * 11)
    found = find_files(selected(*[(n, "a", 266, 51602, n, "26") for n in (31, 32, 33)]), tmp_path).to_pylist()
    assert [each["size"] for each in found] == [10, 11, None]
    assert found[1]["file"] == f"{folder}/spec-0266-51602-0032.fits.gz"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mock")
    settings = MockGalaxies(number=60, plates=2, broken=len(BROKEN))
    return folder, settings, write_galaxies(folder, settings)


def test_every_kind_of_damage_is_met_with_its_own_reason(release, caplog):
    folder, _, counts = release
    broken = pq.read_table(folder / "truth.parquet")["broken"].to_pylist()
    assert set(broken) == {None, *BROKEN} and len(broken) == counts["spectra"]
    with caplog.at_level(logging.INFO):
        table = read_catalog(Sdss(catalog=str(folder / "specObj-mock.fits"), spectra=str(folder)))
    names = table.append_column("star_id", pa.array(["x"] * len(table)))
    files = find_files(table, folder)
    rows = pa.table({name: names[name] if name in names.column_names else files[name] for name in SELECTED.names})
    spectra, rejected = clean_shard(rows.cast(SELECTED), folder, RECIPE, read, 1)
    assert len(spectra) + len(rejected) == len(table)
    why = {each["obsid"]: (each["reason"], each["detail"]) for each in rejected.to_pylist()}
    by_kind = {b: why.get(o) for o, b in zip(table["obsid"].to_pylist(), broken, strict=True) if b}
    reasons = {kind: found and found[0] for kind, found in by_kind.items()}
    assert reasons == {
        "empty_fibre": "no_good_pixel",
        "empty_unnoticed": "no_good_pixel",
        "cut_file": "file_unreadable",
        "cut_spectrum": "range_not_covered",
        "nan_ivar": "no_good_pixel",
        "absent": "file_missing",
        "wrong_class": None,
        "quasar": None,
        "doubtful": None,
    }
    assert "empty fibre" in by_kind["empty_unnoticed"][1] and "not a number" in by_kind["nan_ivar"][1]
    valued = dict(zip(broken, table["redshift"].to_pylist(), strict=True))
    assert [valued[kind] for kind in ("empty_fibre", "wrong_class", "quasar", "doubtful")] == [None] * 4


def test_the_mock_is_the_same_every_time_and_astropy_reads_it(release, tmp_path):
    folder, settings, _ = release
    write_galaxies(tmp_path, settings)
    ours = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert ours == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((folder / path).read_bytes() == (tmp_path / path).read_bytes() for path in ours)
    whole = next(path for path in ours if path.name.startswith("spec-"))
    with fits.open(folder / whole) as units:
        units.verify("exception")
        raw = read_sdss_spectrum(folder / whole)
        np.testing.assert_array_equal(raw.flux, units[1].data["flux"].astype(float))
        np.testing.assert_array_equal(raw.mask, units["COADD"].data["and_mask"])
        np.testing.assert_allclose(raw.wavelength, 10 ** units[1].data["loglam"].astype(float))
        assert units[2].data["PLATE"][0] == units[0].header["PLATEID"]
    with refused(allowed="640", todo="2"):
        write_galaxies(tmp_path, settings.model_copy(update={"number": 700, "plates": 1}))


def test_the_mock_s_galaxies_obey_the_physics_that_they_are_made_of():
    galaxies = draw_galaxies(0, 300, 7, (5.0, 40.0), (0.0, 0.6))
    bases, wave = populations(), rest_grid()
    level = np.ones(300)
    lines = emission_lines(galaxies, level)
    # Atomic physics: ratios that no gas can change, and the Balmer decrement before dust.
    np.testing.assert_allclose(lines[5008.24] / lines[4960.30], 1 / 0.335)
    np.testing.assert_allclose(lines[6564.61] / lines[4862.68], 2.86)
    assert attenuation(np.array([5500.0]))[0] == pytest.approx(4.05, abs=0.03)  # R_V of Calzetti et al. (2000)
    one = galaxies.take(np.array([0, 0]))
    extremes = {"light": np.array([[1, 0, 0, 0], [0, 0, 1, 0]]), "ebv": np.zeros(2), "h_alpha": np.full(2, 1e-6)}
    old, young = rest_spectra(type(one)(**{**vars(one), **extremes}), bases)

    def d4000(flux):
        def band(low, high):
            return flux[(wave > low) & (wave < high)].mean()

        return band(4000, 4100) / band(3850, 3950)

    assert d4000(old) > 1.7 > 1.35 > d4000(young)  # as observed: old about 1.8, young 1.2

    def depth(flux, centre):
        side = (np.interp(centre - 60, wave, flux) + np.interp(centre + 60, wave, flux)) / 2
        return 1 - np.interp(centre, wave, flux) / side

    assert depth(young, 4102.9) > 2 * depth(old, 4102.9) and depth(old, 5177.0) > 2 * depth(young, 5177.0)
    assert np.ptp(galaxies.z) > 0.5 and len(np.unique(np.round(galaxies.light, 6), axis=0)) == 300


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda units: units.pop(1), "layout_unknown"),
        (lambda units: units[1].columns.del_col("loglam"), "layout_unknown"),
        (lambda units: units[0].header.set("VACUUM", False), "layout_unknown"),
    ],
)
def test_files_of_another_kind_are_rejected(release, tmp_path, change, reason):
    path = next((release[0] / "26").rglob("spec-0266-*-0001.fits"))
    with fits.open(path) as units:
        change(units)
        units.writeto(tmp_path / "spec.fits")
    with pytest.raises(SpectrumRejected) as caught:
        read_sdss_spectrum(tmp_path / "spec.fits")
    assert caught.value.reason == reason
