"""The mock's catalogues in the surveys' formats: LAMOST, APOGEE DR16, GALAH DR4, Gaia-ESO DR5.

Column names, types and conventions for what is missing are the surveys' own; docs/mock.md lists what is left out.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.special import ndtri

from starglot.labels import ABUNDANCE_NAMES, CLASSES
from starglot.mock.lines import ELEMENTS
from starglot.mock.population import Population, uniforms
from starglot.tables import atomic_path

MISSING = -9999.0
#: The abundances of APOGEE DR16 in its order.
APOGEE_ELEMENTS = (
    "C", "CI", "N", "O", "NA", "MG", "AL", "SI", "P", "S", "K", "CA", "TI", "TIII", "V", "CR", "MN", "FE", "CO", "NI",
    "CU", "GE", "RB", "CE", "ND", "YB",
)  # fmt: skip
_APOGEE_PARAMS = ("TEFF", "LOGG", "LOG10VDOP", "METALS", "C", "N", "O Mg Si S Ca Ti", "LGVSINI", "O")
GALAH_ELEMENTS = (
    "li", "c", "n", "o", "na", "mg", "al", "si", "k", "ca", "sc", "ti", "v", "cr", "mn", "co", "ni", "cu", "zn", "rb",
    "sr", "y", "zr", "mo", "ru", "ba", "la", "ce", "nd", "sm", "eu",
)  # fmt: skip
#: Gaia-ESO columns and the element whose abundance A(X) they hold.
GES_COLUMNS = {
    "C1": "c_fe", "N_CN": "n_fe", "O1": "o_fe", "NA1": "na_fe", "MG1": "mg_fe", "AL1": "al_fe", "SI1": "si_fe",
    "S1": "s_fe", "CA1": "ca_fe", "TI1": "ti_fe", "TI2": "tiii_fe", "V1": "v_fe", "CR1": "cr_fe", "MN1": "mn_fe",
    "CO1": "co_fe", "NI1": "ni_fe", "CU1": "cu_fe", "CE2": "ce_fe",
}  # fmt: skip
#: Share of an element's values that pass, for a K star at good S/N, and error in dex, in APOGEE.
_APOGEE_QUALITY: dict[str, tuple[float, float]] = {
    "c_fe": (0.95, 0.03), "ci_fe": (0.90, 0.035), "n_fe": (0.92, 0.035), "o_fe": (0.96, 0.03),
    "mg_fe": (0.99, 0.02), "al_fe": (0.95, 0.035), "si_fe": (0.99, 0.02), "s_fe": (0.90, 0.05),
    "mn_fe": (0.97, 0.025), "ni_fe": (0.98, 0.02), "ca_fe": (0.98, 0.025), "na_fe": (0.80, 0.06),
    "p_fe": (0.70, 0.08), "k_fe": (0.95, 0.04), "ti_fe": (0.95, 0.035), "tiii_fe": (0.85, 0.06),
    "cr_fe": (0.95, 0.04), "co_fe": (0.85, 0.05), "cu_fe": (0.75, 0.07), "v_fe": (0.92, 0.05),
    "ce_fe": (0.78, 0.06),
}  # fmt: skip


def write_table(path: Path, columns: Mapping[str, np.ndarray], *others: fits.BinTableHDU) -> None:
    """Write columns (and further table HDUs) as a FITS binary table; in .gz it is gzipped, without a time stamp."""
    hdus = fits.HDUList([fits.PrimaryHDU(), _table(columns), *others])
    buffer = io.BytesIO()
    hdus.writeto(buffer)
    data = buffer.getvalue()
    if path.suffix == ".gz":
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=4, mtime=0, filename="") as zipped:
            zipped.write(data)
        data = packed.getvalue()
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def _table(columns: Mapping[str, np.ndarray], name: str | None = None) -> fits.BinTableHDU:
    kinds = {"i8": "K", "i4": "J", "i2": "I", "f8": "D", "f4": "E"}
    made = []
    for key, values in columns.items():
        if values.dtype.kind == "U":
            width = max(1, values.dtype.itemsize // 4)
            form, array = f"{width}A", values
        else:
            form = kinds[values.dtype.str[1:]]
            if values.ndim == 2:
                form = f"{values.shape[1]}{form}"
            array = values
        made.append(fits.Column(name=key, format=form, array=array))
    return fits.BinTableHDU.from_columns(made, name=name)


# ---------------------------------------------------------------- LAMOST


def lamost_tables(rows: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The columns of LRS_stellar and of LRS_mstellar (m_h in place of feh) from common columns and labels."""
    is_m = np.char.find(rows["subclass"], "M") >= 0
    common = {
        "obsid": rows["obsid"].astype(np.int64),
        "uid": rows["uid"],
        "gp_id": rows["gp_id"],
        "designation": rows["designation"],
        "obsdate": rows["obsdate"],
        "lmjd": rows["lmjd"].astype(np.int32),
        "mjd": (rows["lmjd"] - 1).astype(np.int32),
        "planid": rows["planid"],
        "spid": rows["spid"].astype(np.int16),
        "fiberid": rows["fiberid"].astype(np.int16),
        "ra_obs": rows["ra"],
        "dec_obs": rows["dec"],
        **{f"snr{b}": rows[f"snr_{b}"].astype(np.float32) for b in "ugriz"},
        "class": np.full(len(is_m), "STAR"),
        "subclass": rows["subclass"],
        "z": rows["z"].astype(np.float64),
        "z_err": np.full(len(is_m), 1.5e-5),
        "gaia_source_id": rows["gaia_source_id"],
        "gaia_g_mean_mag": rows["magnitude"].astype(np.float64),
        "ra": rows["ra"],
        "dec": rows["dec"],
    }
    labels = {k: rows[k].astype(np.float64) for k in ("teff", "teff_err", "logg", "logg_err", "feh", "feh_err")}
    rest = {k: rows[k].astype(np.float64) for k in ("rv", "rv_err", "alpha_m", "alpha_m_err")}
    warm = {k: v[~is_m] for k, v in {**common, **labels, **rest}.items()}
    renamed = {{"feh": "m_h", "feh_err": "m_h_err"}.get(k, k): v for k, v in labels.items()}
    cool = {k: v[is_m] for k, v in {**common, **renamed, "rv": rest["rv"], "rv_err": rest["rv_err"]}.items()}
    return warm, cool


