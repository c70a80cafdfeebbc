"""Catalogues as the surveys made them, checked against astropy and the csv module."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from refusals import refused
from starglot.config.root import Split
from starglot.config.surveys.registry import Apogee, Galah, Lamost
from starglot.formats.catalog import Column
from starglot.formats.columns import read_columns
from starglot.samples.draw import draw
from starglot.samples.inventory import inventory
from starglot.samples.match import match
from starglot.samples.select import select
from starglot.samples.star_ids import star_ids
from starglot.surveys import apogee, galah, lamost
from starglot.surveys.lamost_spectra import find_files, spectrum_file
from starglot.surveys.solar import SOLAR
from tasks import task_of

pytestmark = pytest.mark.real

#: All stars of LAMOST with any of its labels, as `select` is told.
EVERYONE = [{"labels": Lamost.brings, "counts": dict.fromkeys("AFGKM")}]


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def test_lamost_dr1_rows(real_files: Path) -> None:
    path = real_files / "lamost" / "dr1_image" / "dr1_catalog_rows.csv"
    expected = rows_of(path)
    table = lamost.read_catalog(Lamost(stellar=str(path), spectra="")).to_pylist()
    assert len(table) == len(expected) == 3165
    own = 0
    for row, text in zip(table, expected, strict=True):
        assert row["obsid"] == int(text["obsid"])
        assert row["class"] == text["subclass"][0], "all of these are A, F, G, K"
        assert (row["teff"], row["logg"], row["feh"]) == tuple(float(text[n]) for n in ("teff", "logg", "feh"))
        name = spectrum_file(*(row[key] for key in ("obsdate", "planid", "lmjd", "spid", "fiberid")))
        assert row["feh_source"] == "feh"
        # `filename` is no column of the release: whoever joined it by position gave 226 rows at the end of the file
        # the spectrum of the same star's other plate.  Where the plate is the row's own, the name must be too.
        joined = text["filename"].strip()
        own += joined.startswith(f"spec-{row['shard']}_")
        assert name.split("/")[2] == joined or not joined.startswith(f"spec-{row['shard']}_")
    assert own == 3165 - 226


def test_lamost_dr1_rows_find_their_files(real_files: Path, tmp_path: Path) -> None:
    """The real spectra in a release's folders: those that are there are found, the others are missing."""
    folder = real_files / "lamost" / "dr1_image"
    catalog = lamost.read_catalog(Lamost(stellar=str(folder / "dr1_catalog_rows.csv"), spectra=""))
    files = {path.name: path for path in folder.glob("spec-*.fits")}
    there = set()
    for row in catalog.to_pylist():
        name = spectrum_file(*(row[key] for key in ("obsdate", "planid", "lmjd", "spid", "fiberid")))
        if name.split("/")[2] in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).symlink_to(files[name.split("/")[2]])
            there.add(row["obsid"])
    assert len(there) > 30
    catalog = catalog.append_column("star_id", star_ids(catalog))
    shards = inventory(select(catalog, EVERYONE, set(), {"r": 2.0, "i": 2.0}, 1.0, seed=1), tmp_path, find_files)
    found = [row for rows in shards.values() for row in rows.to_pylist()]
    assert {row["obsid"] for row in found if row["size"]} == there & {row["obsid"] for row in found}
    assert all(row["size"] == (tmp_path / row["file"]).stat().st_size for row in found if row["size"])


def test_lamost_dr3_part_has_no_sn(real_files: Path) -> None:
    path = real_files / "lamost" / "odd" / "test_lamost_dr3_catalog_part.csv"
    with refused("snr_r", "snr_i", where=path):
        lamost.read_catalog(Lamost(stellar=str(path), spectra=""))
    table = lamost.read_catalog(Lamost(stellar=str(path), spectra="", snr_min={}))
    assert table["obsid"].to_pylist() == [int(row["obsid"]) for row in rows_of(path)]
    assert table["snr_r"].null_count == len(table) and table["class"].null_count == 0


