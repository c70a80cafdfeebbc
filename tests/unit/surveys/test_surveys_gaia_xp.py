"""Gaia XP: sources and their slices of the sky, sampled spectra in every format that they come in."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import holds, refused
from starglot.config.surveys.gaia_xp import GaiaXP
from starglot.formats.counts import Counts
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys import gaia_xp, gaia_xp_spectra
from starglot.surveys.gaia_xp_spectra import WAVELENGTH
from starglot.surveys.identify import read_file
from starglot.tables import SELECTED

IDS = [4295806720, 6917528443525529728]  # real sources near both ends of the numbering
FLUX = np.random.default_rng(1).normal(1e-16, 1e-17, (2, 343)).astype(np.float32)
ERROR = np.abs(FLUX) / 50


def csv(path: Path, form: str, before: str = "") -> Path:
    def text(values: np.ndarray) -> str:
        joined = {"archive": "({})".format(", ".join(map(repr, values.tolist())))}
        joined["gaiaxpy"] = "[{}]".format(" ".join(map(repr, values.tolist())))
        joined["wrapped"] = joined["gaiaxpy"].replace(" ", "\n ")
        return joined[form]

    rows = [f'{source},"{text(f)}","{text(e)}"' for source, f, e in zip(IDS, FLUX, ERROR, strict=True)]
    content = before + "source_id,flux,flux_error\n" + "\n".join(rows) + "\n"
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def write(folder: Path, form: str) -> Path:
    table = Table({"source_id": np.array(IDS), "flux": FLUX, "flux_error": ERROR})
    if form in ("archive", "gaiaxpy", "wrapped"):
        return csv(folder / "xp.csv", form)
    if form == "ecsv":
        return csv(folder / "xp.csv.gz", "archive", before="# %ECSV 1.0\n# ---\n# delimiter: ','\n")
    if form == "votable":
        table.write(folder / "xp.xml", format="votable")
        return folder / "xp.xml"
    if form == "fits":
        table.write(folder / "xp.fits")
    else:  # FITS with arrays of varying length, as the archive's
        arrays = [fits.Column("source_id", "K", array=np.array(IDS))]
        for name, values in (("flux", FLUX), ("flux_error", ERROR)):
            rows = np.empty(2, object)
            rows[:] = list(values)
            arrays.append(fits.Column(name, "PE(343)", array=rows))
        fits.BinTableHDU.from_columns(arrays).writeto(folder / "xp.fits")
    return folder / "xp.fits"


def selected(ids: list[int], file: str | None) -> pa.Table:
    rows = [{"obsid": each, "star_id": str(each), "file": file, "row": None, "size": 1, "mtime": 1} for each in ids]
    return pa.Table.from_pylist(rows, schema=SELECTED)


@pytest.mark.parametrize("form", ["archive", "gaiaxpy", "wrapped", "ecsv", "votable", "fits", "fits_varying"])
def test_every_format_has_the_same_spectra(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form)
    for found, flux, error in zip(
        dict(gaia_xp_spectra.read(selected(IDS, path.name), tmp_path)).values(), FLUX, ERROR, strict=True
    ):
        assert isinstance(found, RawSpectrum)
        np.testing.assert_allclose(found.flux, flux, rtol=1e-7)
        np.testing.assert_allclose(found.ivar, error.astype(float) ** -2.0, rtol=1e-6)
        assert found.wavelength[0] == 3360 and found.wavelength[107] == 5500 and found.wavelength[-1] == 10200


def test_the_archives_files_are_found_by_their_range_and_others_by_their_ids(tmp_path: Path) -> None:
    # A source id over 2^43 is its pixel of level 8: 0 and 786,432 - ... for the two.
    pixels = [each // 2**43 for each in IDS]
    csv(tmp_path / f"XpSampledMeanSpectrum_{pixels[0]:06d}-{pixels[0] + 5:06d}.csv.gz", "archive")
    candidates = pa.table({"obsid": pa.array([*IDS, 77])})
    found = gaia_xp_spectra.find_files(candidates, tmp_path)
    name = f"XpSampledMeanSpectrum_{pixels[0]:06d}-{pixels[0] + 5:06d}.csv.gz"
    assert found["file"].to_pylist() == [name, None, name]  # 77 is of the same pixel, though no source
    csv(tmp_path / "mine.csv", "gaiaxpy")
    assert gaia_xp_spectra.find_files(candidates, tmp_path)["file"].to_pylist() == ["mine.csv", "mine.csv", name]
    outcomes = dict(gaia_xp_spectra.read(selected([77], name), tmp_path))
    assert isinstance(outcomes[77], SpectrumRejected) and outcomes[77].reason == "not_in_file"
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with refused(where=tmp_path / "notes.csv"):
        gaia_xp_spectra.find_files(candidates, tmp_path)


def test_a_source_without_file_and_one_of_another_length_are_reasons(tmp_path: Path) -> None:
    (tmp_path / "xp.csv").write_text('source_id,flux,flux_error\n5,"(1.0, 2.0)","(1.0, 1.0)"\n6,"(1, x)","(1, 1)"\n')
    outcomes = dict(gaia_xp_spectra.read(selected([5, 6], "xp.csv"), tmp_path))
    outcomes |= dict(gaia_xp_spectra.read(selected([7], None), tmp_path))
    reasons = {source: why.reason for source, why in outcomes.items() if isinstance(why, SpectrumRejected)}
    assert reasons == {5: "lengths_differ", 6: "file_unreadable", 7: "file_missing"}


def test_missing_values_and_errors_weigh_nothing(tmp_path: Path) -> None:
    table = Table({"source_id": [5], "flux": np.full((1, 343), 2.0), "flux_error": np.full((1, 343), 0.5)})
    table["flux"][0, 3], table["flux_error"][0, 4], table["flux_error"][0, 5] = np.nan, 0.0, np.nan
    table.write(tmp_path / "xp.fits")
    survey, (only,) = read_file(tmp_path / "xp.fits")
    assert survey == "gaia_xp" and only.name == "5" and isinstance(only.spectrum, RawSpectrum)
    assert np.flatnonzero(only.spectrum.ivar == 0).tolist() == [3, 4, 5] and only.spectrum.ivar[0] == 4.0


def continuous(folder: Path, form: str) -> Path:
    """Coefficients of three sources, as the archive and its DataLink write them."""
    table = Table({"source_id": [*IDS, 5], "bp_coefficients": np.arange(165.0).reshape(3, 55)})
    if form == "fits":
        table.write(folder / "xp.fits")
        return folder / "xp.fits"
    rows = [
        f'{source},"({", ".join(map(str, row))})"\n'
        for source, row in zip(table["source_id"], table["bp_coefficients"], strict=True)
    ]
    path = folder / "XpContinuousMeanSpectrum_000000-786431.csv.gz"
    path.write_bytes(gzip.compress(("# %ECSV 1.0\nsource_id,bp_coefficients\n" + "".join(rows)).encode()))
    return path


@pytest.mark.parametrize("form", ["fits", "archive"])
def test_continuous_spectra_without_gaiaxpy_say_what_to_do(tmp_path: Path, form: str, monkeypatch) -> None:
    monkeypatch.setattr("starglot.surveys.gaia_xp_continuous.find_spec", lambda name: None)
    path = continuous(tmp_path, form)
    ((_, why),) = gaia_xp_spectra.read(selected([5], path.name), tmp_path)
    assert isinstance(why, SpectrumRejected) and why.reason == "layout_unknown"
    assert holds(why.detail, "starglot[gaia]") and "GaiaXPy" in why.detail
    with refused(where=path):  # else all of them would be rejected one by one
        gaia_xp_spectra.find_files(pa.table({"obsid": pa.array([5])}), tmp_path)


@pytest.mark.parametrize("form", ["fits", "archive"])
def test_continuous_spectra_are_sampled_as_the_archive_samples(tmp_path: Path, form: str, monkeypatch) -> None:
    """By what stands for GaiaXPy here; tests/real has the real one, where it is installed."""
    seen = []

    def calibrate(path: str, sampling: np.ndarray, save_file: bool):
        assert not save_file
        np.testing.assert_allclose(sampling, np.arange(336, 1021, 2))
        table = Table.read(path)
        seen.append(sorted(table["source_id"]))
        assert path.endswith((".fits", ".csv")) and len(table.colnames) == 2
        whole = np.full((3, 343), 2.0) * np.array([[1], [2], [3]])
        rows = [IDS.index(source) for source in table["source_id"] if source in IDS]
        if seen == [[IDS[0]]]:
            raise KeyError("no such column")
        found = {"source_id": [IDS[row] for row in rows], "flux": [*whole[rows]], "flux_error": [*whole[rows] / 4]}
        return found, sampling

    monkeypatch.setattr("starglot.surveys.gaia_xp_continuous.find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "gaiaxpy", SimpleNamespace(calibrate=calibrate))
    path = continuous(tmp_path, form)
    assert (
        gaia_xp_spectra.find_files(pa.table({"obsid": pa.array(IDS)}), tmp_path)["file"].to_pylist()
        == [path.name] * 2
    )
    found = dict(gaia_xp_spectra.read(selected([*IDS, 5], path.name), tmp_path))
    assert seen == [sorted([*IDS, 5])]  # all of them together
    for number, source in enumerate(IDS, 1):
        each = found[source]
        assert isinstance(each, RawSpectrum) and set(each.flux) == {2.0 * number} and each.wavelength[0] == 3360
        np.testing.assert_allclose(each.ivar, (2.0 * number / 4) ** -2)
    assert isinstance(found[5], SpectrumRejected) and found[5].reason == "no_good_pixel"
    if form == "fits":
        assert read_file(path)[0] == "gaia_xp"
    else:  # those that are wanted, and no others
        seen.clear()
        ((_, why),) = gaia_xp_spectra.read(selected([IDS[0]], path.name), tmp_path)
        assert seen == [[IDS[0]]]
        assert isinstance(why, SpectrumRejected) and why.reason == "file_unreadable" and "GaiaXPy" in why.detail


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=400) | st.text(max_size=200).map(str.encode), start=st.booleans())
def test_any_file_is_a_reason_and_never_an_error(
    content: bytes, start: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("xp")
    (folder / "xp.csv").write_bytes((b"source_id,flux,flux_error\n" if start else b"") + content)
    ((source, outcome),) = gaia_xp_spectra.read(selected([5], "xp.csv"), folder)
    assert source == 5 and isinstance(outcome, SpectrumRejected | RawSpectrum)


def test_sources_are_sliced_by_their_place_on_the_sky(tmp_path: Path) -> None:
    path = tmp_path / "sources.csv"
    path.write_text(f"source_id,ra,dec\n{IDS[0]},45.0,0.1\n{IDS[1]},300,-20\n{IDS[0]},45.0,0.1\n,1,1\n")
    counts = Counts()
    table = gaia_xp.read_catalog(GaiaXP(catalog=str(path), spectra="xp"), counts)
    assert table["obsid"].to_pylist() == IDS
    assert table["gaia_source_id"].to_pylist() == [str(each) for each in IDS]
    assert table["shard"].to_pylist() == ["hp3-000000", f"hp3-{IDS[1] // (2**35 * 4**9):06d}"]
    assert {reason: tally.rows for reason, tally in counts.left_out.items()} == {"second_entry": 1, "no_id": 1}
    assert len(WAVELENGTH) == 343