# ---------------------------------------------------------------- APOGEE


def apogee_table(
    stars: Population, ra: np.ndarray, dec: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], tuple[fits.BinTableHDU, fits.BinTableHDU]]:
    """allStar columns of the given stars (some of them twice), and HDU 2 and 3.

    Abundances carry APOGEE's own errors and zero points; hot stars have few of them; some values are flagged, some
    missing (-9999, or NaN).  ra, dec: (n,) deg at epoch 2000.
    """
    u = uniforms(seed, 5, stars.star, 140)
    normal = ndtri(u)
    n = len(stars.star)
    snr = 40 * (400 / 40) ** u[:, 0]
    worse = np.sqrt(1 + (60 / snr) ** 2)
    # 2MASS positions are good to a tenth of an arcsecond.
    ra = ra + normal[:, 17] * 0.1 / 3600 / np.cos(np.radians(dec))
    dec = dec + normal[:, 18] * 0.1 / 3600
    columns: dict[str, np.ndarray] = {
        "APOGEE_ID": _two_mass(ra, dec),
        "TELESCOPE": np.full(n, "apo25m"),
        "FIELD": np.full(n, "MOCK"),
        "RA": ra,
        "DEC": dec,
        "SNR": snr.astype(np.float32),
        "STARFLAG": np.where(u[:, 1] < 0.02, 1 << 16, 0).astype(np.int32),
        "EXTRATARG": np.zeros(n, np.int32),
        "GAIA_SOURCE_ID": stars.gaia_dr2,
        "GAIA_PMRA": stars.pmra + 0.05 * normal[:, 2],
        "GAIA_PMDEC": stars.pmdec + 0.05 * normal[:, 3],
        "GAIA_PHOT_G_MEAN_MAG": stars.magnitude.astype(np.float32),
        "VHELIO_AVG": (stars.rv + 0.1 * normal[:, 4]).astype(np.float32),
    }
    # ASPCAP's spectroscopic gravities and temperatures, with zero points of their own.
    hot = np.interp(stars.teff, [3100, 3600, 4500, 6500, 8000, 9900], [1.5, 1.1, 1.0, 1.3, 2.5, 4.0]) * worse
    errors = {"TEFF": 45 * hot, "LOGG": 0.045 * hot, "M_H": 0.015 * hot, "ALPHA_M": 0.012 * hot}
    values = {
        "TEFF": stars.teff - 25 + errors["TEFF"] * normal[:, 5],
        "LOGG": stars.logg + 0.03 + errors["LOGG"] * normal[:, 6],
        "M_H": stars.feh + 0.02 + errors["M_H"] * normal[:, 7],
        "ALPHA_M": stars.xfe[:, [4, 6, 10, 14]].mean(1) + errors["ALPHA_M"] * normal[:, 8],
    }
    none = (u[:, 9] < 0.02) | ((stars.teff > 8500) & (u[:, 10] < 0.5))
    flag = np.where(none, np.int64(1) << 31, 0)
    flag |= np.where(u[:, 11] < 0.02, (1 << 23) | (1 << 16), 0)
    flag |= np.where((u[:, 12] < 0.03) | (stars.teff > 8000) & (u[:, 12] < 0.3), 1 << 7, 0)
    columns["ASPCAPFLAG"] = flag.astype(np.uint32).view(np.int32)
    paramflag = np.zeros((n, len(_APOGEE_PARAMS)), np.int32)
    paramflag[:, 1] |= np.where(stars.logg < 3.5, 1 << 25, 1 << 27).astype(np.int32)
    paramflag[:, 1] |= np.where((u[:, 13] < 0.4) & (stars.logg < 3.0), 1 << 24, 0).astype(np.int32)
    paramflag[:, 0] |= np.where(u[:, 14] < 0.015, 1, 0).astype(np.int32)
    columns["PARAMFLAG"] = paramflag
    for name, value in values.items():
        columns[name] = np.where(none, MISSING, value).astype(np.float32)
        columns[f"{name}_ERR"] = np.where(none, MISSING, errors[name]).astype(np.float32)
    error = 0.02 * hot
    columns["FE_H"] = np.where(none, MISSING, stars.feh + 0.02 + error * normal[:, 15]).astype(np.float32)
    columns["FE_H_ERR"] = np.where(none, MISSING, error).astype(np.float32)
    columns["FE_H_FLAG"] = np.zeros(n, np.int32)
    for index, element in enumerate(e for e in APOGEE_ELEMENTS if e != "FE"):
        label = f"{element.lower()}_fe"
        name = f"{element}_FE"
        if label not in _APOGEE_QUALITY:
            columns[name] = columns[f"{name}_ERR"] = np.full(n, MISSING, np.float32)
            columns[f"{name}_FLAG"] = np.full(n, 1 << 2, np.int32)
            continue
        share, size = _APOGEE_QUALITY[label]
        draw, kind = u[:, 20 + 3 * index], u[:, 21 + 3 * index]
        error = size * hot
        offset = 0.015 * np.sin(1.7 * index)
        value = stars.xfe[:, ABUNDANCE_NAMES.index(label)] + offset + error * normal[:, 22 + 3 * index]
        # Weak lines are lost in hot and in metal-poor stars.
        lost = share * np.interp(stars.teff, [3100, 3600, 6200, 7200, 8500], [0.75, 0.95, 1.0, 0.75, 0.35])
        bad = draw > lost - 0.25 * np.clip(-stars.feh - 1.2, 0, 1)
        missing = none | (bad & (kind < 0.5))
        flags = np.where(bad & (kind >= 0.5), np.where(kind < 0.8, 1 << 8, 1 << 0), 0)
        columns[name] = np.where(missing, np.where(kind < 0.05, np.nan, MISSING), value).astype(np.float32)
        columns[f"{name}_ERR"] = np.where(missing, MISSING, error).astype(np.float32)
        columns[f"{name}_FLAG"] = np.where(missing, 1 << 1, flags).astype(np.int32)
    again = np.flatnonzero(u[:, 16] < 0.03)
    doubled = {}
    for key, column in columns.items():
        second = column[again]
        if key == "EXTRATARG":
            second = second | np.int32(1 << 4)
        elif key == "SNR":
            second = (second * 0.6).astype(np.float32)
        doubled[key] = np.concatenate([column, second])
    edges = _table({"NOTE": np.array(["grid edges are not part of the mock"])})
    symbols = fits.BinTableHDU.from_columns(
        [
            fits.Column("PARAM_SYMBOL", f"{16 * len(_APOGEE_PARAMS)}A16", dim=f"(16,{len(_APOGEE_PARAMS)})",
                        array=np.array([_APOGEE_PARAMS], "S16")),
            fits.Column("ELEM_SYMBOL", f"{8 * len(APOGEE_ELEMENTS)}A8", dim=f"(8,{len(APOGEE_ELEMENTS)})",
                        array=np.array([APOGEE_ELEMENTS], "S8")),
        ]
    )  # fmt: skip
    return doubled, (edges, symbols)


