"""Files of many spectra as SPARCL's users save them: the same spectra from Parquet, npz and CSV; pickles refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.identify import read_file
from starglot.surveys.plain_spectrum import NO_ERROR

N, M = 3, 50
WAVE = 3600 + 0.8 * np.arange(M)
FLUX = np.random.default_rng(0).normal(10, 1, size=(N, M))
IVAR = np.random.default_rng(1).uniform(0.5, 2, size=(N, M))
IVAR[1, 4] = 0
MASK = np.zeros((N, M), np.int64)
MASK[2, 7] = 4
IDS = ["a-1", "b-2", "c-3"]


def rows(text: bool = False, comma: bool = True) -> pd.DataFrame:
    """A row for each record; as text where ``text``, with commas or blanks between numbers."""

    def cell(values: np.ndarray) -> object:
        between = ", " if comma else " "
        return f"[{between.join(map(repr, values.tolist()))}]" if text else values.tolist()

    each = {"wavelength": [WAVE] * N, "flux": FLUX, "ivar": IVAR, "mask": MASK}
    # specid is not unique, and sparcl_id is what counts
    return pd.DataFrame(
        {"specid": [7] * N, "sparcl_id": IDS, **{name: [cell(v) for v in values] for name, values in each.items()}}
    )


def write(kind: str, path: Path) -> Path:
    if kind == "parquet":
        rows().to_parquet(path)
    elif kind.startswith("csv"):
        rows(True, comma=kind == "csv").to_csv(path, index=False)
    elif kind == "npz":
        np.savez(path, wavelength=WAVE, flux=FLUX, ivar=IVAR, mask=MASK, sparcl_id=IDS)
    else:
        np.savez_compressed(
            path, wavelength=np.tile(WAVE, (N, 1)), flux=FLUX, error=IVAR**-0.5, mask=MASK, targetid=IDS
        )
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv-blanks", "npz", "npz-of-errors"])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_every_format_has_the_same_spectra(kind: str, tmp_path: Path) -> None:
    survey, found = read_file(write(kind, tmp_path / f"sparcl.{kind.split('-')[0]}"))
    assert survey == "table" and [each.name for each in found] == IDS
    for row, each in enumerate(found):
        assert not isinstance(each.spectrum, SpectrumRejected) and NO_ERROR not in each.assumed
        np.testing.assert_allclose(each.spectrum.wavelength, WAVE, rtol=1e-12)
        np.testing.assert_allclose(each.spectrum.flux, FLUX[row])
        np.testing.assert_allclose(each.spectrum.ivar, IVAR[row])
        assert np.array_equal(each.spectrum.mask, MASK[row])


def test_without_errors_it_is_said_and_one_bad_row_spoils_no_other(tmp_path: Path) -> None:
    frame = rows().drop(columns=["ivar", "mask"])
    frame.at[1, "flux"] = FLUX[1, :-3].tolist()
    frame.to_parquet(tmp_path / "few.parquet")
    _, (first, second, third) = read_file(tmp_path / "few.parquet")
    assert NO_ERROR in first.assumed and not isinstance(third.spectrum, SpectrumRejected)
    assert isinstance(second.spectrum, SpectrumRejected) and second.spectrum.reason == "lengths_differ"


def test_pickles_are_refused_and_run_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "spectra.pkl").write_bytes(pickle.dumps({"flux": Trap()}))
    np.savez(tmp_path / "objects.npz", wavelength=WAVE, flux=np.array([Trap(), None], object), allow_pickle=True)
    for name in ("spectra.pkl", "objects.npz"):
        with pytest.raises(SpectrumRejected) as caught:
            read_file(tmp_path / name)
        assert caught.value.reason == "file_unreadable"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"PK\x03\x04 not an archive", b"PAR1 cut off"])
def test_damaged_files_are_unreadable(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / ("cut.npz" if content.startswith(b"PK") else "cut.parquet")
    path.write_bytes(content)
    with pytest.raises(SpectrumRejected) as caught:
        read_file(path)
    assert caught.value.reason == "file_unreadable"


def test_a_table_of_one_spectrum_is_what_it_was(tmp_path: Path) -> None:
    pd.DataFrame({"wavelength": WAVE, "flux": FLUX[0], "ivar": IVAR[0]}).to_csv(tmp_path / "one.csv", index=False)
    _, (one,) = read_file(tmp_path / "one.csv")
    assert one.name == "" and len(one.spectrum.flux) == M


def test_a_fits_table_whose_bytes_look_like_text_is_a_fits_table(tmp_path: Path) -> None:
    flux = np.full(M, np.frombuffer(b"nan1", ">f4")[0])
    head = fits.PrimaryHDU(header=fits.Header([("COMMENT", "Astronomy and Astrophysics, v44")]))
    table = fits.BinTableHDU(Table({"wavelength": WAVE, "flux": flux.astype(">f4")}))
    fits.HDUList([head, table]).writeto(tmp_path / "one.fits")
    _, (one,) = read_file(tmp_path / "one.fits")
    assert np.array_equal(one.spectrum.flux, flux)
