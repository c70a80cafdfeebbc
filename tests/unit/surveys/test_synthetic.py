"""Synthetic grids: both file formats, air and vacuum, what is refused, and how the mock draws its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy import units

from refusals import refused
from starglot.config.recipes import Recipe
from starglot.config.surveys.synthetic import Synthetic
from starglot.formats.counts import Counts
from starglot.labels import ABUNDANCE_NAMES
from starglot.mock.grid import WIDEST, synthetic_grid, write_grid
from starglot.samples.inventory import inventory
from starglot.samples.star_ids import star_ids
from starglot.spectra.air import air_to_vacuum
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.shard import clean_shard
from starglot.surveys import synthetic
from starglot.surveys.common_columns import with_common_columns

PIXELS = 60


def arrays(n: int = 5, **other: Any) -> dict[str, Any]:
    """A grid of n spectra from 4000 A on, in air."""
    rng = np.random.default_rng(3)
    plain = {
        "wavelength": np.linspace(4000.0, 4590.0, PIXELS),
        "medium": "air",
        "flux": 1 + 0.1 * rng.random((n, PIXELS)),
        "error": np.full((n, PIXELS), 0.01),
        "teff": np.linspace(4000.0, 6000.0, n),
        "mg_fe": np.linspace(-0.5, 0.5, n),
        "mg_fe_err": np.full(n, 0.02),
        "snr": np.linspace(20.0, 60.0, n),
    }
    return {name: value for name, value in (plain | other).items() if value is not None}


def write(path: Path, given: dict[str, Any]) -> None:
    """A grid as npz, or as Parquet with a row for each spectrum."""
    if path.suffix == ".npz":
        np.savez(path, **given)
        return
    n = len(given["flux"])
    columns = {name: list(value) if np.ndim(value) else [value] * n for name, value in given.items()}
    columns["wavelength"] = [given["wavelength"]] * n
    pq.write_table(pa.table({name: pa.array(value) for name, value in columns.items()}), path)


def survey(folder: Path, *names: str) -> Synthetic:
    return Synthetic(release="t", spectra=str(folder), coverage=(3900, 5000), grids=list(names))


def candidates(settings: Synthetic, counts: Counts) -> pa.Table:
    """The catalogue as the workflow has it, with the star of each spectrum."""
    catalog = with_common_columns(synthetic.read_catalog(settings, counts), settings, "synthetic")
    return catalog.append_column("star_id", star_ids(catalog, counts, "synthetic", settings.own_ids))


def spectra(settings: Synthetic) -> dict[int, Any]:
    """What is read of every row, by obsid."""
    rows = inventory(candidates(settings, Counts()), Path(settings.spectra), synthetic.find_files)
    return {key: found for shard in rows.values() for key, found in synthetic.read(shard, Path(settings.spectra))}


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_a_grid_is_read_whole(tmp_path, kind):
    """Labels, S/N and flux of every row, and wavelengths in vacuum by another formula than ours."""
    given = arrays()
    write(tmp_path / f"giants.{kind}", given)
    settings, counts = survey(tmp_path, f"giants.{kind}"), Counts()
    table = candidates(settings, counts)
    assert table["teff"].to_pylist() == given["teff"].tolist()
    assert table["mg_fe_err"].to_pylist() == given["mg_fe_err"].tolist()
    assert table["snr_r"].to_pylist() == given["snr"].tolist()
    assert table["ca_fe"].null_count == len(table) and counts.as_json()["rows"]["out"] == 5
    assert pc.count_distinct(table["star_id"]).as_py() == 5
    found = spectra(settings)
    assert list(found) == table["obsid"].to_pylist()
    wave = given["wavelength"]
    sigma2 = (1e4 / wave) ** 2  # Ciddor (1996), as specutils and VALD have it, from vacuum; one step back from air
    refraction = 1 + 0.05792105 / (238.0185 - sigma2) + 0.00167917 / (57.362 - sigma2)
    for row, raw in enumerate(found.values()):
        assert isinstance(raw, RawSpectrum)
        assert raw.wavelength == pytest.approx(wave * refraction, abs=2e-3)
        assert raw.flux == pytest.approx(given["flux"][row]) and raw.ivar == pytest.approx(np.full(PIXELS, 1e4))


def test_wavelengths_in_air_agree_with_the_iau_standard():
    """Edlen (1953), the IAU's: sodium D and H alpha, and the whole optical range to some mA."""
    air = (np.array([5889.95, 6562.8]) * units.AA).to_value(units.AA)
    assert air_to_vacuum(air) == pytest.approx([5891.58, 6564.61], abs=0.01)
    vacuum = np.linspace(3600, 9500, 200)
    sigma2 = (1e4 / vacuum) ** 2
    back = vacuum / (1 + 6.4328e-5 + 2.94981e-2 / (146 - sigma2) + 2.5540e-4 / (41 - sigma2))
    assert air_to_vacuum(back) == pytest.approx(vacuum, abs=3e-3)


