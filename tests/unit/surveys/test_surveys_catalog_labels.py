"""Label surveys: flags by bit, one row a star, element order, solar scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refused
from starglot.config.surveys.registry import Apogee, GaiaEso, Galah
from starglot.formats.bits import ASPCAPFLAG, PARAMFLAG, bits_set, count_bits
from starglot.labels import ABUNDANCE_NAMES, ABUNDANCES, LABELS
from starglot.surveys import apogee, gaia_eso, galah, solar

PARAMS = ["TEFF", "LOGG", "LOGVMICRO", "M_H", "C_M", "N_M", "ALPHA_M", "LGVSINI", "PARAM_O"]
ROWS = 4


def table(columns: dict[str, Any]) -> np.ndarray:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    rows = len(next(iter(arrays.values())))
    out = np.zeros(rows, dtype=[(name, a.dtype, a.shape[1:]) for name, a in arrays.items()])
    for name, values in arrays.items():
        out[name] = values
    return out


def allstar(**changes: Any) -> dict[str, Any]:
    """Four good stars of DR16; every [X/Fe] is 0.1 times its place in ABUNDANCES."""
    columns: dict[str, Any] = {
        "APOGEE_ID": np.array([f"2M0000000{k}+0000000" for k in range(ROWS)], "S18"),
        "GAIA_SOURCE_ID": np.array([11, 12, 0, -9999], np.int64) * np.array([10**17, 10**17, 1, 1]),
        "RA": np.arange(ROWS) * 10.0,
        "DEC": np.arange(ROWS) * 1.0,
        "GAIA_PMRA": np.array([1.0, np.nan, -9999.0, 2.0]),
        "GAIA_PMDEC": np.zeros(ROWS),
        "SNR": np.full(ROWS, 100.0, np.float32),
        "EXTRATARG": np.zeros(ROWS, np.int32),
        "STARFLAG": np.zeros(ROWS, np.int32),
        "ASPCAPFLAG": np.zeros(ROWS, np.int32),
        "PARAMFLAG": np.zeros((ROWS, 9), np.int32),
        "TEFF": np.full(ROWS, 4800.0, np.float32),
        "TEFF_ERR": np.full(ROWS, 90.0, np.float32),
        "LOGG": np.full(ROWS, 2.5, np.float32),
        "LOGG_ERR": np.full(ROWS, -1.0, np.float32),
        "FE_H": np.full(ROWS, -0.25, np.float32),
        "FE_H_ERR": np.full(ROWS, 0.03, np.float32),
        "FE_H_FLAG": np.zeros(ROWS, np.int32),
    }
    for place, label in enumerate(ABUNDANCES):
        columns[label.apogee] = np.full(ROWS, 0.1 * place - 1, np.float32)
        columns[f"{label.apogee}_ERR"] = np.full(ROWS, 0.04, np.float32)
        columns[f"{label.apogee}_FLAG"] = np.zeros(ROWS, np.int32)
    columns |= changes
    return {name: values for name, values in columns.items() if values is not None}


def write_allstar(path: Path, columns: dict[str, Any], elements: list[str] | None = None) -> str:
    with fitsio.FITS(str(path), "rw", clobber=True) as out:
        out.write(None)
        out.write(table(columns))
        out.write(np.zeros((2, 2)))
        symbols: dict[str, Any] = {"PARAM_SYMBOL": np.array([PARAMS], "S12")}
        if elements:
            symbols["ELEM_SYMBOL"] = np.array([elements], "S5")
        out.write(table(symbols))
    return str(path)


def read_apogee(tmp_path: Path, elements: list[str] | None = None, release: str = "dr16", **more: Any) -> list[dict]:
    given_bits = {key: more.pop(key) for key in list(more) if key.endswith("_bits")}
    path = write_allstar(tmp_path / "allStar.fits", allstar(**more), elements)
    return apogee.read_catalog(Apogee.model_validate({"catalog": path, "release": release} | given_bits)).to_pylist()


def test_named_abundances_land_under_their_own_names(tmp_path: Path) -> None:
    first, _, third, last = read_apogee(tmp_path)
    for place, name in enumerate(ABUNDANCE_NAMES):
        assert first[name] == pytest.approx(0.1 * place - 1, abs=1e-6)
        assert first[f"{name}_err"] == pytest.approx(0.04)
    assert first["logg"] == 2.5 and first["logg_err"] is None, "-1 is no error"
    assert (first["gaia_source_id"], first["gaia_release"]) == ("1100000000000000000", "dr2")
    assert third["gaia_source_id"] is None and last["gaia_source_id"] is None
    assert third["pmra"] is None and first["pmra"] == 1.0


@pytest.mark.parametrize("bit", sorted(ASPCAPFLAG))
def test_any_aspcap_bit_takes_the_labels_and_keeps_the_star(tmp_path: Path, bit: int) -> None:
    flag = np.zeros(ROWS, np.int32)
    flag[1] = np.int32(np.uint32(1 << bit).astype(np.int32))
    rows = read_apogee(tmp_path, ASPCAPFLAG=flag)
    assert len(rows) == ROWS
    assert rows[1]["teff"] is None and rows[1]["mg_fe"] is None and rows[1]["mg_fe_err"] is None
    assert rows[0]["teff"] == 4800.0


def test_alpha_over_iron_is_of_three_columns(tmp_path: Path) -> None:
    more = {
        "ALPHA_M": np.array([0.2, -9999.0, 0.2, 0.2], np.float32),
        "ALPHA_M_ERR": np.full(ROWS, 0.03, np.float32),
        "M_H": np.full(ROWS, -0.2, np.float32),
        "M_H_ERR": np.full(ROWS, 0.0, np.float32),
        "FE_H_FLAG": np.array([0, 0, 1, 0], np.int32),
    }
    rows = read_apogee(tmp_path, **more)
    assert [row["alpha_fe"] for row in rows] == [pytest.approx(0.25), None, None, pytest.approx(0.25)]
    assert rows[0]["alpha_fe_err"] is None, "an error of 0 is none, nor is one that is made of it"
    rows = read_apogee(tmp_path, **more | {"M_H_ERR": np.full(ROWS, 0.02, np.float32)})
    assert rows[0]["alpha_fe_err"] == pytest.approx((0.03**2 + 0.02**2 + 0.03**2) ** 0.5)
    assert [row["alpha_fe"] for row in read_apogee(tmp_path)] == [None] * ROWS, "a file may lack the columns"


def test_configured_bits_decide(tmp_path: Path) -> None:
    flag = np.array([1 << 7, 1 << 23, 0, 0], np.int32)
    rows = read_apogee(tmp_path, ASPCAPFLAG=flag, aspcapflag_bits=[23])
    assert [row["teff"] is None for row in rows] == [False, True, False, False]
    rows = read_apogee(tmp_path, MG_FE_FLAG=np.array([1 << 9, 1, 0, 0], np.int32), elemflag_bits=[0, 1])
    assert [row["mg_fe"] is None for row in rows] == [False, True, False, False]
    assert rows[1]["al_fe"] is not None, "the flag of one abundance is not another's"


def test_informational_paramflag_bits_and_nuisance_parameters_reject_nobody(tmp_path: Path) -> None:
    flag = np.zeros((ROWS, 9), np.int32)
    flag[0, 1] = 1 << 24  # SPEC_RC: where the calibration says that the star is a red-clump giant
    flag[1, PARAMS.index("LGVSINI")] = 1  # at the slow end of the grid
    flag[2, PARAMS.index("ALPHA_M")] = 1 << 1
    rows = read_apogee(tmp_path, PARAMFLAG=flag)
    assert [row["paramflag_bad"] for row in rows] == [False, False, True, False]
    assert [row["teff"] is None for row in rows] == [False, False, True, False]
    assert read_apogee(tmp_path, PARAMFLAG=flag, paramflag_bits="all")[0]["paramflag_bad"]


def test_one_row_a_star_the_main_one_then_the_best(tmp_path: Path) -> None:
    rows = read_apogee(
        tmp_path,
        APOGEE_ID=np.array(["2MA", "2MA", "2MA", "2MB"], "S18"),
        SNR=np.array([50.0, 90.0, 300.0, 10.0], np.float32),
        EXTRATARG=np.array([0, 0, 1 << 4, 1 << 4], np.int32),
        TEFF=np.array([4001.0, 4002.0, 4003.0, 4004.0], np.float32),
    )
    assert [(row["apogee_id"], row["teff"]) for row in rows] == [("2MA", 4002.0), ("2MB", 4004.0)]


@pytest.mark.parametrize("placeholder", [-9999.0, -9999.99, np.nan])
def test_placeholders_are_null(tmp_path: Path, placeholder: float) -> None:
    rows = read_apogee(tmp_path, MG_FE=np.array([placeholder, 0.1, 0.2, 0.3], np.float32))
    assert rows[0]["mg_fe"] is None and rows[0]["mg_fe_err"] is None
    assert rows[1]["mg_fe"] == pytest.approx(0.1)


@settings(max_examples=15)
@given(order=st.permutations(["C", "MG", "FE", "CE", "TI"]))
def test_array_columns_are_read_in_the_order_of_the_file(tmp_path_factory: Any, order: list[str]) -> None:
    over_h = {"C": 0.1, "MG": 0.2, "FE": -0.25, "CE": 0.4, "TI": 0.5}
    flag = np.zeros((ROWS, 5), np.int32)
    flag[2, order.index("CE")] = 1
    rows = read_apogee(
        tmp_path_factory.mktemp("apogee"),
        elements=order,
        CE_FE=None,
        X_H=np.tile(np.array([over_h[e] for e in order], np.float32), (ROWS, 1)),
        X_H_ERR=np.full((ROWS, 5), 0.04, np.float32),
        ELEMFLAG=flag,
    )
    assert rows[0]["ce_fe"] == pytest.approx(0.65, abs=1e-6)
    assert rows[0]["ce_fe_err"] == pytest.approx(0.05)
    assert rows[2]["ce_fe"] is None


def test_missing_elements_are_named_where_the_release_should_have_them(tmp_path: Path) -> None:
    with refused("mg_fe", where=tmp_path / "allStar.fits", allowed="MG_FE or MG_H or X_H with MG in ELEM_SYMBOL"):
        read_apogee(tmp_path, MG_FE=None)
    with refused(allowed="ASPCAPFLAG"):
        read_apogee(tmp_path, ASPCAPFLAG=None)


def test_dr17_ids_come_from_their_own_column_only(tmp_path: Path) -> None:
    with refused(allowed="GAIAEDR3_SOURCE_ID"):
        read_apogee(tmp_path, release="dr17")
    rows = read_apogee(tmp_path, release="dr17", GAIAEDR3_SOURCE_ID=np.arange(ROWS) + 5, P_FE=None)
    assert (rows[0]["gaia_source_id"], rows[0]["gaia_release"], rows[0]["p_fe"]) == ("5", "dr3", None)


@given(st.integers(-(2**31), 2**31 - 1), st.sets(st.integers(0, 31)))
def test_bits_against_python_integers(flag: int, bits: set[int]) -> None:
    expected = any((flag >> bit) & 1 for bit in bits)
    assert bool(bits_set(np.array([flag], np.int32), sorted(bits))[0]) == expected
    assert bool(bits_set(np.array([flag], np.int32), "all")[0]) == (flag != 0)
    named = count_bits(np.array([flag], np.int32), PARAMFLAG)
    assert set(named) == {name for bit, name in PARAMFLAG.items() if (flag >> bit) & 1}


# ---------------------------------------------------------------- GALAH and Gaia-ESO


def write_galah(path: Path, **changes: Any) -> Galah:
    columns: dict[str, Any] = {
        "sobject_id": np.array([131217003901002, 2, 3, 4], np.int64),
        "gaiadr3_source_id": np.array([604906737317927296, 0, 7, 8], np.int64),
        "ra": np.arange(ROWS) * 1.0,
        "dec": np.arange(ROWS) * 1.0,
        "flag_sp": np.array([0, 0, 1, 0]),
        "snr_px_ccd3": np.array([80.0, 30.0, 80.0, 31.0]),
        "teff": np.full(ROWS, 5500.0),
        "e_teff": np.full(ROWS, 80.0),
        "logg": np.full(ROWS, 4.2),
        "e_logg": np.full(ROWS, 0.1),
        "fe_h": np.full(ROWS, -0.2),
        "e_fe_h": np.full(ROWS, 0.1),
        "flag_fe_h": np.ones(ROWS, np.int64),
        **{name: np.full(ROWS, 0.1) for name in ("mg_fe", "ca_fe")},
        **{f"e_{name}": np.full(ROWS, 0.05) for name in ("mg_fe", "ca_fe")},
        "flag_mg_fe": np.array([0, 0, 0, 1]),
        "flag_ca_fe": np.zeros(ROWS, np.int64),
    } | changes
    fitsio.write(str(path), table({k: v for k, v in columns.items() if v is not None}), clobber=True)
    return Galah(catalog=str(path))


def test_galah_cuts(tmp_path: Path) -> None:
    rows = galah.read_catalog(write_galah(tmp_path / "g.fits")).to_pylist()
    assert [row["feh"] for row in rows] == [-0.2, None, None, -0.2], "S/N above 30, flag_sp 0, flag_fe_h unread"
    assert [row["mg_fe"] for row in rows] == [0.1, None, None, None]
    assert [row["ca_fe"] for row in rows] == [0.1, None, None, 0.1]
    assert rows[0]["source_id"] == "131217003901002" and rows[0]["gaia_source_id"] == "604906737317927296"
    assert rows[1]["gaia_source_id"] is None and rows[0]["gaia_release"] == "dr3"
    assert rows[0]["ce_fe"] is None, "not in this file"
    with refused("mg_fe_flag", where=tmp_path / "g.fits", allowed="flag_mg_fe"):
        galah.read_catalog(write_galah(tmp_path / "g.fits", flag_mg_fe=None))
    with refused("snr", where=tmp_path / "g.fits", allowed="snr_px_ccd3"):
        galah.read_catalog(write_galah(tmp_path / "g.fits", snr_px_ccd3=None))


@pytest.mark.parametrize("scale", ["grevesse2007", "asplund2009"])
def test_gaia_eso_turns_the_sun_into_zero(tmp_path: Path, scale: Any) -> None:
    sun = solar.SOLAR[scale]
    columns = {
        "CNAME": np.array(["10240000-5930000", "10240000-5930000", "00001500+0000360"], "S16"),
        "SNR": np.array([20.0, 40.0, 10.0]),
        "TEFF": np.array([5000.0, 5777.0, 5777.0]),
        "E_TEFF": np.array([50.0, 50.0, np.nan]),
        "LOGG": np.full(3, 4.44),
        "FEH": np.array([0.3, 0.0, -0.5]),
        "E_FEH": np.full(3, 0.03),
        "MG1": np.array([9.0, sun["Mg"], sun["Mg"] - 0.5 + 0.2]),
        "E_MG1": np.full(3, 0.04),
        "TI2": np.array([9.0, sun["Ti"], np.nan]),
        "N_CN": np.array([9.0, sun["N"], sun["N"]]),
    }
    fitsio.write(str(tmp_path / "ges.fits"), table(columns), clobber=True)
    rows = gaia_eso.read_catalog(GaiaEso(catalog=str(tmp_path / "ges.fits"), solar_scale=scale)).to_pylist()
    assert [row["source_id"] for row in rows] == ["10240000-5930000", "00001500+0000360"]
    assert rows[0]["teff"] == 5777.0, "the better spectrum of a star observed twice"
    for name in ("mg_fe", "tiii_fe", "n_fe"):
        assert rows[0][name] == pytest.approx(0.0, abs=1e-12)
    assert rows[1]["mg_fe"] == pytest.approx(0.2) and rows[1]["mg_fe_err"] == pytest.approx(0.05)
    assert rows[1]["tiii_fe"] is None and rows[1]["ca_fe"] is None and rows[1]["teff_err"] is None
    assert (rows[0]["ra"], rows[0]["dec"]) == pytest.approx((156.0, -59.5))
    assert (rows[1]["ra"], rows[1]["dec"]) == pytest.approx((0.0625, 0.01))
    assert rows[0]["gaia_source_id"] is None and rows[0]["gaia_release"] is None


def test_gaia_eso_names_what_it_misses(tmp_path: Path) -> None:
    columns = {"CNAME": np.array(["10240000-5930000"], "S16"), "TEFF": np.ones(1), "MG1": np.ones(1)}
    fitsio.write(str(tmp_path / "ges.fits"), table(columns), clobber=True)
    with refused("logg", where=tmp_path / "ges.fits", allowed="FEH or FE_H"):
        gaia_eso.read_catalog(GaiaEso(catalog=str(tmp_path / "ges.fits")))


def test_solar_scales_cover_every_abundance() -> None:
    for scale in solar.SOLAR:
        for name in ABUNDANCE_NAMES:
            assert 1 < solar.solar_abundance(name, scale) < 9
    assert solar.solar_abundance("ci_fe", "asplund2009") == 8.43
    assert solar.solar_abundance("tiii_fe", "grevesse2007") == 4.90
    assert LABELS["tiii_fe"].apogee == "TIII_FE"
