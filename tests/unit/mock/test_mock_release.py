"""A small mock release: real formats, the same bytes for a seed, broken files as announced."""

from __future__ import annotations

import gzip
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from refusals import refused
from starglot.config.root import Mock
from starglot.labels import ABUNDANCE_NAMES, ABUNDANCES, CLASSES
from starglot.mock import write_release
from starglot.mock.population import draw_stars, subclass
from starglot.mock.spectrum_files import BROKEN
from starglot.mock.survey import observe, synthesise

SETTINGS = Mock(spectra=70, plates=3, broken=7, seed=5)
STELLAR, MSTELLAR = "lamost/mock_LRS_stellar.fits.gz", "lamost/mock_LRS_mstellar.fits.gz"


@dataclass(frozen=True)
class Release:
    """A release on disk, its truth as rows, and its LAMOST catalogue rows by obsid."""

    root: Path
    counts: dict[str, object]
    truth: list[dict]
    catalog: dict[int, np.record]

    def path(self, obsid: int) -> Path:
        row = self.catalog[obsid]
        name = f"spec-{row['lmjd']}-{row['planid']}_sp{row['spid']:02d}-{row['fiberid']:03d}.fits.gz"
        return self.root / "lamost/spectra" / row["obsdate"].replace("-", "") / row["planid"] / name


def read_release(root: Path, counts: dict[str, object]) -> Release:
    catalog = {}
    for name in (STELLAR, MSTELLAR):
        for row in fits.getdata(root / name, 1):
            catalog[int(row["obsid"])] = row
    return Release(root, counts, pq.read_table(root / "truth.parquet").to_pylist(), catalog)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    root = tmp_path_factory.mktemp("mock")
    return read_release(root, write_release(root, SETTINGS))


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_seed_gives_the_same_bytes_and_another_seed_others(release: Release, tmp_path: Path) -> None:
    write_release(tmp_path / "again", SETTINGS)
    assert files(tmp_path / "again") == files(release.root)
    write_release(tmp_path / "other", SETTINGS, seed=6)
    other = {n: b for n, b in files(tmp_path / "other").items() if "/spec-" in n}
    assert not any(files(release.root).get(name) == data for name, data in other.items())


def test_a_star_is_the_same_however_many_are_asked_for(release: Release, tmp_path: Path) -> None:
    write_release(tmp_path, SETTINGS.model_copy(update={"spectra": 300, "broken": 0}))
    larger = files(tmp_path)
    whole = {row["obsid"] for row in release.truth if row["broken"] is None}
    assert len(whole) == 63
    for obsid in whole:
        path = release.path(obsid)
        assert larger[str(path.relative_to(release.root))] == path.read_bytes()
    more = {row["obsid"]: row for row in pq.read_table(tmp_path / "truth.parquet").to_pylist()}
    assert all(more[row["obsid"]] | {"broken": None} == row | {"broken": None} for row in release.truth)


def test_spectra_have_the_layout_of_dr10(release: Release) -> None:
    grid = (10 ** (np.float64(np.float32(3.5682)) + 1e-4 * np.arange(3909))).astype(np.float32)
    zeros, masked, lengths = 0, 0, set()
    for row in release.truth:
        if row["broken"]:
            continue
        path = release.path(row["obsid"])
        with warnings.catch_warnings(), fits.open(path) as hdus:
            warnings.simplefilter("ignore")
            header, table = hdus[0].header, hdus[1]
            assert [h.name for h in hdus] == ["PRIMARY", "COADD"] and len(table.data) == 1
            assert table.columns.names == ["FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION"]
            vectors = {name: table.data[name][0] for name in table.columns.names}
        raw = gzip.decompress(path.read_bytes())
        assert b"NAXIS   =                    0" in raw[:2880] and b"NAXIS1  =                 3" in raw[:2880]
        npix = vectors["FLUX"].size
        assert 3751 <= npix <= 3909 and {v.size for v in vectors.values()} == {npix}
        assert {v.dtype.str for v in vectors.values()} == {">f4"}
        assert (vectors["WAVELENGTH"] == grid[:npix]).all()
        assert header["OBSID"] == row["obsid"] and header["VACUUM"] and header["COEFF1"] == 1e-4
        assert header["SNRR"] == pytest.approx(row["snr_r"], abs=0.006)
        assert header["SUBCLASS"] == release.catalog[row["obsid"]]["subclass"]
        assert np.isfinite(vectors["FLUX"]).all()
        tail = npix - len(np.trim_zeros(vectors["FLUX"], "b"))
        assert tail <= 34 and (tail == 0 or (vectors["IVAR"][-tail:] > 0).all())
        zeros, masked = zeros + (tail > 0), masked + vectors["ORMASK"].any()
        lengths.add(npix)
    assert zeros and masked and len(lengths) > 3


