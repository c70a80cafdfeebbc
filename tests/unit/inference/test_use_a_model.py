"""A model that answers by itself: spectra as files and arrays, flags, refusals, the command and its tables."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table
from described_model import WAVELENGTH, build, star

import starglot
from starglot.commands.predict import SOME_REFUSED, predict
from starglot.config.kinds.registry import FAMILIES
from starglot.errors import StarglotError
from starglot.inference.answering import OPENERS
from starglot.inference.flags import FLAGS
from starglot.labels import CLASSES
from starglot.models.folder import FORMAT, MODEL
from starglot.registry import Registry
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.surveys import identify
from starglot.tables import read_json, write_json

TEFF, FEH = 6000.0, -0.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("described"))


@pytest.fixture(scope="module")
def model(folder: Path):
    return starglot.load(folder)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One spectrum in every kind of table."""
    flux, error = star(TEFF, FEH, 80, seed=1000)
    made = {
        name: tmp_path / name
        for name in ("a.csv", "nm.ecsv", "micron.fits", "log.parquet", "falling.csv", "vectors.fits")
    }
    pd.DataFrame({"Wavelength": WAVELENGTH, "FLUX": flux, "error": error}).to_csv(made["a.csv"], index=False)
    in_nm = Table({"wave": WAVELENGTH / 10 * units.nm, "flux": flux, "err": error})
    in_nm.write(made["nm.ecsv"])
    Table({"lam": WAVELENGTH / 1e4 * units.um, "flux": flux, "ivar": error**-2}).write(made["micron.fits"])
    pd.DataFrame({"loglam": np.log10(WAVELENGTH), "flux": flux, "sigma": error}).to_parquet(made["log.parquet"])
    falling = pd.DataFrame({"wavelength": WAVELENGTH, "flux": flux, "error": error})[::-1]
    falling.to_csv(made["falling.csv"], index=False)
    vectors = Table({"wavelength": [WAVELENGTH], "flux": [flux], "error": [error]})
    vectors["wavelength"].unit = "Angstrom"
    vectors.write(made["vectors.fits"])
    return made


def test_the_labels_of_a_star_are_found_with_their_uncertainty(model) -> None:
    flux, error = star(TEFF, FEH, 80, seed=1000)
    answer = model.predict((WAVELENGTH, flux, error)).set_index("label")
    for label, truth in (("teff", TEFF), ("feh", FEH)):
        assert abs(answer.loc[label, "value"] - truth) < 5 * answer.loc[label, "sigma"]
        assert answer.loc[label, "flags"] == "" and answer.loc[label, "status"] == "ok"
    assert answer.loc["teff", "unit"] == "K"
    assert answer.loc["teff", "class"] == "G" and 0.5 < answer.loc["teff", "class_probability"] < 1
    assert answer.loc["teff", "snr"] == pytest.approx(80, rel=0.15)


def test_sigmas_hold_on_stars_that_it_has_never_seen(model) -> None:
    rng = np.random.default_rng(11)
    teff, pulls = rng.uniform(4200, 8800, 200), []
    spectra = [star(t, rng.uniform(-1.4, 0.4), rng.uniform(40, 120), 5000 + at) for at, t in enumerate(teff)]
    answer = model.predict([(WAVELENGTH, *each) for each in spectra], wide=True)
    pulls = (answer["teff"].to_numpy() - teff) / answer["teff_sigma"].to_numpy()
    assert np.mean(np.abs(pulls) < 1) == pytest.approx(0.68, abs=0.12)
    assert answer["flags"].str.contains("outside_training").mean() < 0.06
    right = answer["class"] == [CLASSES[min(4, int((9000 - t) / 1000))] for t in teff]
    assert answer["class_probability"].mean() == pytest.approx(right.mean(), abs=0.08)
    assert answer["class_probability"][right].mean() > answer["class_probability"][~right].mean() + 0.1