def test_vacuum_stays_as_it_is_and_grids_are_numbered_in_order(tmp_path):
    write(tmp_path / "a.npz", arrays(3, medium="vacuum", star=np.array(["x", "x", "y"])))
    write(tmp_path / "b.parquet", arrays(2, star=np.array(["y", "z"]), **{"class": np.array(["K", "G"])}))
    settings = survey(tmp_path, "a.npz", "b.parquet")
    table = candidates(settings, Counts())
    assert table["obsid"].to_pylist() == [10**9, 10**9 + 1, 10**9 + 2, 2 * 10**9, 2 * 10**9 + 1]
    stars = table["star_id"].to_pylist()
    assert stars == ["synthetic:x", "synthetic:x", "synthetic:y", "synthetic:y", "synthetic:z"]
    assert table["class"].to_pylist() == [None, None, None, "K", "G"]
    raw = spectra(settings)
    assert raw[10**9].wavelength.tolist() == arrays()["wavelength"].tolist()
    assert raw[2 * 10**9].wavelength[0] > 4001


def test_bad_spectra_are_counted_one_by_one(tmp_path):
    """Cleaning loses none: what a row lacks is that row's reason, a masked pixel is none."""
    recipe = Recipe.model_validate({"wavelength": {"start": 4010.0, "stop": 4580.0, "step": 10.0}, "max_edge": 20.0})
    flux = arrays()["flux"].copy()
    flux[1] = np.nan
    flux[2, 30] = np.nan
    write(tmp_path / "a.npz", arrays(5, flux=flux))
    columns = pq.read_table(_parquet(tmp_path / "b.parquet", arrays(3))).to_pydict()
    columns["flux"][0], columns["flux"][1] = None, columns["flux"][1][:-1]
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    settings = survey(tmp_path, "a.npz", "b.parquet")
    shards = inventory(candidates(settings, Counts()), tmp_path, synthetic.find_files)
    cleaned, rejected = clean_shard(shards["a"], tmp_path, recipe, synthetic.read)
    assert cleaned["n_masked"].to_pylist() == [0, 1, 0, 0] and rejected["reason"].to_pylist() == ["no_good_pixel"]
    cleaned, rejected = clean_shard(shards["b"], tmp_path, recipe, synthetic.read)
    assert len(cleaned) == 1 and rejected["reason"].to_pylist() == ["layout_unknown", "lengths_differ"]
    for name, reason in (("a.npz", "file_missing"), ("b.parquet", "file_unreadable")):
        (tmp_path / name).unlink()
        if reason == "file_unreadable":
            (tmp_path / name).write_bytes(b"PAR1 and no more")
        _, rejected = clean_shard(shards[name[0]], tmp_path, recipe, synthetic.read)
        assert rejected["reason"].to_pylist() == [reason] * len(shards[name[0]])


def _parquet(path: Path, given: dict[str, Any]) -> Path:
    write(path, given)
    return path


