"""DESI: the catalogue of five tables against its data model, and coadds of three arms against astropy's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import holds, refused
from starglot.config.surveys.desi import Desi
from starglot.formats.counts import Counts
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys import desi, desi_spectra
from starglot.surveys.identify import read_file
from starglot.tables import SELECTED

N = 8
TARGETS = np.array([39627866878511337, 39627866878511338, 3, 4, -5, 6, 7, 3], np.int64)


def write_catalog(path: Path, rows: dict[str, int] | None = None, **changes: Any) -> Path:
    """A catalogue by the data model: rows 0 and 1 are good, the others each have one thing that leaves them out."""
    both = {
        "TARGETID": TARGETS,
        "TEFF": np.array([5000.0, 5000.0, 4000.0, 7000.0, 5000.0, 5000.0, 5000.0, 5000.0]),
        "LOGG": np.array([2.5, 4.5, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]),
        "FEH": np.full(N, -0.5),
        "ALPHAFE": np.full(N, 0.2),
    }
    covariance = np.zeros((N, 25))
    covariance[:, [0, 6, 18, 24]] = [0.01, 0.0025, 400.0, 0.04]  # [Fe/H], [a/Fe], (micro), Teff, log g
    rvtab = {
        **both,
        "TEFF": both["TEFF"] + 100,
        **{f"{name}_ERR": np.full(N, 0.5) for name in ("TEFF", "LOGG", "FEH", "ALPHAFE")},
        "RVS_WARN": np.array([0, 0, 0, 0, 0, 4, 0, 0], np.int64),
        "TARGET_RA": np.linspace(10, 20, N),
        "TARGET_DEC": np.linspace(-5, 5, N),
        "SUCCESS": np.ones(N, bool),
        "HEALPIX": np.full(N, 27247, np.int64),
        "RR_SPECTYPE": np.array(["STAR"] * 6 + ["GALAXY", "STAR"]),
        "SURVEY": np.array(["main"] * N),
        "PROGRAM": np.array(["bright"] * N),
        "PRIMARY": np.array([True] * 7 + [False]),
    }
    sptab = {
        **both,
        "SUCCESS": np.array([3, 1, 0, 1, 1, 1, 1, 1], np.int64),
        "BESTGRID": np.array(["s_rdesi1"] * N),
        "COVAR": covariance,
    }
    scores = {
        "TARGETID": TARGETS,
        **{f"MEDIAN_COADD_SNR_{a}": np.full(N, s) for a, s in zip("BRZ", (30, 40, 50), strict=True)},
    }
    gaia = {"SOURCE_ID": np.array([4 * 10**17, 999999, *range(10**17, 10**17 + N - 2)], np.int64)}
    units = [fits.PrimaryHDU()]
    for name, columns in (
        ("RVTAB", rvtab),
        ("SPTAB", sptab),
        ("FIBERMAP", {"TARGETID": TARGETS}),
        ("SCORES", scores),
        ("GAIA", gaia),
    ):
        columns = {**columns, **changes.get(name, {})}
        keep = (rows or {}).get(name, N)
        arrays = {key: np.asarray(values)[:keep] for key, values in columns.items()}
        table = np.zeros(keep, [(key, values.dtype, values.shape[1:]) for key, values in arrays.items()])
        for key, values in arrays.items():
            table[key] = values
        units.append(fits.BinTableHDU(table, name=name))
    fits.HDUList(units).writeto(path)
    return path


def settings_of(path: Path, **more: Any) -> Desi:
    return Desi(catalog=str(path), spectra="spectra", **more)


def test_primary_stars_without_a_warning_are_the_table(tmp_path: Path) -> None:
    counts = Counts()
    table = desi.read_catalog(settings_of(write_catalog(tmp_path / "mws.fits")), counts)
    assert table["obsid"].to_pylist() == TARGETS[:4].tolist()
    assert table["shard"].to_pylist() == ["main-bright-27247"] * 4
    assert table["gaia_source_id"].to_pylist()[:2] == [str(4 * 10**17), None]  # 999999 stands for none
    assert {name: tally.rows for name, tally in counts.left_out.items()} == {
        "no_id": 1,
        "warned": 1,
        "not_a_star": 1,
        "repeat_of_star": 1,
    }
    assert table["snr_g"].to_pylist() == [30.0] * 4 and table["snr_z"].to_pylist() == [50.0] * 4


def test_ferres_labels_have_errors_of_its_covariance_and_the_papers_calibration(tmp_path: Path) -> None:
    table = desi.read_catalog(settings_of(write_catalog(tmp_path / "mws.fits")))
    assert table["teff"].to_pylist() == [5000.0, 5000.0, None, 7000.0]  # FERRE failed on the third
    assert table["teff_err"][0].as_py() == pytest.approx(20)
    assert table["logg_err"][0].as_py() == pytest.approx(0.2)
    assert table["feh_err"][0].as_py() == pytest.approx(0.1)
    assert table["alpha_fe_err"][0].as_py() == pytest.approx(0.05)
    # At 5000 K the parabola is its constant: 0.112 for giants, 0.041 for dwarfs; at 7000 K there is none.
    assert table["feh"].to_pylist() == [pytest.approx(-0.612), pytest.approx(-0.541), None, None]


def test_the_other_pipeline_and_uncalibrated_labels(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "mws.fits")
    rv = desi.read_catalog(settings_of(path, labels="rv"))
    assert rv["teff"].to_pylist() == [5100.0, 5100.0, 4100.0, 7100.0]
    assert rv["feh"].to_pylist() == [-0.5] * 4 and rv["feh_err"].to_pylist() == [0.5] * 4
    assert desi.read_catalog(settings_of(path, calibrated=False))["feh"].to_pylist() == [-0.5, -0.5, None, -0.5]


def test_tables_of_other_rows_are_refused(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "mws.fits", rows={"GAIA": N - 1})
    with refused(N, N - 1, where=path):
        desi.read_catalog(settings_of(path))
    path = write_catalog(tmp_path / "other.fits", SPTAB={"TARGETID": TARGETS + 1})
    with refused(where=path):
        desi.read_catalog(settings_of(path))


def test_a_name_that_leads_elsewhere_is_no_shard(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "mws.fits", RVTAB={"SURVEY": np.array(["../etc"] * N)})
    with refused("../etc", where=path):
        desi.read_catalog(settings_of(path))


# ---------------------------------------------------------------- coadds

ARMS = {"B": (3600.0, 2751), "R": (5760.0, 2326), "Z": (7520.0, 2881)}


def write_coadd(path: Path, targets: list[int], kinds: list[str], seed: int = 0, mask: str = "int32") -> Path:
    random = np.random.default_rng(seed)
    table = np.rec.fromarrays([np.array(targets, np.int64), np.array(kinds, "S3")], names=["TARGETID", "OBJTYPE"])
    units: list[Any] = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="FIBERMAP")]
    for arm, (start, size) in ARMS.items():
        shape = (len(targets), size)
        units += [
            fits.ImageHDU(start + 0.8 * np.arange(size), name=f"{arm}_WAVELENGTH"),
            fits.ImageHDU(random.normal(10, 1, shape).astype("f4"), name=f"{arm}_FLUX"),
            fits.ImageHDU(random.uniform(0.5, 2, shape).astype("f4"), name=f"{arm}_IVAR"),
            fits.ImageHDU(np.where(random.random(shape) < 0.1, 4, 0).astype(mask), name=f"{arm}_MASK"),
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(units).writeto(path)
    return path


@pytest.mark.parametrize("mask", ["int32", "uint32"])
def test_arms_are_joined_pixel_by_pixel(tmp_path: Path, mask: str) -> None:
    path = write_coadd(tmp_path / "coadd.fits", [1, 2], ["TGT", "TGT"], mask=mask)
    coadd = desi_spectra.read_coadd(path)
    assert len(coadd.wavelength) == 7781 and coadd.wavelength[0] == 3600.0
    assert coadd.wavelength[-1] == pytest.approx(9824.0)
    with fits.open(path) as units:
        images = {unit.name: np.array(unit.data, float) for unit in units[2:]}
        for at, wavelength in enumerate(coadd.wavelength):
            flux = weight = 0.0
            masks = []
            for arm, (start, size) in ARMS.items():
                place = round((wavelength - start) / 0.8)
                if 0 <= place < size:
                    value, ivar, bits = (
                        float(images[f"{arm}_{name}"][1, place]) for name in ("FLUX", "IVAR", "MASK")
                    )
                    masks.append(bits)
                    if bits == 0:
                        flux, weight = flux + ivar * value, weight + ivar
            assert coadd.ivar[1, at] == pytest.approx(weight)
            assert (coadd.mask[1, at] == 0) == (weight > 0) == (0 in masks)
            if weight:
                assert coadd.flux[1, at] == pytest.approx(flux / weight)


def selected(rows: list[tuple[int, str]]) -> pa.Table:
    table = [{"obsid": o, "star_id": str(o), "file": f, "row": None, "size": 1, "mtime": 1} for o, f in rows]
    return pa.Table.from_pylist(table, schema=SELECTED)


def test_each_target_comes_once_with_its_spectrum_or_the_reason(tmp_path: Path) -> None:
    shard = "main-dark-27247"
    name = "main/dark/272/27247/coadd-main-dark-27247.fits"
    path = write_coadd(tmp_path / name, [11, 22, 33], ["TGT", "SKY", "TGT"])
    found = desi_spectra.find_files(pa.table({"obsid": [1, 2, 3], "shard": [shard, shard, "main-dark-1"]}), tmp_path)
    assert found["file"].to_pylist() == [name, name, "main/dark/0/1/coadd-main-dark-1.fits"]
    assert found["size"].to_pylist() == [path.stat().st_size] * 2 + [None]
    rows = selected([(33, name), (22, name), (44, name), (55, "main/dark/0/1/coadd-main-dark-1.fits")])
    outcomes = dict(desi_spectra.read(rows, tmp_path))
    spectrum = outcomes.pop(33)
    assert isinstance(spectrum, RawSpectrum)
    with fits.open(path) as units:
        np.testing.assert_allclose(
            spectrum.flux[:100][spectrum.mask[:100] == 0],
            units["B_FLUX"].data[2, :100][units["B_MASK"].data[2, :100] == 0],
        )
    reasons = {obsid: why.reason for obsid, why in outcomes.items() if isinstance(why, SpectrumRejected)}
    assert reasons == {22: "not_a_target", 44: "not_in_file", 55: "file_missing"}


def test_a_file_by_itself_is_known_and_its_targets_are_named(tmp_path: Path) -> None:
    survey, spectra = read_file(write_coadd(tmp_path / "any.fits", [11, -4], ["TGT", ""]))
    assert survey == "desi" and [each.name for each in spectra] == ["11", "-4"]
    why = spectra[1].spectrum
    assert isinstance(why, SpectrumRejected) and holds(why, "OBJTYPE")


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_a_reason_and_never_an_error(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("coadd")
    content = bytearray(write_coadd(folder / "good.fits", [11], ["TGT"]).read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for at in data.draw(st.lists(st.integers(0, 30000), min_size=1, max_size=20)):
            content[at] = data.draw(st.integers(0, 255))
    (folder / "bad.fits").write_bytes(bytes(content))
    ((obsid, outcome),) = desi_spectra.read(selected([(11, "bad.fits")]), folder)
    assert obsid == 11 and isinstance(outcome, RawSpectrum | SpectrumRejected)


@pytest.mark.parametrize(("place", "value"), [(500, np.nan), (500, 3e8), (0, 1e30), (-1, 1e30), (700, 100.0)])
def test_a_wavelength_that_is_none_is_a_reason(place: int, value: float, tmp_path: Path) -> None:
    path = write_coadd(tmp_path / "coadd.fits", [1], ["TGT"])
    with fits.open(path, mode="update") as units:
        units["R_WAVELENGTH"].data[place] = value
    with pytest.raises(SpectrumRejected) as caught:
        desi_spectra.read_coadd(path)
    assert caught.value.reason == "layout_unknown"


def test_arms_on_other_grids_are_not_guessed(tmp_path: Path) -> None:
    path = write_coadd(tmp_path / "coadd.fits", [1], ["TGT"])
    with fits.open(path, mode="update") as units:
        units["R_WAVELENGTH"].data += 0.3
    with pytest.raises(SpectrumRejected) as caught:
        desi_spectra.read_coadd(path)
    assert caught.value.reason == "layout_unknown"


def write_export(path: Path, targets: list[int], flux: np.ndarray, primary: list[bool]) -> Path:
    """SPARCL's records, as users save them."""
    wave = 3600.0 + 0.8 * np.arange(flux.shape[1])
    columns = {"sparcl_id": [f"id-{i}" for i in range(len(targets))], "targetid": targets, "specprimary": primary}
    vectors = {"wavelength": np.tile(wave, (len(targets), 1)), "flux": flux, "ivar": np.full(flux.shape, 4.0)}
    vectors["mask"] = np.zeros(flux.shape, int)
    vectors["mask"][:, 3] = 2
    if path.suffix == ".npz":
        np.savez(path, **{name: np.asarray(cells) for name, cells in columns.items()}, **vectors)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({**columns, **{name: list(each) for name, each in vectors.items()}}), path)
    else:
        texts = {name: [str(row.tolist()) for row in each] for name, each in vectors.items()}
        pd.DataFrame({**columns, **texts}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["some.parquet", "some.npz", "some.csv", "some.csv.gz"])
