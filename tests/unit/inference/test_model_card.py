"""What is given away: the model card, the archive, the model on a hub."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from described_model import WAVELENGTH, build, star
from huggingface_hub import ModelCard, errors

import starglot
from refusals import refused
from starglot.commands.export import export
from starglot.hashing import file_digest
from starglot.inference.card import write_card
from starglot.models.folder import CARD, MODEL, read_description
from starglot.tables import PREDICTION, read_json, write_json, write_parquet

SPECTRUM = (WAVELENGTH, *star(6000.0, -0.4, 80, seed=1000))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def folder(results: Path) -> Path:
    """A model where a run leaves it, with predictions of forty test spectra of twenty stars."""
    made, rng, n = build(results), np.random.default_rng(3), 40
    rows = []
    for at in range(n):
        for label, centre, scatter in (("teff", 6000.0, 70.0), ("feh", -0.5, 0.1)):
            truth = centre + rng.normal(0, 5 * scatter)
            row = {"obsid": at, "star_id": f"gaia:{at // 2}", "class": "G", "class_pred": None, "label": label}
            row |= {"truth": truth, "value": truth + rng.normal(scatter / 2, scatter), "status": "ok", "seen": False}
            rows.append(row | {"sigma": scatter, "sigma_raw": scatter})
    write_parquet(pa.Table.from_pylist(rows, schema=PREDICTION), results / "predictions/t/ridge/s/test.parquet")
    return made


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def card_of(folder: Path, licence: str | None = None, **predictions: Path) -> str:
    write_card(folder, read_description(folder), predictions, licence)
    return (folder / CARD).read_text()


def test_the_hub_reads_the_head_of_the_card(folder: Path) -> None:
    card_of(folder, "cc-by-4.0")
    data = ModelCard.load(folder / CARD).data
    assert data.license == "cc-by-4.0" and data.library_name == "starglot" and "lamost" in data.tags
    assert data.base_model is None and data.datasets == ["lamost-made-up"]
    card_of(folder)
    data = ModelCard.load(folder / CARD).data
    assert (data.license, data.license_name) == ("other", "not-stated")


def test_a_base_of_the_hub_is_named(folder: Path, tmp_path: Path) -> None:

    shutil.copytree(folder, tmp_path / "m")
    base = {"name": "owner/base", "revision": "abc", "digest": "0" * 64, "files": {}}
    about = read_description(folder) | {"base": base}
    write_card(tmp_path / "m", about, {})
    assert ModelCard.load(tmp_path / "m" / CARD).data.base_model == "owner/base"
    assert "starglot fetch --model" in (tmp_path / "m" / CARD).read_text()


def test_the_card_names_what_else_has_learnt_from_spectra(folder: Path, tmp_path: Path) -> None:
    assert "without labels" not in card_of(folder)
    copied = shutil.copytree(folder, tmp_path / "m")
    about = read_description(folder) | {"base": {"name": "results/bases/filled", "revision": None}}
    (copied / "base").mkdir()
    note = {"kind": "masked_patches", "note": "taught without labels on spectra of it/x"}
    write_json(note, copied / "base/manifest.json")
    write_card(copied, about, {})
    text = (copied / CARD).read_text()
    assert "`filled`" in text and "`masked_patches`" in text and "of it/x" in text and "embedding" not in text
    manifest = read_json(copied / "manifest.json")
    write_json(manifest | {"embedding": {"encoder.safetensors": "0"}}, copied / "manifest.json")
    write_card(copied, about, {})
    assert "embedding" in (copied / CARD).read_text()


def test_the_card_says_what_it_was_trained_on_and_for(folder: Path) -> None:
    text = card_of(folder)
    assert "225 training spectra, 75 for validation" in text and "Split by object" in text
    domain = starglot.load(folder).domain["labels"]["teff"]
    assert f"| Teff (K) | {domain['low']:.0f} to {domain['high']:.0f} |" in text


def test_the_table_is_of_the_predictions(folder: Path, results: Path) -> None:
    path = results / "predictions/t/ridge/s/test.parquet"
    (row,) = [line for line in card_of(folder, test=path).splitlines() if line.startswith("| Teff (K) | 40 |")]
    table = pa.parquet.read_table(path)
    mine = table.filter(pc.equal(table["label"], "teff"))
    error = mine["value"].to_numpy() - mine["truth"].to_numpy()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:4] == ["40", "20", "0"]
    for cell, expected in ((cells[4], error.mean()), (cells[6], np.sqrt(np.mean(error**2)))):
        value, low, high = map(float, re.findall(r"-?[\d.]+", cell))
        assert value == pytest.approx(expected, abs=0.06) and low < value < high


def test_an_exported_model_has_the_card_with_its_test_spectra(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "away", "mit")
    text = (tmp_path / "away" / CARD).read_text()
    assert "| Teff (K) | 40 |" in text and text.startswith("---\nlicense: mit\n")
    assert starglot.load(tmp_path / "away").predict(SPECTRUM).equals(starglot.load(folder).predict(SPECTRUM))


def test_a_card_or_a_note_in_it_changes_no_model(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "away")
    with (tmp_path / "away" / CARD).open("a") as card:
        card.write("Used by us since May.\n")
    starglot.load(tmp_path / "away")


def test_a_zip_file_answers_as_the_folder_does(folder: Path, tmp_path: Path, own_cache: Path) -> None:
    export(folder, tmp_path / "away.zip")
    answer = starglot.load(tmp_path / "away.zip").predict(SPECTRUM)
    assert answer.equals(starglot.load(folder).predict(SPECTRUM))
    assert len(list((own_cache / "starglot/models").iterdir())) == 1
    starglot.load(tmp_path / "away.zip")


def test_the_same_model_makes_the_same_archive(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(folder, tmp_path / name / "m.zip")
    assert (tmp_path / "a/m.zip").read_bytes() == (tmp_path / "b/m.zip").read_bytes()


def test_an_archive_without_a_model_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "no.zip", "w") as archive:
        archive.writestr("a/b/model.json", "{}")
    with refused(where=tmp_path / "no.zip", todo="starglot export"):
        starglot.load(tmp_path / "no.zip")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with refused(where=tmp_path / "cut.zip"):
        starglot.load(tmp_path / "cut.zip")


def test_an_archive_writes_nothing_outside_the_cache(tmp_path: Path, own_cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../../../escaped", "x")
    with refused(where=tmp_path / "evil.zip"):
        starglot.load(tmp_path / "evil.zip")
    outside = [path for path in tmp_path.rglob("escaped") if own_cache / "starglot/models" not in path.parents]
    assert outside == []


def test_a_model_of_the_hub_is_fetched_at_its_revision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def snapshot(repository: str, **given: object) -> str:
        calls.append((repository, given))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert starglot.load("hf:owner/model@v1").folder == folder
    monkeypatch.setenv("HF_TOKEN", "secret")
    starglot.load("hf:owner/model")
    # False: not even a token that lies on the disk.
    assert calls == [
        ("owner/model", {"revision": "v1", "token": False}),
        ("owner/model", {"revision": None, "token": "secret"}),
    ]


def in_hub_cache(model: Path, cache: Path) -> str:
    """Lay ``model`` out as the hub's client caches a repository (links to blobs); returns its commit."""
    commit, repository = "0123456789abcdef0123456789abcdef01234567", cache / "models--owner--model"
    exported = cache / "exported"
    export(model, exported, "mit")
    for path in (path for path in exported.rglob("*") if path.is_file()):
        blob, link = repository / "blobs" / file_digest(path), repository / "snapshots" / commit / path.name
        for place in (blob, link):
            place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, blob)
        link.symlink_to(os.path.relpath(blob, link.parent))
    for ref in ("main", "v1"):
        (repository / "refs" / ref).parent.mkdir(exist_ok=True)
        (repository / "refs" / ref).write_text(commit)
    return commit