def test_stars_of_a_real_release_are_grouped_by_position(real_files: Path) -> None:
    """DR1 has neither Gaia nor LAMOST ids; astropy's separations say which rows are one star."""
    path = real_files / "lamost" / "dr1_image" / "dr1_catalog_rows.csv"
    catalog = lamost.read_catalog(Lamost(stellar=str(path), spectra=""))
    ids = np.array(star_ids(catalog).to_pylist())
    sky = SkyCoord(catalog["ra"].to_numpy() * u.deg, catalog["dec"].to_numpy() * u.deg)
    one, other, _, _ = sky.search_around_sky(sky, 3 * u.arcsec)
    close = one < other
    assert (ids[one[close]] == ids[other[close]]).all()
    assert len(set(ids)) == len(ids) - len(set(other[close]))


@pytest.fixture(scope="session")
def hipparcos(real_files: Path) -> Path:
    return real_files / "apogee" / "APOGEE-allStar-v603-Hipparcos.fits.gz"


def test_apogee_dr12_flags_against_astropy(hipparcos: Path) -> None:
    raw = Table.read(hipparcos, hdu=1)
    by_id: dict[str, list[int]] = {}
    for row, name in enumerate(raw["APOGEE_ID"]):
        by_id.setdefault(str(name).strip(), []).append(row)
    table = apogee.read_catalog(Apogee(release="dr12", catalog=str(hipparcos)))
    assert len(table) == len(by_id) == 3015
    counted = 0
    for star in table.to_pylist():
        candidates = by_id[star["apogee_id"]]
        row = min(candidates, key=lambda r: (bool(raw["EXTRATARG"][r] & 16), -raw["SNR"][r], r))
        good = raw["ASPCAPFLAG"][row] == 0 and not (np.asarray(raw["PARAMFLAG"][row]) & 31).any()
        iron = raw["FE_H"][row] if good and raw["FE_H_FLAG"][row] == 0 else None
        valid = iron is not None and raw["MG_H_FLAG"][row] == 0 and min(raw["MG_H"][row], iron) > -9000
        assert (star["mg_fe"] is not None) == bool(valid)
        if valid:
            counted += 1
            assert star["mg_fe"] == pytest.approx(float(raw["MG_H"][row]) - float(iron), abs=1e-6)
            assert star["mg_fe_err"] > 0
        assert star["teff"] is None or (good and star["teff"] == float(raw["TEFF"][row]))
    assert counted > 600
    assert table["c_fe"].null_count == len(table), "every C_H of DR12 carries CALRANGE_WARN here"
    bad_bits = Apogee(release="dr12", catalog=str(hipparcos), elemflag_bits=[0, 1, 2, 3])
    assert apogee.read_catalog(bad_bits)["c_fe"].null_count < len(table) - 600


def test_apogee_dr12_read_as_dr16_names_what_it_lacks(hipparcos: Path) -> None:
    with refused("ci_fe", "p_fe", "tiii_fe", "cr_fe", "co_fe", "cu_fe", "ce_fe", where=hipparcos):
        apogee.read_catalog(Apogee(catalog=str(hipparcos)))


def test_galah_dr3_files_are_refused_with_the_columns_that_dr4_has(real_files: Path) -> None:
    for name in ("galah_dr3_allstar_m67_lite.csv", "galah_dr3_output_structure.fits", "GALAH_GBS2.1.fits"):
        with refused("snr", where=real_files / "galah" / name, allowed="snr_px_ccd3"):
            galah.read_catalog(Galah(catalog=str(real_files / "galah" / name)))