def test_files_are_broken_as_the_truth_says(release: Release) -> None:
    broken = {row["broken"]: release.path(row["obsid"]) for row in release.truth if row["broken"]}
    assert set(broken) == set(BROKEN) and release.counts["broken"] == 7
    assert len({path.parent for path in broken.values()}) == 3
    assert not broken["absent"].exists()
    with pytest.raises(EOFError):
        gzip.decompress(broken["truncated"].read_bytes())
    with fits.open(broken["no_extension"]) as hdus:
        assert len(hdus) == 1

    def table(kind: str) -> fits.FITS_rec:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fits.getdata(broken[kind], 1)

    assert (table("no_good_pixel")["ORMASK"] != 0).all() and (table("no_good_pixel")["IVAR"] == 0).all()
    arm = table("dead_arm")
    red = arm["WAVELENGTH"][0] > 5900
    assert (arm["IVAR"][0][red] == 0).all() and (arm["IVAR"][0][~red] > 0).mean() > 0.99
    assert np.isnan(table("nan_flux")["FLUX"]).any()
    uneven = table("lengths_differ")
    assert uneven["WAVELENGTH"].shape != uneven["FLUX"].shape


def test_lamost_catalogues(release: Release) -> None:
    warm, cool = fits.getdata(release.root / STELLAR, 1), fits.getdata(release.root / MSTELLAR, 1)
    assert len(warm) + len(cool) == 70 == len(release.catalog)
    assert {"feh", "feh_err", "alpha_m"} <= set(warm.names) and "feh" not in cool.names and "m_h" in cool.names
    assert all(s.lstrip("dg").startswith("M") for s in cool["subclass"])
    assert not any("M" in s for s in warm["subclass"])
    assert all(len(date) == 10 and date[4] == date[7] == "-" for date in warm["obsdate"])
    given = [row["gaia_source_id"] for row in release.catalog.values()]
    assert all(value == "" or value.isdigit() for value in given)
    # The labels are the pipeline's: near the truth, and not the truth.
    teff = np.array([release.catalog[row["obsid"]]["teff"] - row["teff"] for row in release.truth])
    good = np.array([release.catalog[row["obsid"]]["teff"] > 0 for row in release.truth])
    assert 30 < np.std(teff[good]) < 200


def test_repeat_visits_share_the_star_and_not_the_noise(tmp_path: Path) -> None:
    write_release(tmp_path, Mock(spectra=60, plates=4, broken=0, seed=2))
    release = read_release(tmp_path, {})
    by_star: dict[str, list[dict]] = {}
    for row in release.truth:
        by_star.setdefault(row["gp_id"], []).append(row)
    repeated = [rows for rows in by_star.values() if len(rows) > 1]
    assert repeated
    for first, second, *_ in repeated:
        assert first["teff"] == second["teff"] and first["mg_fe"] == second["mg_fe"]
        assert release.path(first["obsid"]).parent != release.path(second["obsid"]).parent
        assert release.path(first["obsid"]).read_bytes() != release.path(second["obsid"]).read_bytes()
        assert release.catalog[first["obsid"]]["gp_id"] == release.catalog[second["obsid"]]["gp_id"]


def test_apogee_table_has_dr16s_columns_and_habits(release: Release) -> None:
    with fits.open(release.root / "allStar-r12-l33.fits") as hdus:
        rows, order = hdus[1].data, hdus[3].data
    elements = [str(e).strip() for e in order["ELEM_SYMBOL"][0]]
    assert len(elements) == 26 and elements[:5] == ["C", "CI", "N", "O", "NA"]
    assert str(order["PARAM_SYMBOL"][0][1]).strip() == "LOGG" and rows["PARAMFLAG"].shape[1] == 9
    for label in ABUNDANCES:
        assert {label.apogee, f"{label.apogee}_ERR", f"{label.apogee}_FLAG"} <= set(rows.names)
    values = np.array([rows[label.apogee] for label in ABUNDANCES])
    assert (values < -9000).any() and (np.abs(values) < 2).mean() > 0.7
    double = (rows["EXTRATARG"] & 16) != 0
    assert set(rows["APOGEE_ID"][double]) <= set(rows["APOGEE_ID"][~double])
    assert len(set(rows["APOGEE_ID"][~double])) == (~double).sum()
    # Gaia ids are of DR2: joining them to LAMOST's DR3 ids finds nothing.
    dr3 = {int(row["gaia_source_id"]) for row in release.catalog.values() if row["gaia_source_id"]}
    assert not dr3 & {int(i) for i in rows["GAIA_SOURCE_ID"] if i}
    assert (rows["ASPCAPFLAG"] != 0).any() and (rows["PARAMFLAG"] != 0).any()