def test_a_model_in_the_hubs_cache_answers_without_a_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = in_hub_cache(folder, tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    expected = starglot.load(folder).predict(SPECTRUM)
    for name in ("owner/model", "owner/model@v1", f"owner/model@{commit}"):
        assert starglot.load(f"hf:{name}").predict(SPECTRUM).equals(expected)
    snapshot = tmp_path / "models--owner--model/snapshots" / commit
    assert starglot.load(snapshot).predict(SPECTRUM).equals(expected)
    export(snapshot, tmp_path / "again")  # files, not links into the cache
    assert not any(path.is_symlink() for path in (tmp_path / "again").rglob("*"))
    assert starglot.load(tmp_path / "again").predict(SPECTRUM).equals(expected)
    with refused(todo="hf download owner/model --revision v2"):
        starglot.load("hf:owner/model@v2")
    with refused(todo="hf:owner/model"):
        starglot.load("owner/model")


@pytest.mark.parametrize("name", ["no-owner", "a/b/c", "owner/na me"])
def test_a_name_that_is_none_of_the_hub_is_refused(name: str) -> None:
    with refused(name, where=f"hf:{name}"):
        starglot.load(f"hf:{name}")


@pytest.mark.parametrize(
    ("error", "todo"),
    [
        (errors.GatedRepoError, "HF_TOKEN"),
        (errors.RepositoryNotFoundError, "HF_TOKEN"),
        (errors.RevisionNotFoundError, "@v9"),
        (ConnectionError, "hf download x/y --revision v9"),
    ],
)
def test_what_stands_in_the_way_on_the_hub_is_said(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], todo: str
) -> None:
    raised = error.__new__(error)

    def failing(*args: object, **given: object) -> str:
        raise raised

    monkeypatch.setattr(huggingface_hub, "snapshot_download", failing)
    with refused(where="https://huggingface.co/x/y", todo=todo):
        starglot.load("hf:x/y@v9")


def test_offline_it_says_so(tmp_path: Path) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "starglot", "predict", "a.csv", "--model", "hf:owner/name"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "hf download owner/name" in done.stderr


def test_the_base_of_a_model_is_fetched_by_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    from starglot.commands import fetch

    asked = []
    monkeypatch.setattr(fetch, "fetch_base", lambda *given: asked.append(given) or tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    fetch.run(["--model", str(folder)])
    assert asked == [] and "no base" in capsys.readouterr().out
    shutil.copytree(folder, tmp_path / "m")
    base = {"name": "owner/base", "revision": "abc", "digest": "0" * 64, "files": {}}
    write_json(read_json(folder / MODEL) | {"base": base}, tmp_path / "m" / MODEL)
    fetch.run(["--model", str(tmp_path / "m")])
    assert asked == [("owner/base", None, "abc")]