def test_galah_m67_ids_keep_every_digit(real_files: Path) -> None:
    path = real_files / "galah" / "galah_dr3_allstar_m67_lite.csv"
    columns = [Column("id", ("DR3_source_id",), "gaia"), Column("teff", ("teff",)), Column("feh", ("fe_h",))]
    table = read_columns(path, columns)
    expected = rows_of(path)
    assert table["id"].to_pylist() == [row["dr3_source_id"] for row in expected]
    for mine, row in zip(table["teff"].to_pylist(), expected, strict=True):
        assert mine == (float(row["teff"]) if row["teff"] not in ("", "nan") else None)


def test_solar_scale_of_asplund_2009(real_files: Path) -> None:
    published = {
        row["element"]: float(row["log_eps"])
        for row in rows_of(real_files / "catalogs" / "solar_abundances_asplund2009.csv")
    }
    assert {element: published[element] for element in SOLAR["asplund2009"]} == SOLAR["asplund2009"]


# ---------------------------------------------------------------- a release made of real stars


@pytest.fixture(scope="module")
def release(real_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty MILES stars, two visits each, laid out as a LAMOST release."""
    tool = real_files.parent / "tools" / "stars_to_lamost.py"
    if not tool.is_file():
        pytest.skip("no ../shared/tools/stars_to_lamost.py beside the checkout")
    library, out = tmp_path_factory.mktemp("miles"), tmp_path_factory.mktemp("release")
    stars = rows_of(real_files / "miles" / "labels.csv")
    cool = [star for star in stars if star["subclass"].startswith("dM")][:10]
    chosen = [*cool, *[star for star in stars if star not in cool][:50]]
    with open(library / "labels.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, chosen[0].keys())
        writer.writeheader()
        writer.writerows(chosen)
    for star in chosen:
        (library / star["file"]).symlink_to(real_files / "miles" / star["file"])
    subprocess.run([sys.executable, str(tool), str(library), str(out), "--visits", "2"], check=True)
    return out


def test_from_catalogue_to_sample_on_real_stars(release: Path, hipparcos: Path) -> None:
    settings = Lamost(
        stellar=str(release / "dr11_v1.1_LRS_stellar.fits.gz"),
        mstellar=str(release / "dr11_v1.1_LRS_mstellar.fits.gz"),
        spectra=str(release / "spectra"),
    )
    catalog = lamost.read_catalog(settings)
    assert len(catalog) == 120
    raw = Table.read(settings.mstellar)
    cool = [row for row in catalog.to_pylist() if row["class"] == "M"]
    assert len(cool) == 20 and {row["feh_source"] for row in cool} == {"m_h"}
    assert [row["feh"] for row in cool] == [float(value) for value in raw["m_h"]]
    catalog = catalog.append_column("star_id", star_ids(catalog))
    assert Counter(catalog["star_id"].to_pylist()).most_common()[-1][1] == 2
    assert all(star.startswith("gaia:") for star in catalog["star_id"].to_pylist())

    others = match(
        catalog, apogee.read_catalog(Apogee(release="dr12", catalog=str(hipparcos))), "apogee_id", "dr3", 3.0
    )
    assert len(others) == 0, "the positions are invented"
    chosen = select(catalog, EVERYONE, set(), settings.snr_min, 1.2, seed=1)
    shards = inventory(chosen, Path(settings.spectra), find_files)
    rows = [row for table in shards.values() for row in table.to_pylist()]
    assert sorted(shards) == ["58000-REAL00", "58001-REAL01"]
    assert sorted(row["obsid"] for row in rows) == chosen["obsid"].to_pylist()
    assert all(row["size"] == (release / "spectra" / row["file"]).stat().st_size for row in rows)

    task = task_of("atmosphere", ["teff"], balanced=True, sizes={"n": 20}, shortage="take_all")
    sample, manifest = draw(chosen, task, "n", Split(), 1)
    assert manifest["groups"]["M"]["spectra"] == 4
    splits = dict(zip(sample["star_id"].to_pylist(), sample["split"].to_pylist(), strict=True))
    assert all(splits[row["star_id"]] == row["split"] for row in sample.to_pylist())
