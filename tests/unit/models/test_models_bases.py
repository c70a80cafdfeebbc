"""A base is what its files say: which one an adapter was trained on, and whether that is the one at hand."""

import importlib.util
import json
import os
import shutil
from argparse import Namespace

import pyarrow as pa
import pytest

from refusals import refused
from starglot import fingerprint
from starglot.config.bases.outside import base_slug
from starglot.models import bases
from starglot.models.bases import base_files, check_base, check_model, describe, find_base, same_files
from starglot.surveys.index import COLUMNS
from starglot.tables import write_json, write_parquet, write_text
from tasks import task_of

FILES = {
    "config.json": "{}",
    "generation_config.json": "{}",
    "tokenizer.json": "t",
    "tokenizer_config.json": "{}",
    "chat_template.jinja": "c",
    "model.safetensors": "w",
}


def write(folder, **changed):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**FILES, **{name.replace("__", "."): text for name, text in changed.items()}}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def digest(base, **options):
    return describe(base, "known.json", **options)["digest"]


@pytest.mark.parametrize("name", FILES)
def test_another_file_is_another_base(here, name):
    write(here / "mine")
    before, state = digest("mine"), same_files(here / "mine")
    (here / "mine" / name).write_text(FILES[name] + " ")
    assert digest("mine") != before and same_files(here / "mine") != state


def test_files_that_no_model_is_loaded_from_are_left_aside(here):
    write(here / "mine")
    before = digest("mine")
    for name in ("README.md", "trainer_state.json", "optimizer.pt", "pytorch_model.bin", ".gitattributes"):
        (here / "mine" / name).write_text("x")
    assert digest("mine") == before
    shutil.copytree("mine", "other")  # times and place are not what it is
    assert digest("other") == before


def test_weights_in_parts_all_count(here):
    write(here / "mine")
    (here / "mine/model.safetensors").unlink()
    write_json({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}, "mine/model.safetensors.index.json")
    for part in ("one", "two"):
        (here / f"mine/{part}.safetensors").write_text(part)
    before = digest("mine")
    (here / "mine/two.safetensors").write_text("2")
    assert digest("mine") != before


def test_weights_are_read_when_they_are_new_or_touched_and_not_again(here, monkeypatch):
    read = []
    monkeypatch.setattr(fingerprint, "file_digest", lambda path: read.append(path.name) or "x")
    write(here / "mine")
    digest("mine")
    assert sorted(read) == sorted(FILES)
    digest("mine")
    assert len(read) == len(FILES)
    os.utime("mine/model.safetensors", ns=(1, 1))
    digest("mine")
    assert read[len(FILES) :] == ["model.safetensors"]


def test_a_base_that_was_built_here_is_its_manifest_until_it_is_changed(here):
    folder = write(here / "tiny")
    made = {name: describe("tiny", "known.json")["files"][name] for name in FILES}
    write_json({"kind": "tiny", "files": made, "seed": 1}, folder / "manifest.json")
    built = digest("tiny")
    write_json({"kind": "tiny", "files": made, "seed": 2}, folder / "manifest.json")
    assert digest("tiny") != built
    (folder / "model.safetensors").write_text("a user's own")  # under the manifest of the one that it was made from
    first = digest("tiny")
    (folder / "model.safetensors").write_text("another")
    assert digest("tiny") != first


# ---------------------------------------------------------------- Hugging Face ids


OLD, NEW = "a" * 40, "b" * 40


def fetched(here, main):
    folder = here / "hub/models--acme--llama"
    for commit in (OLD, NEW):
        write(folder / "snapshots" / commit, model__safetensors=commit)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs/main").write_text(main)
    return folder


def test_a_newer_revision_is_another_base_and_the_old_one_can_still_be_had(here):
    fetched(here, OLD)
    old = describe("acme/llama", "known.json")
    assert old["revision"] == OLD and old["name"] == "acme/llama"
    fetched(here, NEW)
    new = describe("acme/llama", "known.json")
    assert new["revision"] == NEW and new["digest"] != old["digest"]
    assert describe("acme/llama", "known.json", OLD) == old
    assert find_base("acme/llama", OLD).name == OLD


def test_a_revision_that_was_not_fetched_is_named(here):
    shutil.rmtree(fetched(here, NEW) / "snapshots" / OLD)
    with refused(OLD, where="acme/llama", todo="make fetch-base"):
        find_base("acme/llama", OLD)