@pytest.mark.parametrize(
    ("change", "said", "allowed"),
    [
        ({"medium": None}, "medium", "medium"),
        ({"medium": "helium"}, "helium", ("air", "vacuum")),
        ({"teff": None, "mg_fe": None, "mg_fe_err": None, "Teff": np.ones(5)}, "Teff", ("teff", "mg_fe")),
        ({"teff": np.ones(4)}, ("teff", "(4,)"), 5),
        ({"wavelength": np.ones(4)}, ("wavelength", "(4,)"), ("flux", "wavelength")),
        ({"error": np.ones((5, 3))}, ("error", "(5, 3)"), "flux"),
        ({"wavelength": np.linspace(0.4, 0.459, PIXELS)}, (0.4, 0.459), "Angstrom"),
        ({"teff": np.array(["hot"] * 5)}, ("teff", "hot"), ()),
        ({"class": np.array(["B"] * 5)}, ("class", "B"), ("A", "M")),
        ({"teff": np.array([{}] * 5)}, (), (".npz", ".parquet")),
    ],
)
def test_a_grid_that_is_none_is_refused(tmp_path, change, said, allowed):
    write(tmp_path / "a.npz", arrays(5, **change))
    with refused(*(said if isinstance(said, tuple) else (said,)), where=tmp_path / "a.npz", allowed=allowed):
        synthetic.read_catalog(survey(tmp_path, "a.npz"), Counts())


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PAR1"])
@pytest.mark.parametrize("name", ["a.npz", "a.parquet"])
def test_a_file_that_is_none_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with refused(where=tmp_path / name):
        synthetic.read_catalog(survey(tmp_path, name), Counts())


def test_values_that_no_star_has_are_counted(tmp_path):
    write(tmp_path / "a.npz", arrays(5, teff=np.array([5000, -9999, np.nan, 5200, 9e9])))
    counts = Counts()
    table = candidates(survey(tmp_path, "a.npz"), counts)
    assert table["teff"].null_count == 3
    refused = counts.as_json()["values"]["teff"]["refused"]
    assert {reason: found["rows"] for reason, found in refused.items()} == {"placeholder": 1, "outside_limits": 1}


def test_two_grids_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two grids are called a"):
        survey(tmp_path, "a.npz", "a.parquet")


# ---------------------------------------------------------------- the mock's own grid


def test_the_mock_draws_every_abundance_on_its_own(tmp_path):
    """No label of 24 goes with an abundance; in the survey's stars they do."""
    grid = synthetic_grid(2048, (30.0, 200.0), seed=1)
    labels = np.stack([grid[name] for name in (*ABUNDANCE_NAMES, "teff", "logg", "feh")])
    together = np.corrcoef(labels)[: len(ABUNDANCE_NAMES)]
    off = together[~np.eye(*together.shape, dtype=bool)]
    # Of some 480 numbers of scatter 1/sqrt(2048) = .022, none is beyond four and a half of that.
    assert np.abs(off).max() < 0.1 and off.std() == pytest.approx(2048**-0.5, rel=0.1)
    drawn = labels[: len(ABUNDANCE_NAMES)]
    assert drawn.std(axis=1) == pytest.approx(np.full(len(drawn), WIDEST / 3**0.5), rel=0.06)
    few = synthetic_grid(300, (30.0, 200.0), seed=1)
    one_each = [name for name in few if name not in ("wavelength", "medium")]
    for name in one_each:
        np.testing.assert_array_equal(few[name], grid[name][:300], err_msg=name)
    write_grid(few, tmp_path / "one.npz")
    write_grid(few, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_the_mocks_grid_is_a_survey(tmp_path):
    """It is read and cleaned as any grid, at the survey's S/N."""
    grid = synthetic_grid(40, (30.0, 200.0), seed=1)
    write_grid(grid, tmp_path / "own.npz")
    settings = survey(tmp_path, "own.npz")
    shards = inventory(candidates(settings, Counts()), tmp_path, synthetic.find_files)
    cleaned, rejected = clean_shard(shards["own"], tmp_path, Recipe(), synthetic.read)
    assert len(cleaned) + len(rejected) == 40 and len(cleaned) >= 38
    ratio = np.nanmedian((grid["flux"] / grid["error"])[:, 600:1700], axis=1)
    assert 25 < ratio.min() and ratio.max() < 260
