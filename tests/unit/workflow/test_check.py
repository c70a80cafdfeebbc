"""`make check` and `make fetch-base`: what they say, and when they stop a run."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from question_sets import write_set

from refusals import refused
from starglot.config.load import merge, read_config
from starglot.config.queries import language_models
from starglot.config.root import Config
from starglot.folders import make_folders, require_folders, require_writable
from starglot.workflow import check, fetch
from starglot.workflow.check import external_inputs, lacking, render, require

TOKEN = "hf_" + "secret" * 4


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty cache of models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def paper(project: Path, **over: Any) -> Config:
    raw = yaml.safe_load((project / "config/config.yaml").read_text())
    return Config.model_validate(merge(raw, over))


def write_base(folder: Path, parts: int = 0) -> None:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    names = [f"model-{i}.safetensors" for i in range(parts)] or ["model.safetensors"]
    if parts:
        weights = ", ".join(f'"w{i}": "{name}"' for i, name in enumerate(names))
        (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {{{weights}}}}}')
    for name in names:
        (folder / name).write_bytes(b"0" * 500)


def test_on_a_fresh_machine_everything_is_missing_with_source_and_account(project: Path, here: Path) -> None:
    inputs = external_inputs(paper(project))
    assert {item.state for item in inputs} == {"missing"}
    assert all(item.source and item.account for item in inputs)
    text = render(inputs)
    for word in (
        "LAMOST spectra, surveys.lamost.spectra",
        "APOGEE, surveys.apogee.catalog",
        "GALAH DR4",
        "Gaia-ESO",
        "meta-llama/Llama-3.1-8B-Instruct",
        "gated",
    ):
        assert word in text
    with refused(7, "data/lamost/spectra", todo="make demo"):
        require(inputs)


def test_present_files_are_counted_and_broken_ones_explained(project: Path, here: Path) -> None:
    config = paper(project)
    lamost = config.surveys.lamost
    for path, content in (
        (lamost.stellar, gzip.compress(b"SIMPLE  =", mtime=0).ljust(3000, b"\0")),
        (lamost.mstellar or "", b"<!doctype html><title>log in</title>"),
        (config.surveys.apogee.catalog if config.surveys.apogee else "", b""),
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
    Path(lamost.spectra).mkdir()
    states = {item.name: item for item in external_inputs(config)}
    stellar = states["LAMOST, surveys.lamost.stellar"]
    assert (stellar.state, stellar.size) == ("present", "3.0 kB")
    assert "web page" in states["LAMOST, surveys.lamost.mstellar"].remark
    assert "empty" in states["APOGEE, surveys.apogee.catalog"].remark
    assert "no <obsdate> folders" in states["LAMOST spectra, surveys.lamost.spectra"].remark
    (Path(lamost.spectra) / "20120101").mkdir()
    root = {item.name: item for item in external_inputs(config)}["LAMOST spectra, surveys.lamost.spectra"]
    assert (root.state, root.size) == ("present", "1 folders")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"<!doctype html><title>log in</title>", mtime=0), "web page"),
        (b'{"error": "not found"}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (gzip.compress(b"SIMPLE  =" * 5000, mtime=0)[:30], "cannot be read"),
    ],
)
def test_a_catalogue_is_looked_into_also_when_it_is_packed(
    project: Path, here: Path, content: bytes, says: str
) -> None:
    config = paper(project)
    path = Path(config.surveys.lamost.stellar)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    stellar = next(item for item in external_inputs(config) if item.path == str(path))
    assert stellar.state == "broken" and says in stellar.remark


def test_only_what_the_run_needs_stops_it(project: Path, here: Path) -> None:
    run = {"tasks": ["atmosphere"], "models": ["ridge"], "validation": []}
    needed = [item.name for item in lacking(external_inputs(paper(project, run=run)))]
    assert needed == [
        "LAMOST, surveys.lamost.stellar",
        "LAMOST, surveys.lamost.mstellar",
        "LAMOST spectra, surveys.lamost.spectra",
    ]


def test_files_that_are_not_the_surveys_own_are_not_looked_for_in_its_archive(project: Path, here: Path) -> None:
    inputs = external_inputs(paper(project, surveys={"lamost": {"source": "a library of mine"}}))
    ours = [item for item in inputs if "surveys.lamost" in item.name]
    assert {item.source for item in ours} == {"a library of mine"}
    assert not any("LAMOST, free" in item.account for item in ours)
    others = [item for item in inputs if "surveys.lamost" not in item.name]
    assert "a library of mine" not in {item.source for item in others}
    config = paper(project, surveys={"lamost": {"source": "a library of mine"}})
    assert config.surveys.lamost.of_catalog() == paper(project).surveys.lamost.of_catalog(), (
        "no catalogue is read again"
    )


def test_a_mock_release_needs_nothing(project: Path, here: Path) -> None:
    demo = read_config(project / "config/config.yaml", project / "config/demo.yaml")
    inputs = external_inputs(demo)
    require(inputs)
    assert {item.state for item in inputs if item.needed_by} == {"made"}
    assert "[made by the run] LAMOST spectra, surveys.lamost.spectra: results/demo/mock" in render(inputs)


def test_a_folder_as_base_is_looked_into(project: Path, here: Path) -> None:
    write_base(here / "bases/mine", parts=3)
    over = {"models": {"llm-packed": {"base": "bases/mine"}}}
    base = next(item for item in external_inputs(paper(project, **over)) if item.needed_by == "llm-packed")
    assert base.state == "present" and base.account == "none"
    (here / "bases/mine/model-1.safetensors").unlink()
    base = next(item for item in external_inputs(paper(project, **over)) if item.needed_by == "llm-packed")
    assert (base.state, base.remark) == ("broken", "lacks model-1.safetensors")


@pytest.mark.slow
def test_the_script_exits_with_the_state_of_things(project: Path, tmp_path: Path) -> None:
    def run(*config: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "starglot", "check", *(str(project / c) for c in config)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    demo = run("config/config.yaml", "config/demo.yaml")
    assert demo.returncode == 0 and "everything that the run needs is here" in demo.stdout
    full = run("config/config.yaml")
    assert full.returncode == 1
    assert "[missing] LAMOST spectra" in full.stdout
    assert "are not there" in full.stderr and "Traceback" not in full.stderr


# ---------------------------------------------------------------- fetching a base


def test_a_base_that_is_there_is_not_fetched(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", _refuse(AssertionError("asked the hub")))
    write_base(here / "mine")
    assert fetch.fetch_base("mine") == Path("mine")


def test_a_folder_that_is_not_whole_says_what_it_lacks(here: Path) -> None:
    with refused(where="./nowhere", todo="models.<name>.base"):
        fetch.fetch_base("./nowhere")
    write_base(here / "mine")
    (here / "mine/tokenizer.json").unlink()
    with refused(where="mine", allowed="tokenizer.json"):
        fetch.fetch_base("mine")


def test_a_download_takes_weights_and_tokenizer_with_the_token_given(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def download(base: str, **options: Any) -> str:
        if options.get("local_files_only"):
            raise FileNotFoundError
        asked.update(options, base=base)
        write_base(here / "snapshot")
        return str(here / "snapshot")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert fetch.fetch_base("owner/model", TOKEN) == here / "snapshot"
    assert asked["base"] == "owner/model" and asked["token"] == TOKEN
    assert "*.safetensors" in asked["allow_patterns"] and "original/*" in asked["ignore_patterns"]


@pytest.mark.parametrize(
    ("error", "where", "todo"),
    [
        ("GatedRepoError", "https://huggingface.co/owner/model", "HF_TOKEN=... make fetch-base"),
        ("RepositoryNotFoundError", "models.<name>.base", "HF_TOKEN=... make fetch-base"),
        ("LocalEntryNotFoundError", "https://huggingface.co/owner/model", ("make fetch-base", "models.<name>.base")),
        ("OfflineModeIsEnabled", "https://huggingface.co/owner/model", ("make fetch-base", "HF_HUB_OFFLINE")),
        ("disk", "owner/model", "HF_HOME"),
    ],
)
def test_a_failed_download_says_what_to_do_and_never_the_token(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: str, where: str, todo: Any
) -> None:
    from huggingface_hub import errors

    if error == "disk":
        raised: Exception = OSError(28, f"No space left, token {TOKEN}")
    else:
        kind = getattr(errors, error)
        raised = kind.__new__(kind)
        raised.args = (f"401 for {TOKEN}",)
    monkeypatch.setattr("huggingface_hub.snapshot_download", _refuse(raised))
    monkeypatch.setattr(fetch, "local_folder", lambda base: None)
    with refused(where=where, todo=todo) as caught:
        fetch.fetch_base("owner/model", TOKEN)
    assert TOKEN not in str(caught.value)


def test_sizes_read_well() -> None:
    assert [check.readable_size(n) for n in (0, 812, 999_600, 16_060_000_000, 2 * 10**15)] == [
        "0 B",
        "812 B",
        "1.0 MB",
        "16.1 GB",
        "2000.0 TB",
    ]


def _refuse(error: Exception) -> Any:
    def download(*args: Any, **options: Any) -> str:
        raise error

    return download


def test_a_folder_of_results_that_a_file_is_in_the_way_of_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_folders(tmp_path, tmp_path / "new/folder")
    with refused(where=(tmp_path / "file", tmp_path / "file/results"), todo="results"):
        require_folders(tmp_path, tmp_path / "file/results")


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_writable(tmp_path / "new/folder")
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed)
    with refused(where=(closed, closed / "results"), todo="results"):
        require_writable(tmp_path, closed / "results")


@pytest.mark.parametrize(
    ("positions", "template", "said"), [(4096, None, "positions"), (131072, "{{ x.y.z }}", "template")]
)
def test_a_base_that_no_question_fits_is_found_before_anything_runs(
    project: Path, here: Path, positions: int, template: str | None, said: str
) -> None:
    from transformers import LlamaConfig

    from starglot.language.tiny_tokenizer import build_tokenizer

    write_base(here / "mine")
    tokenizer = build_tokenizer()
    over = {"models": {"llm-packed": {"base": "./mine"}}, "run": {"models": ["llm-packed"]}}

    def state() -> check.Input:
        tokenizer.save_pretrained(here / "mine")
        return next(item for item in external_inputs(paper(project, **over)) if item.path == "./mine")

    LlamaConfig(max_position_embeddings=131072).save_pretrained(here / "mine")
    assert state().state == "present"
    LlamaConfig(max_position_embeddings=positions).save_pretrained(here / "mine")
    tokenizer.chat_template = template
    assert state().state == "broken" and said in state().remark


def test_a_folder_that_the_disk_refuses_is_named(tmp_path: Path) -> None:
    """Also where permissions say nothing: root may write everywhere, and not to the kernel's own folders."""
    make_folders(tmp_path / "new/folder")
    assert (tmp_path / "new/folder").is_dir() and not list((tmp_path / "new/folder").iterdir())
    with refused(where=Path("/proc/nowhere/results")):
        make_folders(tmp_path, "/proc/nowhere/results")


def test_question_sets_and_rehearsed_text_are_listed(project: Path, here: Path) -> None:
    write_set(here / "sets")
    (here / "sets/broken.yaml").write_text("task: broken\n")
    sets = {"good": "sets/colours.yaml", "broken": "sets/broken.yaml", "absent": "sets/absent.yaml"}
    config = paper(project, retention={"sets": sets})
    name = next(name for name in config.run.models if name in language_models(config))
    over = {"models": {name: {"training": {"rehearsal": {"file": "texts.txt"}}}}}
    found = {item.path: item for item in external_inputs(paper(project, retention={"sets": sets}, **over))}
    assert [found[path].state for path in sets.values()] == ["present", "broken", "missing"]
    assert "dataset_path" in found["sets/broken.yaml"].remark
    assert not {found[path].needed_by for path in sets.values()} - {""}, "nothing of `run:` waits for them"
    text = found["texts.txt"]
    assert (text.state, text.needed_by) == ("missing", name) and text in lacking(found.values())