def test_every_kind_of_table_has_the_same_answer(model, files: dict[str, Path]) -> None:
    flux, error = star(TEFF, FEH, 80, seed=1000)
    expected = model.predict((WAVELENGTH, flux, error))["value"].to_numpy()
    for name, path in files.items():
        answer = model.predict(path)
        np.testing.assert_allclose(answer["value"], expected, rtol=2e-3, err_msg=name)
        assert set(answer["survey"]) == {"table"}
    with_units = model.predict((WAVELENGTH / 10 * units.nm, flux, error))
    np.testing.assert_allclose(with_units["value"], expected, rtol=2e-3)
    fnu = flux * WAVELENGTH**2 * units.Jy
    np.testing.assert_allclose(model.predict((WAVELENGTH * units.AA, fnu))["value"], expected, rtol=2e-3)
    many = model.predict((WAVELENGTH, np.stack([flux, flux]), np.stack([error, error])))
    assert many["spectrum"].tolist() == ["0", "0", "1", "1"]


def test_what_was_assumed_is_said(model, files: dict[str, Path]) -> None:
    (bare,) = model.read(files["a.csv"])
    (stated,) = model.read(files["nm.ecsv"])
    assert any("Angstrom" in note for note in bare.notes) and not any("Angstrom" in note for note in stated.notes)
    assert all(any("vacuum" in note for note in each.notes) for each in (bare, stated))