def _two_mass(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Names like 2M05341234+2812345 from positions in deg."""
    names = []
    for a, d in zip(ra, dec, strict=True):
        seconds, arc = round(a * 240 * 100), round(abs(d) * 3600 * 10)
        hours, rest = divmod(seconds, 360000)
        degrees, fraction = divmod(arc, 36000)
        sign = "+" if d >= 0 else "-"
        names.append(
            f"2M{hours % 24:02d}{rest // 6000:02d}{rest % 6000:04d}"
            f"{sign}{degrees:02d}{fraction // 600:02d}{fraction % 600:03d}"
        )
    return np.array(names)


# ---------------------------------------------------------------- GALAH and Gaia-ESO


def galah_table(stars: Population, ra: np.ndarray, dec: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """GALAH DR4 allstar columns; positions (deg) are Gaia's, epoch 2016.  flag_fe_h is as useless as the real one."""
    u = uniforms(seed, 6, stars.star, 140)
    normal = ndtri(u)
    snr = 15 * (200 / 15) ** u[:, 0]
    worse = np.sqrt(1 + (40 / snr) ** 2) * np.interp(stars.teff, [3100, 4000, 6500, 8000], [1.6, 1.0, 1.0, 2.0])
    columns: dict[str, np.ndarray] = {
        "sobject_id": (140000000000000 + stars.star * 1000 + 101).astype(np.int64),
        "gaiadr3_source_id": stars.gaia_dr3,
        "ra": ra,
        "dec": dec,
        "flag_sp": np.where(u[:, 1] < 0.06, 1 << 2, 0).astype(np.int32),
    }
    for ccd in range(1, 5):
        columns[f"snr_px_ccd{ccd}"] = (snr * (0.4 + 0.2 * ccd)).astype(np.float32)
    for name, value, size, offset, column in (
        ("teff", stars.teff, 60, 30, 2),
        ("logg", stars.logg, 0.07, -0.02, 3),
        ("fe_h", stars.feh, 0.045, -0.02, 4),
    ):
        columns[name] = (value + offset + size * worse * normal[:, column]).astype(np.float32)
        columns[f"e_{name}"] = (size * worse).astype(np.float32)
    columns["flag_fe_h"] = np.where(u[:, 5] < 0.5, 1, 0).astype(np.int32)
    for index, element in enumerate(GALAH_ELEMENTS):
        label = f"{element}_fe"
        draw, noise = u[:, 10 + 2 * index], normal[:, 11 + 2 * index]
        if label in ABUNDANCE_NAMES:
            error = 0.06 * worse
            value = stars.xfe[:, ABUNDANCE_NAMES.index(label)] + 0.02 * np.cos(2.3 * index) + error * noise
        else:
            error, value = 0.12 * worse, 0.12 * noise
        absent = draw < 0.08
        columns[f"{element}_fe"] = np.where(absent, np.nan, value).astype(np.float32)
        columns[f"e_{element}_fe"] = np.where(absent, np.nan, error).astype(np.float32)
        columns[f"flag_{element}_fe"] = np.where(absent, 32, np.where(draw < 0.15, 1, 0)).astype(np.int32)
    return columns


def gaia_eso_table(stars: Population, ra: np.ndarray, dec: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Gaia-ESO DR5 columns, abundances as A(X) on the solar scale of Grevesse et al. (2007); no Gaia ids."""
    u = uniforms(seed, 7, stars.star, 80)
    normal = ndtri(u)
    n = len(stars.star)
    columns: dict[str, np.ndarray] = {
        "CNAME": _cname(ra, dec),
        "OBJECT": np.array([f"mock{k:07d}" for k in stars.star]),
        "GES_FLD": np.full(n, "MOCK"),
        "RA": ra,
        "DECLINATION": dec,
        "SNR": (20 * 10 ** u[:, 0]).astype(np.float32),
        "VRAD": (stars.rv + 0.3 * normal[:, 1]).astype(np.float64),
    }
    for name, value, size, offset, column in (
        ("TEFF", stars.teff, 70, -20, 2),
        ("LOGG", stars.logg, 0.12, 0.02, 3),
        ("FEH", stars.feh, 0.07, 0.03, 4),
    ):
        columns[name] = (value + offset + size * normal[:, column]).astype(np.float64)
        columns[f"E_{name}"] = np.full(n, size, np.float64)
    columns["FE1"] = columns["FEH"] + ELEMENTS["Fe"].solar
    columns["E_FE1"] = columns["E_FEH"].copy()
    for index, (name, label) in enumerate(GES_COLUMNS.items()):
        element = {"tiii": "Ti", "ti": "Ti"}.get(label.split("_")[0], label.split("_")[0].capitalize())
        value = stars.xfe[:, ABUNDANCE_NAMES.index(label)] + stars.feh + ELEMENTS[element].solar
        absent = u[:, 10 + 2 * index] < 0.25
        columns[name] = np.where(absent, np.nan, value + 0.07 * normal[:, 11 + 2 * index])
        columns[f"E_{name}"] = np.where(absent, np.nan, 0.07)
    return columns


def _cname(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    return np.array([name[2:10] + name[10:] for name in _two_mass(ra, dec)])


def class_counts(target: np.ndarray) -> dict[str, int]:
    """Number of rows by the class letter that was aimed at."""
    return {letter: int((target == index).sum()) for index, letter in enumerate(CLASSES)}