def test_no_two_bases_share_a_file_name(here):
    (here / "models").mkdir()
    bases_ = [("acme/llama", None), ("acme/llama", "v1"), ("acme/llama", "refs/pr/1"), ("acme/llama", "refs-pr-1")]
    bases_ += [("models/llama", None), ("/data/models/llama", None), ("a b/{x};id", None), ("llama", None)]
    slugs = {base_slug(*base) for base in bases_}
    assert len(slugs) == len(bases_)
    assert all(set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._@") for slug in slugs)


# ---------------------------------------------------------------- trained models


def trained(here):
    folder = here / "model"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "loss.csv"):
        (folder / name).write_text(name)
    files = {path.name: bases.file_digest(path) for path in folder.iterdir()}
    write_json({"files": files, "base": describe("mine", "known.json")}, folder / "manifest.json")
    return folder


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"])
def test_a_model_with_another_file_than_it_was_trained_with_is_refused(here, name):
    write(here / "mine")
    folder = trained(here)
    assert check_model(folder)["base"]["name"] == "mine"
    (folder / "loss.csv").unlink()  # nothing is predicted from it
    check_model(folder)
    (folder / name).write_text("edited")
    with refused(name, where=folder, todo=folder / "manifest.json") as edited:
        check_model(folder)
    (folder / name).unlink()
    with refused(name, where=folder, todo=folder / "manifest.json") as gone:
        check_model(folder)
    assert edited.value.what != gone.value.what, "an edited file is not called a missing one"


def test_an_adapter_belongs_to_its_base(here):
    write(here / "mine")
    folder = trained(here)
    check_base(check_model(folder), describe("mine", "known.json"), folder)
    write(here / "mine", model__safetensors="others", tokenizer__json="others")
    with refused("model.safetensors", "tokenizer.json", where=folder, todo="snakemake train"):
        check_base(check_model(folder), describe("mine", "known.json"), folder)


# ---------------------------------------------------------------- what a training depends on


def ingredients_of_training(project, monkeypatch, base, found=None):
    """What train_llm.py says that the training of a model depends on."""
    spec = importlib.util.spec_from_file_location("train_llm", project / "workflow/scripts/train_llm.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    seen = {}
    monkeypatch.setattr(script, "finetune", lambda *_, **options: seen.update(options))
    settings = {
        "model": {"kind": "llm", "base": base, "encoding": "e"},
        "task": task_of("atmosphere", ["teff"]).model_dump(),
        "encoding": {"form": "packed"},
        "wavelength": {},
    }
    write_parquet(pa.table({"obsid": pa.array([], pa.int64()), "shard": pa.array([], pa.string())}), "labels.parquet")
    write_text("\t".join(COLUMNS) + "\n", "index.tsv")
    script.main(
        Namespace(
            settings=settings,
            size="s",
            train=[],
            val=[],
            labels="labels.parquet",
            index="index.tsv",
            base=base,
            found=found,
            continues=None,
            code_hash="c",
            state="state/train",
            threads=1,
            manifest="out/manifest.json",
        )
    )
    return seen["ingredients"], seen["base"]


def test_a_training_depends_on_what_is_in_its_base(here, project, monkeypatch):
    write(here / "mine")
    before, _ = ingredients_of_training(project, monkeypatch, "mine")
    assert ingredients_of_training(project, monkeypatch, "mine")[0] == before
    write(here / "mine", tokenizer__json="repaired")
    assert ingredients_of_training(project, monkeypatch, "mine")[0] != before


def test_a_training_takes_the_revision_that_was_found(here, project, monkeypatch):
    fetched(here, OLD)
    (here / "found.json").write_text(json.dumps(describe("acme/llama", "known.json")))
    before, base = ingredients_of_training(project, monkeypatch, "acme/llama", "found.json")
    fetched(here, NEW)  # while the job waited in the queue
    assert ingredients_of_training(project, monkeypatch, "acme/llama", "found.json") == (before, base)
    assert base["revision"] == OLD
    assert ingredients_of_training(project, monkeypatch, "acme/llama")[0] != before


def test_the_files_of_a_base_are_named_whatever_lies_around_them(here):
    write(here / "mine")
    (here / "mine/additional_chat_templates").mkdir()
    (here / "mine/additional_chat_templates/rag.jinja").write_text("r")
    (here / "mine/notes.txt").write_text("n")
    assert base_files(here / "mine") == sorted([*FILES, "additional_chat_templates/rag.jinja"])