def spectrum(**changed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A good spectrum with other arrays."""
    flux, error = star(TEFF, FEH, 80, seed=1000)
    given = {"wavelength": WAVELENGTH, "flux": flux, "error": error} | changed
    return given["wavelength"], given["flux"], given["error"]


def flags(model, given) -> set[str]:
    return {flag for row in model.predict(given)["flags"] for flag in row.split(";") if flag}


def test_each_flag_is_raised_for_what_it_means(model) -> None:
    flux, error = star(TEFF, FEH, 80, seed=1000)
    assert flags(model, (WAVELENGTH, flux, error)) == set()
    noisy, wide = star(TEFF, FEH, 8, seed=1000)
    assert "low_snr" in flags(model, (WAVELENGTH, noisy, wide))
    assert "low_snr" not in flags(model, (WAVELENGTH, noisy))  # no error: S/N is not known
    assert "part_missing" in flags(model, spectrum(error=np.where(WAVELENGTH > 8000, 0.0, error)))
    assert "outside_training" in flags(model, spectrum(flux=np.full(len(flux), 7.0)))
    hot, error = star(20000, FEH, 80, seed=1)
    assert "at_limit" in flags(model, (WAVELENGTH, hot, error))
    assert set(FLAGS) >= {"low_snr", "part_missing", "outside_training", "at_limit", "unreadable"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing.csv", b"", "an empty file"),
        ("page.csv", b"<!DOCTYPE html><html>log in</html>", "a web page"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "no FITS file and no table"),
        ("names.csv", b"a,b\n1,2\n3,4\n", "its columns are a, b"),
        ("text.csv", b"wavelength,flux\nx,y\nz,w\n", "no numbers"),
        ("short.csv", b"wavelength,flux\n5000,1\n5001,1\n", "grid"),
        ("cut.fits", b"SIMPLE  =                    T" + b" " * 50, "cut off"),
        ("bare.fits.gz", b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_a_file_without_a_spectrum_is_refused_in_words(model, tmp_path: Path, name, content, words) -> None:
    (tmp_path / name).write_bytes(content)
    (single,) = model.read(tmp_path / name)
    assert single.flux is None and words in single.problem
    with pytest.raises(StarglotError) as raised:
        model.predict(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value.where)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (spectrum(wavelength=WAVELENGTH / 10), "nanometres"),
        (spectrum(wavelength=WAVELENGTH / 1e4), "micrometres"),
        (spectrum(wavelength=WAVELENGTH + 3000), "ends of the wavelength grid"),
        (spectrum(error=np.zeros(len(WAVELENGTH))), "masked"),
        (spectrum(flux=np.full(len(WAVELENGTH), np.nan)), "masked"),
        (spectrum(flux=-spectrum()[1]), "not positive"),
        (spectrum(flux=np.ones(12)), "one length"),
        ((WAVELENGTH * units.s, *spectrum()[1:]), "not a length"),
    ],
)
def test_arrays_that_are_no_spectrum_are_refused_in_words(model, given, words) -> None:
    (single,) = model.read(given)
    assert single.flux is None and words in single.problem


def test_surveys_are_told_apart_by_what_is_in_the_file(model, project: Path, tmp_path: Path) -> None:
    real = sorted((project / "tests/data/sdss").glob("*.fits"))
    assert len(real) == 2
    for path in real:
        renamed = tmp_path / "lamost-spec.txt"
        shutil.copy(path, renamed)
        (single,) = model.read(renamed)
        assert single.survey == "sdss" and single.flux is not None and single.snr > 3


def test_the_spectrum_of_the_readme_is_answered(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = "docs/examples/mock-star.fits.gz"
    assert f"starglot predict {named} --model" in (project / "README.md").read_text()
    assert predict(str(folder), [str(project / named)]) == 0
    assert f"{named}: lamost; vacuum wavelengths" in capsys.readouterr().out


def test_a_survey_more_is_an_entry_more(model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A survey whose file holds a row of flux a spectrum, and one that cannot be used."""
    spectra = np.stack([star(teff, FEH, 80, seed=3)[0] for teff in (5000.0, 7000.0)])
    primary = fits.PrimaryHDU(spectra)
    primary.header["TELESCOP"] = "MADE-UP"
    primary.writeto(tmp_path / "many.fits")

    def read(path: Path) -> list[identify.FileSpectrum]:
        rows, good = fits.getdata(path).astype(float), np.ones(len(WAVELENGTH))
        raw = [RawSpectrum(WAVELENGTH, row, good, np.zeros(len(row), np.int64)) for row in rows]
        found = [identify.FileSpectrum(f"fibre {at}", each) for at, each in enumerate(raw)]
        return [*found, identify.FileSpectrum("fibre 2", SpectrumRejected("no_good_pixel", "a broken fibre"))]

    entry = identify.FileReader(lambda units: units[0].text("TELESCOP") == "MADE-UP", read)
    monkeypatch.setattr(identify, "FILE_READERS", Registry({**identify.FILE_READERS, "made_up": entry}))
    answer = model.predict(tmp_path / "many.fits", wide=True)
    assert answer["survey"].tolist() == ["made_up"] * 3
    assert answer["spectrum"].tolist() == ["fibre 0", "fibre 1", "fibre 2"]
    assert answer["teff"][0] == pytest.approx(5000, abs=400) and answer["teff"][1] == pytest.approx(7000, abs=400)
    assert "broken fibre" in answer["problem"][2]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damaged_files_are_read_or_refused(model, project: Path, files: dict[str, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    refused = 0
    for path in (project / "tests/data/sdss/spec-0266-51602-0031.fits", files["nm.ecsv"], files["micron.fits"]):
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for case in range(25):
            hurt = whole.copy()
            if case % 2:
                hurt = hurt[: rng.integers(1, len(hurt))]
            else:
                hurt[rng.integers(0, min(len(hurt), 12000), 30)] = rng.integers(0, 256, 30)
            (tmp_path / "hurt").write_bytes(hurt.tobytes())
            for single in model.read(tmp_path / "hurt"):
                assert (single.flux is None) == bool(single.problem)
                refused += single.flux is None
    assert refused > 30


def test_a_bad_one_among_several_does_not_stop_the_others(model, files: dict[str, Path], tmp_path: Path) -> None:
    answer = model.predict([tmp_path / "absent.fits", files["a.csv"]])
    assert answer["status"].tolist() == ["refused", "refused", "ok", "ok"]
    assert "no such file" in answer["problem"][0] and np.isnan(answer["value"][0])


def test_one_row_a_spectrum_and_astropy_tables(model, files: dict[str, Path]) -> None:
    path = files["a.csv"]
    long, wide = model.predict(path), model.predict([path, path], wide=True)
    assert wide["teff"].tolist() == pytest.approx([long["value"][0]] * 2)
    assert wide["feh_sigma"].tolist() == pytest.approx([long["sigma"][1]] * 2)
    table = model.predict_table(path, wide=True)
    assert table["teff"].unit == units.K and table["teff_sigma"].unit == units.K


def test_a_model_is_used_from_wherever_it_lies(folder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    moved = starglot.load(tmp_path / "elsewhere").predict(files["a.csv"])
    assert moved.equals(starglot.load(folder).predict(files["a.csv"]))


def test_a_model_described_before_there_were_probabilities_states_none(
    folder: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "older")
    about = read_json(tmp_path / "older" / MODEL)
    write_json({key: value for key, value in about.items() if key != "class_calibration"}, tmp_path / "older" / MODEL)
    older = starglot.load(tmp_path / "older").predict(files["a.csv"])
    assert older["class_probability"].isna().all()
    known = starglot.load(folder).predict(files["a.csv"])
    assert older.drop(columns="class_probability").equals(known.drop(columns="class_probability"))


@pytest.mark.parametrize("hurt", ["format", "weights", "gone", "no description", "not json", "lacks", "kind"])
def test_a_folder_that_cannot_be_trusted_is_refused(folder: Path, tmp_path: Path, hurt: str) -> None:
    here = tmp_path / "model"
    shutil.copytree(folder, here)
    about = read_json(here / MODEL)
    if hurt == "format":
        write_json(about | {"format": FORMAT + 1}, here / MODEL)
    elif hurt == "weights":
        (here / "baseline.safetensors").write_bytes((here / "baseline.safetensors").read_bytes() + b"x")
    elif hurt == "gone":
        (here / "domain.safetensors").unlink()
    elif hurt == "no description":
        (here / MODEL).unlink()
    elif hurt == "not json":
        (here / MODEL).write_text("{")
    elif hurt == "lacks":
        write_json({key: value for key, value in about.items() if key != "recipe"}, here / MODEL)
    else:
        write_json(about | {"model": {"kind": "oracle"}}, here / MODEL)
    with pytest.raises(StarglotError) as raised:
        starglot.load(here)
    assert raised.value.where is not None and raised.value.todo


def test_a_folder_above_models_names_those_below(folder: Path) -> None:
    with pytest.raises(StarglotError) as raised:
        starglot.load(folder.parents[2])
    assert "t/ridge/s" in raised.value.todo


def test_every_family_of_models_can_be_opened() -> None:
    assert set(OPENERS) == set(FAMILIES)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json", ".fits"])
def test_tables_are_written_as_they_are_named(
    folder: Path, files: dict[str, Path], tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out{ending}"
    assert predict(str(folder), [str(files["a.csv"])], out) == 0
    read = {
        ".csv": lambda: pd.read_csv(out).to_dict("list"),
        ".parquet": lambda: pq.read_table(out).to_pydict(),
        ".json": lambda: pd.DataFrame(json.loads(out.read_text())).to_dict("list"),
        ".fits": lambda: {name: list(column) for name, column in Table.read(out).columns.items()},
    }[ending]()
    expected = starglot.load(folder).predict(files["a.csv"])
    assert list(read["class_probability"]) == expected["class_probability"].tolist()
    assert list(read["value"]) == expected["value"].tolist() and list(read["label"]) == ["teff", "feh"]


def test_the_command_prints_answers_and_ends_with_what_became_of_them(
    folder: Path, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = str(files["a.csv"]), str(tmp_path / "absent.fits")
    assert predict(str(folder), [good]) == 0
    printed = capsys.readouterr().out
    chance = starglot.load(folder).predict(good)["class_probability"][0]
    assert f"class      G (probability {chance:.2f})" in printed
    assert "Teff" in printed and " K" in printed and "+-" in printed and "flags      none" in printed
    assert predict(str(folder), [good, bad]) == SOME_REFUSED
    printed = capsys.readouterr()
    assert f"{bad}: refused" in printed.out and "1 of 2" in printed.err
    assert predict(str(folder), [bad]) == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["x.fits", "--model", "nowhere"], 1), (["x.fits"], 2), (["x.fits", "--model", "m", "--out", "table.doc"], 2)],
)
def test_the_command_refuses_without_a_traceback(tmp_path: Path, arguments: list[str], status: int) -> None:
    command = [sys.executable, "-m", "starglot", "predict", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == status and "Traceback" not in done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import starglot, sys; print([m for m in ('torch', 'pandas', 'pyarrow', 'astropy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
