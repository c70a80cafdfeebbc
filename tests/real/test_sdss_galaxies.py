"""Real galaxies: every SDSS spectrum beside the checkout against astropy, and the tokens of the paper's encoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table

from starglot.config.digits import Digits
from starglot.config.recipes import Recipe
from starglot.config.root import Encoding
from starglot.config.surveys.sdss import Sdss
from starglot.config.tasks import form_task
from starglot.language.codec import Codec
from starglot.language.prompts import question
from starglot.spectra.clean import clean
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys.sdss import read_catalog, spectrum_id
from starglot.surveys.sdss_spectra import find_files, read
from starglot.surveys.sdss_spectrum import read_sdss_spectrum
from starglot.tables import SELECTED

pytestmark = pytest.mark.real

#: Llama 3's rule for pieces of text.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RECIPE = Recipe.model_validate(
    {
        "wavelength": {"start": 3850.0, "stop": 9149.0},
        "normalisation": "p99",
        "interpolation": "linear",
        "max_edge": 40,
    }
)


@pytest.fixture(scope="module")
def spectra(real_files: Path) -> list[Path]:
    found = sorted([*(real_files / "sdss").glob("spec-*"), *(real_files / "galaxies/rm017_epochs").glob("spec-*")])
    if len(found) < 40:
        pytest.skip("no real SDSS spectra beside the checkout (../shared/real)")
    return found


def test_every_spectrum_is_what_astropy_reads(spectra: list[Path]) -> None:
    for path in spectra:
        raw = read_sdss_spectrum(path)
        with fits.open(path) as units:
            table = units[1].data
            np.testing.assert_array_equal(raw.flux, table["flux"].astype(float))
            np.testing.assert_array_equal(raw.ivar, table["ivar"].astype(float))
            np.testing.assert_array_equal(raw.mask, table["and_mask"])
            np.testing.assert_allclose(raw.wavelength, 10 ** table["loglam"].astype(float), rtol=1e-12)


def test_their_rows_make_a_catalogue_and_their_files_are_found(spectra: list[Path], tmp_path: Path) -> None:
    rows, links = [], {}
    for path in spectra:
        row = fits.getdata(path, 2)
        have = {name.upper(): row[name][0] for name in row.names}
        plate, mjd, fiber = (int(part) for part in path.name.split(".")[0].split("-")[1:])
        assert (have["PLATE"], have["MJD"], have["FIBERID"]) == (plate, mjd, fiber)
        wanted = (
            "PLUG_RA",
            "PLUG_DEC",
            "CLASS",
            "Z",
            "Z_ERR",
            "ZWARNING",
            "Z_NOQSO",
            "ZWARNING_NOQSO",
            "CLASS_NOQSO",
        )
        kept = {name: str(have[name]).strip() if "CLASS" in name else float(have[name]) for name in wanted}
        run2d = str(have["RUN2D"]).strip()
        rows.append({"PLATE": plate, "MJD": mjd, "FIBERID": fiber, "RUN2D": run2d, **kept})
        place = tmp_path / run2d / "spectra" / f"{plate:04d}" / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
        links[int(spectrum_id(np.array(plate), np.array(mjd), np.array(fiber)))] = path
    for row in rows:
        row["ZWARNING"], row["ZWARNING_NOQSO"] = int(row["ZWARNING"]), int(row["ZWARNING_NOQSO"])
    Table(rows).write(tmp_path / "specObj.fits")
    settings = Sdss(catalog=str(tmp_path / "specObj.fits"), spectra=str(tmp_path), classes=["GALAXY", "QSO"])
    table = read_catalog(settings)
    assert sorted(table["obsid"].to_pylist()) == sorted(links)
    for row in table.to_pylist():
        about = next(each for each in rows if (each["PLATE"], each["MJD"]) == (row["plate"], row["mjd"]))
        best = about["Z_NOQSO"] if about["CLASS"] == "GALAXY" and about["CLASS_NOQSO"] else about["Z"]
        expected = best if about["CLASS"] != "STAR" and not row["zwarning"] and 0 < best < 0.5 else None
        assert row["redshift"] == (expected if expected is None else pytest.approx(expected))
    # The active galaxy of the epochs is at 0.456 in all of them; the two other galaxies are where they are.
    known = sorted(z for z in table["redshift"].to_pylist() if z is not None)
    assert known[0] == pytest.approx(0.00206, abs=1e-5) and known[1] == pytest.approx(0.12773, abs=1e-5)
    assert len(known) > 30 and np.ptp(known[2:]) < 0.003
    files = find_files(table, tmp_path)
    assert files["size"].null_count == 0
    named = table.append_column("star_id", pa.array(["x"] * len(table)))
    chosen = {n: named[n] if n in named.column_names else files[n] for n in SELECTED.names}
    outcomes = dict(read(pa.table(chosen).cast(SELECTED), tmp_path))
    for obsid, raw in outcomes.items():
        np.testing.assert_array_equal(raw.flux, fits.getdata(links[obsid], 1)["flux"].astype(float))
        try:
            row, masked = clean(raw, RECIPE)
        except SpectrumRejected as why:
            assert why.reason in ("range_not_covered", "too_few_good_pixels"), (links[obsid], why)
            continue
        assert row.max() > 900 and masked < 0.3 * len(raw.flux)


def test_a_lamost_file_is_no_sdss_spectrum(real_files: Path) -> None:
    for folder in ("dr10_coadd", "dr7_image"):
        path = sorted((real_files / "lamost" / folder).glob("*.fits*"))[0]
        with pytest.raises(SpectrumRejected) as caught:
            read_sdss_spectrum(path)
        assert caught.value.reason == "layout_unknown"


@pytest.mark.parametrize("digits", [None, Digits(style="llmtime", bit_sep=" ", time_sep=" ,", minus=" -")])
def test_a_hundred_values_are_the_paper_s_533_tokens(
    real_files: Path, spectra: list[Path], digits: Digits | None
) -> None:
    model_file = real_files.parent / "tokenizer" / "llama3" / "tokenizer.model"
    if not model_file.is_file():
        pytest.skip("no Llama 3 tokenizer beside the checkout (../shared/tokenizer/llama3)")
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import load_tiktoken_bpe

    ranks = load_tiktoken_bpe(str(model_file))
    encode = tiktoken.Encoding("llama3", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens={}).encode_ordinary
    task, codec = (
        form_task("redshift", ["redshift"]),
        Codec(Encoding(form="digits", bin=53, digits=digits), RECIPE.wavelength),
    )
    lengths = []
    for path in spectra[:20]:
        try:
            row, _ = clean(read_sdss_spectrum(path), RECIPE)
        except SpectrumRejected:
            continue
        values = codec.values(row[None])[0]
        assert len(values) == 100
        lengths.append(len(encode(question(task, RECIPE.wavelength, task.labels, codec.text(values)))))
    assert len(lengths) > 10 and np.mean(lengths) == pytest.approx(533, abs=5)
    assert len(encode("Redshift: 0.315")) - len(encode("Redshift: ")) <= 3  # three decimals are one token
