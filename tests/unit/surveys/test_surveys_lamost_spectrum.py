"""LAMOST spectrum files, whole and broken, against astropy."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.lamost_spectrum import read_spectrum

N = 60
NAMES = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")
WAVELENGTH = 10 ** (3.5682 + 1e-4 * np.arange(N))


def vectors() -> dict[str, np.ndarray]:
    flux = np.random.default_rng(0).normal(100, 5, N)
    mask = np.where(np.arange(N) % 9 == 0, 65.0, 0.0)
    return dict(zip(NAMES, (flux, np.ones(N), WAVELENGTH, mask, mask, np.ones(N)), strict=True))


def as_bytes(units: list) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    return buffer.getvalue()


def table(formats: str = "EEEEEE", rows: int = 1, name: str = "COADD", without: str = "", short: str = "") -> bytes:
    columns = []
    for (column, values), letter in zip(vectors().items(), formats, strict=True):
        if column != without:
            stack = np.tile(values[:50] if column == short else values, (rows, 1))
            columns.append(fits.Column(name=column, format=f"{stack.shape[1]}{letter}", array=stack))
    return as_bytes([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name=name)])


def image(
    third: str = "Wavelength", sep: str = ", ", kind: type = np.float32, rows: int = 5, **cards: object
) -> bytes:
    arrays = vectors()
    data = np.array([arrays[name] for name in NAMES[:5]][:rows], kind)
    unit = fits.PrimaryHDU(data)
    unit.header["EXTEN0"] = (sep.join(["Flux", "Inverse", third, "Andmask", "Ormask"]), "names / of rows")
    unit.header.update({"COEFF0": 3.5682, "COEFF1": 1e-4, "WFITTYPE": "LOG-LINEAR", "VACUUM": True} | cards)
    return as_bytes([unit])


def read(content: bytes, folder: Path, name: str = "spec.fits"):
    (folder / name).write_bytes(content)
    return read_spectrum(folder / name)


def rejection(content: bytes, folder: Path) -> SpectrumRejected:
    with pytest.raises(SpectrumRejected) as why:
        read(content, folder)
    return why.value


LAYOUTS = {
    "table": table(),
    "table of doubles and integers": table("DEDJID"),
    "image": image(),
    "image of doubles": image(kind=np.float64, sep=" "),
    "image of DR1": image("Subcontinuum", " "),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", [False, True])
def test_layouts_are_told_apart_by_structure(layout: str, packed: bool, tmp_path: Path) -> None:
    content = gzip.compress(LAYOUTS[layout]) if packed else LAYOUTS[layout]
    raw, truth = read(content, tmp_path), vectors()
    exact = 0 if "double" in layout else 1e-7
    np.testing.assert_allclose(raw.flux, truth["FLUX"], rtol=exact)
    np.testing.assert_allclose(raw.wavelength, WAVELENGTH, rtol=0 if layout == "image of DR1" else exact)
    np.testing.assert_array_equal(raw.ivar, truth["IVAR"])
    np.testing.assert_array_equal(raw.mask, truth["ORMASK"].astype(int))
    assert raw.mask.dtype == np.int64 and raw.flux.dtype == np.float64


def test_left_over_axes_blank_cards_and_lost_padding_do_not_mislead(tmp_path: Path) -> None:
    """DR10 primary headers say NAXIS = 0 with NAXIS1 = 3909 below, and hold a blank card."""
    content = bytearray(table())
    header = fits.PrimaryHDU().header.tostring(padding=False)[: 80 * 3]
    cards = [header, "NAXIS1  =                 3909", "NAXIS2  =                    5", " ", "END"]
    block = "".join(card.ljust(-(-len(card) // 80) * 80) for card in cards).ljust(2880)
    content[:2880] = block.encode()
    used = len(bytes(content).rstrip(b"\0"))
    raw = read(bytes(content[: used + 4]), tmp_path)
    np.testing.assert_allclose(raw.flux, vectors()["FLUX"], rtol=1e-7)


def test_gzip_of_several_members_and_scaled_columns(tmp_path: Path) -> None:
    content = table()
    members = gzip.compress(content[:4000]) + gzip.compress(content[4000:])
    for packed in (members, gzip.compress(members, mtime=0)):
        np.testing.assert_allclose(read(packed, tmp_path).flux, vectors()["FLUX"], rtol=1e-7)
    columns = [fits.Column(name=name, format=f"{N}E", array=values[None]) for name, values in vectors().items()]
    unsigned = vectors()["ORMASK"][None].astype(np.uint16)
    columns[NAMES.index("ORMASK")] = fits.Column(name="ORMASK", format=f"{N}I", bzero=32768, array=unsigned)
    raw = read(as_bytes([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")]), tmp_path)
    np.testing.assert_array_equal(raw.mask, vectors()["ORMASK"].astype(int))


def test_a_mask_that_is_no_number_has_every_bit(tmp_path: Path) -> None:
    arrays = vectors()
    arrays["ORMASK"] = np.where(np.arange(N) == 3, np.nan, 0.0)
    columns = [fits.Column(name=name, format=f"{N}E", array=values[None]) for name, values in arrays.items()]
    raw = read(as_bytes([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")]), tmp_path)
    assert raw.mask[3] & (1 << 40) and not raw.mask[4]


@pytest.mark.parametrize(
    ("reason", "says", "content"),
    [
        ("file_unreadable", "empty", b""),
        ("file_unreadable", "web page, not a FITS file", b"<html>404</html>" * 400),
        ("file_unreadable", "web page, not a FITS file", gzip.compress(b"<html>404</html>", mtime=0)),
        ("file_unreadable", "Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\n"),
        ("file_unreadable", "not a FITS file", b"flux 1 2 3"),
        (
            "layout_unknown",
            "data end",
            table().replace(b"GCOUNT  =                    1", b"GCOUNT  =                    0")[:6000],
        ),
        ("file_unreadable", "cut off", gzip.compress(table(), mtime=0)[:900]),
        ("file_unreadable", "damaged", gzip.compress(table(), mtime=0)[:200] + b"?" * 300),
        ("file_unreadable", "END", table()[:160]),
        ("file_unreadable", "data end", table()[:6000]),
        ("file_unreadable", "data end", image()[: 2880 + 200]),
        ("layout_unknown", "extensions: none", as_bytes([fits.PrimaryHDU()])),
        ("layout_unknown", "COADD_B", table(name="COADD_B")),
        ("layout_unknown", "3 rows", table(rows=3)),
        ("layout_unknown", "ORMASK", table(without="ORMASK")),
        ("layout_unknown", "4 rows", image(rows=4)),
        ("layout_unknown", "flux nothing", image("nothing", EXTEN0="Flux Nothing")),
        ("layout_unknown", "WFITTYPE", image("Subcontinuum", WFITTYPE="LINEAR")),
        ("layout_unknown", "VACUUM", image(VACUUM=False)),
        ("layout_unknown", "axes", as_bytes([fits.PrimaryHDU(np.ones(40, np.float32))])),
        ("lengths_differ", "WAVELENGTH 50", table(short="WAVELENGTH")),
    ],
)
def test_each_broken_file_has_its_reason(reason: str, says: str, content: bytes, tmp_path: Path) -> None:
    why = rejection(content, tmp_path)
    assert why.reason == reason
    assert says in why.detail


def test_absent_files_and_folders_in_their_place(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no" / "spec.fits", "file_missing"), (tmp_path, "file_unreadable")):
        with pytest.raises(SpectrumRejected) as why:
            read_spectrum(path)
        assert why.value.reason == reason


@settings(max_examples=300)
@given(
    layout=st.sampled_from(["table", "image", "image of DR1"]),
    places=st.lists(st.tuples(st.integers(0, 7000), st.integers(0, 255)), min_size=1, max_size=8),
    end=st.one_of(st.none(), st.integers(0, 9000)),
)
def test_whatever_the_bytes_a_file_is_read_or_rejected(
    layout: str, places: list[tuple[int, int]], end: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(LAYOUTS[layout])
    for place, byte in places:
        content[place % len(content)] = byte
    try:
        raw = read(bytes(content[:end]), tmp_path_factory.getbasetemp(), "fuzz.fits")
    except SpectrumRejected:
        return
    assert len(raw.flux) == len(raw.wavelength) == len(raw.ivar) == len(raw.mask)
