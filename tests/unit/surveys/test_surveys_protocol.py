"""A survey from outside the package, with many spectra in one file: what it takes, and that nothing is lost."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refusals import refused
from starglot.config.recipes import Recipe, Wavelength
from starglot.config.surveys.common import SpectrumSurvey
from starglot.config.surveys.registry import Surveys
from starglot.errors import StarglotError
from starglot.labels import ATMOSPHERE_NAMES, LABELS
from starglot.spectra.raw import RawSpectrum
from starglot.spectra.rejection import SpectrumRejected
from starglot.spectra.shard import clean_shard
from starglot.surveys import gaia_eso, galah, lamost_spectra, registry
from starglot.surveys.common_columns import with_common_columns
from starglot.surveys.protocol import FindFiles, ReadSpectra
from starglot.tables import FILES, SELECTED, flux_matrix, read_digests, read_metadata, write_parquet

PIXELS = np.geomspace(3700.0, 5200.0, 900)
LINEAR = Recipe(wavelength=Wavelength(start=4000, stop=5000, step=2))
LOG = Recipe(wavelength=Wavelength.model_validate({"start": 4000, "stop": 5000, "size": 301, "log": True}))


class Tile:
    """Spectra of a tile of the sky in one file of arrays: row r has a slope of r."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def find_files(self, candidates: pa.Table, root: Path) -> pa.Table:
        rows = []
        for shard, obsid in zip(candidates["shard"].to_pylist(), candidates["obsid"].to_pylist(), strict=True):
            path = root / f"{shard}.npy"
            there = path.stat() if path.exists() else None
            size, mtime = (there.st_size, there.st_mtime_ns) if there else (None, None)
            rows.append({"file": path.name, "row": obsid % 100, "size": size, "mtime": mtime})
        return pa.Table.from_pylist(rows, schema=FILES)

    def read(self, rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
        for file in dict.fromkeys(rows["file"].to_pylist()):
            self.opened.append(file)
            content = np.load(root / file) if (root / file).exists() else None
            for row in reversed(rows.to_pylist()):  # in an order of its own
                if row["file"] != file:
                    continue
                if content is None:
                    yield row["obsid"], SpectrumRejected("file_missing", "no such file")
                else:
                    flux = content[row["row"]]
                    yield row["obsid"], RawSpectrum(PIXELS, flux, np.ones(len(flux)), np.zeros(len(flux), np.int64))


def slope(row: int, wavelength: np.ndarray) -> np.ndarray:
    """Flux of a row before it is normalised."""
    return np.asarray(1.0 + 0.1 * row * (wavelength - PIXELS[0]) / (PIXELS[-1] - PIXELS[0]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two tiles, the second of them without its file; in the first one spectrum that is no number."""
    flux = np.stack([slope(row, PIXELS) for row in range(100)])
    flux[7] = np.nan
    np.save(tmp_path / "tile-1.npy", flux)
    return tmp_path


def candidates() -> pa.Table:
    obsids = [100 + row for row in range(90)] + [200 + row for row in range(5)]
    shards = ["tile-1"] * 90 + ["tile-2"] * 5
    stars = [f"gaia:{obsid}" for obsid in obsids]
    return pa.table({"obsid": obsids, "star_id": stars, "shard": shards, "teff": [5000.0] * 95})


def script(project: Path, name: str) -> ModuleType:
    found = spec_from_file_location(f"script_{name}", project / f"workflow/scripts/{name}.py")
    assert found is not None and found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_a_survey_is_an_entry_and_goes_through_the_rules_scripts(
    project: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_files: FindFiles = Tile().find_files
    read: ReadSpectra = Tile().read
    monkeypatch.setitem(registry.FILES._entries, "tiles", find_files)
    monkeypatch.setitem(registry.SPECTRA._entries, "tiles", read)
    write_parquet(candidates(), root / "candidates.parquet")
    script(project, "inventory").main(
        Namespace(
            surveys=["tiles"],
            candidates=[str(root / "candidates.parquet")],
            roots=[str(root)],
            shards=[str(root / "tiles.txt")],
            folders=[str(root / "selected")],
        )
    )
    assert (root / "tiles.txt").read_text().split() == ["tile-1", "tile-2"]
    told: dict[str, tuple[list[int], list[int]]] = {}
    for shard in ("tile-1", "tile-2"):
        selected = pq.read_table(root / "selected" / f"{shard}.parquet")
        assert selected.schema.remove_metadata() == SELECTED, "and so without labels"
        for name, recipe in (("linear", LINEAR), ("log", LOG)):
            out = root / "spectra" / "tiles" / name
            script(project, "clean_shard").main(
                Namespace(
                    survey="tiles",
                    settings={"recipe": recipe.model_dump(mode="json")},
                    selected=str(root / "selected" / f"{shard}.parquet"),
                    root=str(root),
                    workers=1,
                    code_hash="code",
                    spectra=str(out / f"{shard}.parquet"),
                    rejected=str(out / f"{shard}.rejected.parquet"),
                    digests=str(out / f"{shard}.sha256"),
                )
            )
            assert set(read_digests(out / f"{shard}.sha256")) == {f"{shard}.parquet", f"{shard}.rejected.parquet"}
            cleaned, lost = (pq.read_table(out / f"{shard}{end}.parquet") for end in ("", ".rejected"))
            told[f"{shard} {name}"] = (cleaned["obsid"].to_pylist(), lost["obsid"].to_pylist())
            assert sorted([*told[f"{shard} {name}"][0], *told[f"{shard} {name}"][1]]) == selected["obsid"].to_pylist()
    assert told["tile-1 log"][1] == told["tile-1 linear"][1] == [107] and len(told["tile-2 log"][1]) == 5

    for name, grid in (("linear", np.arange(4000, 5001, 2)), ("log", 4000 * 1.25 ** (np.arange(301) / 300))):
        path = root / "spectra" / "tiles" / name / "tile-1.parquet"
        table = pq.read_table(path)
        rows = np.array(table["obsid"].to_pylist()) - 100
        true = np.stack([slope(row, grid) / slope(row, PIXELS).max() for row in rows])
        assert np.abs(flux_matrix(table) - 1000 * true).max() <= 0.51
        assert read_metadata(path)["wavelength"]["size"] == len(grid)
    assert read_metadata(path)["wavelength"] == {"start": 4000, "stop": 5000, "size": 301, "log": True}


def test_a_file_is_opened_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starglot.spectra.shard.CHUNK", 10)
    survey = Tile()
    rows = candidates()
    found = survey.find_files(rows, root)
    selected = pa.table({**{name: rows[name] for name in ("obsid", "star_id")}, **{n: found[n] for n in FILES.names}})
    spectra, rejected = clean_shard(selected, root, LINEAR, survey.read)
    assert survey.opened == ["tile-1.npy", "tile-2.npy"]
    assert spectra["obsid"].to_pylist() == [obsid for obsid in range(100, 190) if obsid != 107]
    assert rejected["detail"][0].as_py().startswith("tile-1.npy, row 7: ")


@pytest.mark.parametrize(("change", "obsid"), [("twice", 102), ("less", 100), ("other", 999)])
def test_a_reader_that_loses_or_invents_spectra_is_found_out(root: Path, change: str, obsid: int) -> None:
    rows = candidates().slice(0, 3)
    found = Tile().find_files(rows, root)
    selected = pa.table({**{name: rows[name] for name in ("obsid", "star_id")}, **{n: found[n] for n in FILES.names}})

    def read(rows: pa.Table, root: Path) -> Iterator[tuple[int, RawSpectrum | SpectrumRejected]]:
        all_of_them = list(Tile().read(rows, root))
        if change == "twice":
            all_of_them.append(all_of_them[0])
        elif change == "less":
            all_of_them.pop()
        else:
            all_of_them.append((999, all_of_them[0][1]))
        yield from all_of_them

    with refused(f"obsid {obsid}", todo=("`read`", "docs/extending.md")):
        clean_shard(selected, root, LINEAR, read)


def test_the_surveys_of_the_package_keep_the_protocol() -> None:
    assert registry.SPECTRA["lamost"] is lamost_spectra.read
    for name, survey in registry.CATALOGS.items():
        assert survey.SETTINGS.star and callable(survey.read_catalog), name
        assert set(survey.SETTINGS.brings) <= set(LABELS) and survey.SETTINGS.title, name
    assert set(registry.CATALOGS) == set(Surveys.model_fields)
    for survey, columns in ((galah, galah.ABUNDANCE_COLUMNS), (gaia_eso, gaia_eso.ABUNDANCE_COLUMNS)):
        assert set(survey.SETTINGS.brings) == {*ATMOSPHERE_NAMES, *columns}
    assert set(registry.SPECTRA) == set(registry.FILES) <= set(registry.CATALOGS)


class Tiles(SpectrumSurvey):
    """Settings of a survey of tiles."""

    title: ClassVar[str] = "Tiles"
    brings: ClassVar[tuple[str, ...]] = ("teff",)


def test_what_a_survey_does_not_know_is_null_and_what_it_must_know_is_missed() -> None:
    settings = Tiles(release="1", spectra="tiles", coverage=(3700.0, 5200.0))
    table = candidates().append_column("ra", pa.array([1.0] * 95)).append_column("dec", pa.array([2.0] * 95))
    table = table.append_column("gaia_source_id", pa.array(["5"] * 95))
    whole = with_common_columns(table, settings, "tiles")
    assert whole.select(table.column_names).equals(table)
    added = {"class", "obsdate", "snr_r", "snr_i", "teff_err", "logg", "feh"}
    assert added <= set(whole.column_names) and all(whole[name].null_count == 95 for name in added)
    for name in ("obsid", "shard", "ra", "gaia_source_id", "teff"):
        with pytest.raises(StarglotError) as caught:
            with_common_columns(table.drop_columns([name]), settings, "tiles")
        assert name in caught.value.what and "tiles" in caught.value.what
    twice = pa.concat_tables([table, table.slice(0, 3)])
    with pytest.raises(StarglotError) as caught:
        with_common_columns(twice, settings, "tiles")
    assert "3 repeated" in caught.value.what
