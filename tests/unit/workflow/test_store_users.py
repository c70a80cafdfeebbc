"""Everything that is kept is verified when it is handed back: trainings, tables, blocks, plates and caches alike."""

from __future__ import annotations

import gzip
import importlib.util
import json
import logging
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baseline_spectra import BIN, TASK, linear_survey
from plate_files import RECIPE, selection, write
from test_store import DAMAGES, each_damage

from starglot.config.kinds.baselines import ClassMean, Ridge
from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.inference import predict as llm_module
from starglot.inference.baselines import predict_files
from starglot.models.baselines.class_mean import read_class_mean
from starglot.models.baselines.files import WEIGHTS
from starglot.models.baselines.rows import rows_of
from starglot.spectra.sample_flux import map_flux
from starglot.store import SEAL
from starglot.surveys.index import COLUMNS
from starglot.tables import write_digests, write_parquet
from starglot.training.baselines import train_baseline
from starglot.training.data import cache_rows
from starglot.training.delivery import digests
from starglot.training.plain import fit_plain

#: What asks for work, and says what came of it.
Ask = Callable[[], object]


def script(project: Path, name: str) -> ModuleType:
    """A script of the workflow, imported."""
    spec = importlib.util.spec_from_file_location(name, project / "workflow/scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return linear_survey(tmp_path_factory.mktemp("spectra"))


def training(folder: Path, survey, project) -> Ask:
    known = (TASK, survey.sample, survey.labels, survey.shard_path, folder / "out", folder / "state", {}, "code")

    def ask():
        train_baseline(fit_plain, Ridge(kind="ridge", bin=BIN), *known)
        return (folder / "out" / WEIGHTS).read_bytes()

    return ask


def table(folder: Path, survey, project) -> Ask:
    model = folder / "model"
    settings = ClassMean(kind="class_mean")
    known = (survey.sample, survey.labels, survey.shard_path, model, folder / "training", {}, "code")
    train_baseline(fit_plain, settings, TASK, *known)
    spectra = folder / "spectra"
    spectra.mkdir()
    shards = sorted(set(survey.labels["shard"].to_pylist()))
    for shard in shards:
        (spectra / f"{shard}.parquet").symlink_to(survey.shard_path(shard))
    rows = ["\t".join(COLUMNS), *("\t".join((shard, "digest", "-")) for shard in shards)]
    (spectra / "index.tsv").write_text("".join(f"{row}\n" for row in rows))
    write_parquet(survey.sample, folder / "sample.parquet")
    write_parquet(survey.labels, folder / "labels.parquet")

    def ask():
        predict_files(
            read_class_mean,
            {"model": settings.model_dump(), "task": TASK.model_dump()},
            model=model / "manifest.json",
            sample=folder / "sample.parquet",
            split="test",
            labels=folder / "labels.parquet",
            seen=[str(folder / "sample.parquet")],
            index=spectra / "index.tsv",
            code_hash="code",
            state=folder / "state",
            out=folder / "predicted.parquet",
        )
        return (folder / "predicted.parquet").read_bytes()

    return ask


class Answerer:
    """Stands for a language model: answers with the number of the spectrum."""

    def __init__(self, *about):
        pass

    def predict(self, block, bar):
        rows = [
            {
                "obsid": obsid,
                "class_pred": "K",
                "label": label,
                "value": float(obsid),
                "sigma_raw": 1.0,
                "status": "ok",
            }
            for obsid, _ in block
            for label in TASK.labels
        ]
        return pa.Table.from_pylist(rows, schema=llm_module._ANSWERED)


def block(folder: Path, survey, project) -> Ask:
    obsids = np.sort(survey.obsid[:60])
    (folder / "base").mkdir()
    (folder / "base/config.json").write_text("{}")
    with gzip.open(folder / "test-0000.jsonl.gz", "wt") as out:
        for obsid in obsids.tolist():
            out.write(json.dumps({"obsid": obsid, "question": "?", "answer": "!"}) + "\n")
    truth = pa.table({"obsid": obsids, "star_id": ["gaia:1"] * 60, "class": ["K"] * 60})
    training = {"epochs": 1, "learning_rate": 1e-3, "batch": 8, "accumulate": 1, "gpus": 0}
    settings = Llm.model_validate(
        {"kind": "llm", "base": "tiny", "encoding": "small", "training": training, "decoding": {"batch": 16}}
    )

    def ask():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(llm_module, "_Answerer", Answerer)
            patch.setattr(llm_module, "_BLOCK", 32)
            return llm_module.predict_llm(
                settings,
                TASK,
                Encoding(form="packed", bin=10),
                Wavelength(start=4000, stop=4199, step=1),
                folder / "base",
                folder,
                [folder / "test-0000.jsonl.gz"],
                truth,
                [],
                folder / "state",
            ).to_pylist()

    return ask


def plate(folder: Path, survey, project) -> Ask:
    for seed in range(3):
        write(folder / "root/20170904/P" / f"good-{seed}.fits.gz", "good", seed)
    write_parquet(selection(["good", "good", "good", "missing"]), folder / "selected.parquet")
    spectra = folder / "spectra"
    names = ("58000-P.parquet", "58000-P.rejected.parquet", "58000-P.sha256")
    asked = Namespace(
        settings={"recipe": RECIPE.model_dump(mode="json")},
        survey="lamost",
        selected=folder / "selected.parquet",
        root=str(folder / "root"),
        workers=1,
        code_hash="code",
        **dict(zip(("spectra", "rejected", "digests"), (str(spectra / name) for name in names), strict=True)),
    )
    main = script(project, "clean_shard").main

    def ask():
        for name in names:  # as Snakemake does
            (spectra / name).unlink(missing_ok=True)
        main(asked)
        return [(spectra / name).read_bytes() for name in names]

    return ask


def cached_flux(folder: Path, survey, project) -> Ask:
    rows = rows_of(TASK, survey.of("train"), survey.labels)
    return lambda: np.array(map_flux(rows, survey.shard_path, {"a": "digest"}, folder / "state")).tolist()


def cached_rows(folder: Path, survey, project) -> Ask:
    files = [folder / f"train-{number}.jsonl.gz" for number in range(2)]
    for number, path in enumerate(files):
        with gzip.open(path, "wt") as out:
            for obsid in range(40):
                out.write(json.dumps({"obsid": 100 * number + obsid, "question": "q" * obsid, "answer": "a"}) + "\n")

    def ask():
        rows = cache_rows(files, digests(files), folder / "state")
        return [rows[number] for number in range(len(rows))]

    return ask


USERS = (training, table, block, plate, cached_flux, cached_rows)
each_user = pytest.mark.parametrize("user", USERS, ids=[user.__name__ for user in USERS])


def sealed(folder: Path, user: Callable[..., Ask]) -> list[Path]:
    """Folders that are kept, of the work itself."""
    inside = folder / ("spectra" if user is plate else "state")
    return sorted(path.parent for path in inside.rglob(SEAL))


@each_user
def test_what_was_done_is_not_done_again(user, tmp_path, survey, project) -> None:
    ask = user(tmp_path, survey, project)
    first = ask()
    times = {path: (path / SEAL).stat().st_mtime_ns for path in sealed(tmp_path, user)}
    assert times
    assert ask() == first
    assert {path: (path / SEAL).stat().st_mtime_ns for path in sealed(tmp_path, user)} == times


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the store warned of."""
    said = (record for record in caplog.records if record.name == "starglot.store")
    return [record.getMessage() for record in said if record.levelno == logging.WARNING]


@each_damage
@each_user
def test_what_was_damaged_is_logged_and_done_again(user, damage, tmp_path, survey, project, caplog) -> None:
    ask = user(tmp_path, survey, project)
    first = ask()
    folder = sealed(tmp_path, user)[-1]
    damage(folder)
    assert ask() == first
    assert any(str(folder) in text for text in complaints(caplog))
    caplog.clear()
    assert ask() == first
    assert not [
        record for record in caplog.records if record.name == "starglot.store" and record.levelname == "WARNING"
    ]


def test_a_damaged_table_behind_finished_predictions_is_never_read(tmp_path, survey, project) -> None:
    """A table that is good Parquet and holds other numbers: only the seal can tell."""
    ask = block(tmp_path, survey, project)
    first = ask()
    path = max((tmp_path / "state").rglob("table.parquet"))
    other = pq.read_table(path)
    other = other.set_column(other.schema.get_field_index("value"), "value", pa.array([0.0] * len(other)))
    write_parquet(other.cast(llm_module._ANSWERED), path)
    assert ask() == first


def test_of_blocks_only_the_damaged_one_is_asked_again(tmp_path, survey, project, monkeypatch) -> None:
    ask = block(tmp_path, survey, project)
    ask()
    asked: list[int] = []
    answer = Answerer.predict
    monkeypatch.setattr(
        Answerer, "predict", lambda self, rows, bar: asked.append(len(rows)) or answer(self, rows, bar)
    )
    DAMAGES["a bit flipped"](sealed(tmp_path, block)[0])
    ask()
    assert asked == [32]


def test_digests_of_a_plate_are_those_of_its_files(tmp_path, survey, project) -> None:
    """The seal takes them over, so that no file is read twice."""
    ask = plate(tmp_path, survey, project)
    ask()
    folder = tmp_path / "spectra"
    facts = json.loads((sealed(tmp_path, plate)[0] / SEAL).read_text())
    write_digests([folder / name for name in facts], tmp_path / "digests")
    lines = (tmp_path / "digests").read_text().split()
    assert [facts[name]["sha256"] for name in facts] == lines[::2]
