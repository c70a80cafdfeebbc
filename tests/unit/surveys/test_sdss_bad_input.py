"""Bad input where galaxies are read: files that are something else or damaged, catalogues without a redshift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits
from test_sdss_survey import RECIPE, catalog, row

from refusals import refused
from starglot.mock.sdss_files import write_sdss_spectrum
from starglot.samples.select import select
from starglot.spectra.shard import clean_shard
from starglot.surveys.sdss_spectra import read
from starglot.tables import SELECTED

WAVE = 10 ** np.arange(np.log10(3800), np.log10(9200), 1e-4)


def flux() -> np.ndarray:
    return 1 + 0.2 * np.sin(WAVE / 300)


def changed(**columns: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Damage that changes columns of the COADD table."""

    def damage(path: Path) -> None:
        with fits.open(path, mode="update") as units:
            for name, change in columns.items():
                units[1].data[name] = change(units[1].data[name])

    return damage


def one_in(step: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.where(np.arange(len(values)) % step, values, value)


def another_survey(path: Path) -> None:
    """A LAMOST file of the first releases: an image, and no table."""
    image = np.stack([flux(), np.ones(len(WAVE)), WAVE, np.zeros(len(WAVE)), np.zeros(len(WAVE))])
    fits.PrimaryHDU(image.astype(np.float32)).writeto(path, overwrite=True)


def desi(path: Path) -> None:
    """A DESI coadd: arms in extensions of their own."""
    table = fits.BinTableHDU.from_columns([fits.Column("TARGETID", "K", array=[1])], name="FIBERMAP")
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(WAVE, name="B_WAVELENGTH")]).writeto(path, overwrite=True)


#: What happens to a file -> why it is rejected, None where it can be used all the same.
DAMAGE: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "whole": (lambda path: None, None),
    "lamost": (another_survey, "layout_unknown"),
    "desi": (desi, "layout_unknown"),
    "empty file": (lambda path: path.write_bytes(b""), "file_unreadable"),
    "html": (lambda path: path.write_text("<html>404</html>" * 300), "file_unreadable"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:40000]), "file_unreadable"),
    "ivar nan": (changed(ivar=lambda ivar: np.full(len(ivar), np.nan)), "no_good_pixel"),
    "ivar inf": (changed(ivar=lambda ivar: np.full(len(ivar), np.inf)), "no_good_pixel"),
    "ivar partly nan": (changed(ivar=one_in(10, np.nan)), None),
    "ivar partly inf": (changed(ivar=one_in(10, np.inf)), None),
    "ivar half nan": (changed(ivar=one_in(2, np.nan)), "too_few_good_pixels"),
    "ivar negative": (changed(ivar=lambda ivar: -ivar), "no_good_pixel"),
    "flux nan": (changed(flux=one_in(10, np.nan)), "flux_not_finite"),
    "flux below 0": (changed(flux=lambda flux: -flux), "not_positive"),
    "wavelengths fall": (changed(loglam=lambda values: values[::-1].copy()), "wavelength_not_increasing"),
    "wavelengths nan": (changed(loglam=one_in(10, np.nan)), "wavelength_not_increasing"),
    "another range": (changed(loglam=lambda values: values + 0.3), "range_not_covered"),
}


def test_each_kind_of_bad_file_is_rejected_for_its_own_reason_and_counted(tmp_path: Path) -> None:
    rows = []
    for number, (damage, _) in enumerate(DAMAGE.values(), 1):
        path = write_sdss_spectrum(WAVE, flux(), 20.0, 266, 51602, number, tmp_path)
        damage(path)
        rows.append({"obsid": number, "star_id": f"g{number}", "file": path.name, "row": 0, "size": 1, "mtime": 1})
    spectra, rejected = clean_shard(pa.Table.from_pylist(rows, SELECTED), tmp_path, RECIPE, read, 1)
    found = dict(zip(rejected["obsid"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert {name: found.get(number) for number, name in enumerate(DAMAGE, 1)} == {
        name: reason for name, (_, reason) in DAMAGE.items()
    }
    assert sorted([*spectra["obsid"].to_pylist(), *found]) == list(range(1, len(DAMAGE) + 1))
    assert all(rejected["detail"].to_pylist())
    used = dict(zip(spectra["obsid"].to_pylist(), spectra["n_masked"].to_pylist(), strict=True))
    partly = list(DAMAGE).index("ivar partly nan") + 1
    assert used[partly] >= len(WAVE) // 10 > used[1]


def test_redshifts_that_are_none_are_counted_and_none_at_all_is_said(tmp_path: Path) -> None:
    rows = [row(FIBERID=n + 1, Z=z) for n, z in enumerate((0.1, np.nan, np.inf, -1.0, 0.0, 0.5, 12.0))]
    table, counts = catalog(tmp_path, *rows)
    assert [z is not None for z in table["redshift"].to_pylist()] == [True] + [False] * 6
    account = counts.as_json()["values"]["redshift"]
    assert account["valid"] == 1 and len(table) == 7
    refused_rows = sum(each["rows"] for each in account["refused"].values()) + account.get("missing", 0)
    assert refused_rows == 6
    table, _ = catalog(tmp_path, *[row(FIBERID=n + 1, Z=0.7) for n in range(5)])
    stars = table.append_column("star_id", pa.array([f"g{n}" for n in range(5)]))
    stars = stars.append_column("class", pa.nulls(5, pa.string()))
    with refused(where=("5", "0 with redshift")):
        select(stars, [{"labels": ["redshift"], "counts": {"all": 10}}], set(), {}, 1.2, 1)


def test_a_catalogue_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "specObj.fits").write_text("<html>404</html>")
    from starglot.config.surveys.sdss import Sdss
    from starglot.surveys.sdss import read_catalog

    with refused(where="specObj.fits"):
        read_catalog(Sdss(catalog=str(tmp_path / "specObj.fits"), spectra=str(tmp_path)))