def test_validation_surveys_have_their_columns(tmp_path: Path) -> None:
    write_release(tmp_path, Mock(spectra=500, plates=2, broken=0, seed=3))
    truth = {row["gp_id"]: row for row in pq.read_table(tmp_path / "truth.parquet").to_pylist()}
    galah = fits.getdata(tmp_path / "galah_dr4_allstar_240705.fits", 1)
    assert {"sobject_id", "gaiadr3_source_id", "flag_sp", "snr_px_ccd3", "e_teff", "flag_fe_h"} <= set(galah.names)
    assert {"mg_fe", "e_mg_fe", "flag_mg_fe", "eu_fe"} <= set(galah.names) and "p_fe" not in galah.names
    by_gaia = {int(row["gaia_source_id"]): row for row in truth.values() if row["gaia_source_id"]}
    pairs = [(row, by_gaia[row["gaiadr3_source_id"]]) for row in galah if row["gaiadr3_source_id"] in by_gaia]
    difference = np.array([row["teff"] - true["teff"] for row, true in pairs])
    assert len(pairs) > 20 and np.std(difference) > 30 and abs(np.median(difference)) < 120
    gaia_eso = fits.getdata(tmp_path / "GES_DR5_public.fits", 1)
    assert {"CNAME", "TEFF", "E_FEH", "MG1", "N_CN", "TI2"} <= set(gaia_eso.names)
    # A(Mg) is 7.53 in the Sun; alpha-rich stars have more over iron.
    assert np.nanmedian(gaia_eso["MG1"] - gaia_eso["FEH"]) == pytest.approx(7.6, abs=0.25)


def test_too_many_spectra_for_the_plates_is_an_error(tmp_path: Path) -> None:
    with refused(4000, 1, where="mock.plates", todo="mock.plates"):
        write_release(tmp_path, Mock(spectra=4000, plates=1))


def test_population_is_plausible() -> None:
    stars = draw_stars(0, 2500, 1)
    shares = np.bincount(stars.target, minlength=5) / 2500
    assert (np.abs(shares - 0.2) < 0.03).all()
    letters = subclass(stars.teff, stars.logg, np.zeros(2500))
    assert [CLASSES[t] for t in stars.target] == [s.lstrip("dg")[0] for s in letters]
    repeated = (stars.visits > 1).mean()
    assert 0.12 < repeated < 0.18 and stars.visits.max() == 4
    dwarfs, giants = stars.logg > 3.8, stars.logg < 3.2
    assert 0.15 < giants.mean() < 0.4 and dwarfs.mean() > 0.5
    magnesium = stars.xfe[:, ABUNDANCE_NAMES.index("mg_fe")]
    assert magnesium[stars.component == 1].mean() > magnesium[stars.component == 0].mean() + 0.1
    nitrogen = stars.xfe[:, ABUNDANCE_NAMES.index("n_fe")]
    assert nitrogen[giants].mean() > nitrogen[dwarfs].mean() + 0.2  # first dredge-up
    assert np.intersect1d(stars.gaia_dr3[stars.gaia_dr3 > 0], stars.gaia_dr2).size == 0


def test_labels_can_be_read_from_binned_flux() -> None:
    """Ridge regression on 40 A bins at S/N 50 finds what a reader of the spectrum should."""
    features, stars = [], []
    wave = np.arange(3800, 8721, 40)
    native = (10 ** (3.5682 + 1e-4 * np.arange(3909))).astype(float)
    where = np.digitize(native, wave) - 1
    for block in range(4):
        population = draw_stars(256 * block, 256 * (block + 1), 1)
        seen = observe(synthesise(population), population, np.zeros(256, int), (50.0, 50.0), 1)
        bins = np.stack([seen.flux[:, where == k].mean(1) for k in range(len(wave) - 1)], 1)
        padded = np.pad(bins, ((0, 0), (4, 4)), mode="edge")
        smooth = np.lib.stride_tricks.sliding_window_view(padded, 9, axis=1).mean(2)
        features.append(bins / smooth)
        stars.append(population)
    x = np.concatenate(features)
    x = (x - x.mean(0)) / x.std(0)
    x = np.column_stack([np.ones(len(x)), x])
    train = np.arange(len(x)) % 4 != 0

    def skill(values: np.ndarray) -> float:
        weights = np.linalg.solve(x[train].T @ x[train] + 10.0 * np.eye(x.shape[1]), x[train].T @ values[train])
        error = x[~train] @ weights - values[~train]
        return float(1 - error.var() / values[~train].var())

    assert skill(np.concatenate([s.teff for s in stars])) > 0.97
    assert skill(np.concatenate([s.logg for s in stars])) > 0.88
    assert skill(np.concatenate([s.feh for s in stars])) > 0.70
    xfe = np.concatenate([s.xfe for s in stars])
    known = {name: skill(xfe[:, i]) for i, name in enumerate(ABUNDANCE_NAMES)}
    assert all(known[name] > 0.2 for name in ("mg_fe", "ca_fe", "na_fe", "ti_fe")), known
    assert sum(value > 0.05 for value in known.values()) >= 14, known