def test_records_of_sparcl_are_a_surveys_spectra(tmp_path: Path, name: str) -> None:
    flux = np.random.default_rng(3).uniform(1, 2, (4, 60))
    targets = [39627866878511337, 8, 8, 9]  # of 8 the second is the primary spectrum
    write_export(tmp_path / name, targets, flux, [True, False, True, True])
    write_coadd(tmp_path / desi_spectra.coadd_file("main-dark-12"), [9], ["TGT"])
    shards = {39627866878511337: "main-dark-11", 8: "main-dark-11", 9: "main-dark-12", 10: "main-dark-11"}
    candidates = pa.table({"obsid": list(shards), "shard": list(shards.values())})
    files = desi_spectra.find_files(candidates, tmp_path)
    coadds = [desi_spectra.coadd_file(f"main-dark-{number}") for number in (12, 11)]
    assert files["file"].to_pylist() == [name, name, *coadds]  # a coadd goes before, and 10 is nowhere
    assert [size is None for size in files["size"].to_pylist()] == [False, False, False, True]
    rows = selected(list(zip(shards, files["file"].to_pylist(), strict=True)))
    found = dict(desi_spectra.read(rows, tmp_path))
    for target, row in ((39627866878511337, 0), (8, 2)):
        spectrum = found[target]
        assert isinstance(spectrum, RawSpectrum)
        assert spectrum.flux == pytest.approx(flux[row]) and spectrum.ivar == pytest.approx(4.0)
        assert spectrum.wavelength[:2] == pytest.approx([3600.0, 3600.8])
        assert np.flatnonzero(spectrum.mask).tolist() == [3]
    assert isinstance(found[9], RawSpectrum) and len(found[9].flux) != 60
    assert found[10].reason == "file_missing"
    (absent,) = dict(desi_spectra.read(selected([(77, name)]), tmp_path)).values()
    assert isinstance(absent, SpectrumRejected) and absent.reason == "not_in_file"


def test_a_pickle_or_a_table_without_targets_stops_the_inventory(tmp_path: Path) -> None:
    candidates = pa.table({"obsid": [1], "shard": ["main-dark-11"]})
    for name, content in (("some.pkl", b"\x80\x04K\x01."), ("some.csv", b'flux,wave\n"[1, 2]","[3, 4]"\n')):
        (tmp_path / name).write_bytes(content)
        with refused(where=tmp_path / name, allowed="targetid"):
            desi_spectra.find_files(candidates, tmp_path)
        (tmp_path / name).unlink()
