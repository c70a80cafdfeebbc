"""What users write into YAML files and paths: read right, or named with file, line and key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from refusals import at, refused
from starglot.config.checks.paths import path_faults
from starglot.config.load import read_config
from starglot.config.root import Config
from starglot.config.yaml_files import yaml_faults

KEYS = st.text("abcdefgh", min_size=1, max_size=3)


def read(project: Path, tmp_path: Path, text: str) -> Config:
    """The reproduction's configuration with ``text`` laid over it."""
    over = tmp_path / "over.yaml"
    over.write_text(text, encoding="utf-8")
    return read_config(project / "config/config.yaml", over)


def refusal(project: Path, tmp_path: Path, text: str) -> list[str]:
    """The faults that an overlay of ``text`` has: "key: sentence"."""
    with refused(todo="docs/reference.md") as caught:
        read(project, tmp_path, text)
    return [line.removeprefix("  - ") for line in caught.value.what.splitlines()[1:]]


def test_a_key_given_twice_is_named_with_file_line_and_key(project: Path, tmp_path: Path) -> None:
    said = refusal(project, tmp_path, "seed: 1\nspectra:\n  max_gap: 3.0\n  min_good: 0.1\n  max_gap: 4.0\nseed: 2\n")
    over = tmp_path / "over.yaml"
    assert at(said, f"{over}, line 5: spectra.max_gap", "line 3")
    assert at(said, f"{over}, line 6: seed", "line 1")


@given(st.lists(KEYS, min_size=1, max_size=6))
def test_every_key_given_twice_is_found(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    path = tmp_path_factory.mktemp("twice") / "keys.yaml"
    path.write_text("outer:\n" + "".join(f"  {key!r}: 1\n" for key in keys), encoding="utf-8")
    assert len(yaml_faults(path)) == len(keys) - len(set(keys))


def test_a_key_may_stand_in_two_maps_and_an_anchor_in_many_places(tmp_path: Path) -> None:
    path = tmp_path / "maps.yaml"
    path.write_text("a: &one {x: 1}\nb: {x: 2}\nc: *one\nd: {<<: *one, x: 3}\n", encoding="utf-8")
    assert yaml_faults(path) == []


@pytest.mark.parametrize(
    ("text", "key", "named"),
    [
        ("seed: 010", "seed", (8,)),
        ("seed: 1:30", "seed", (60,)),
        ("surveys: {lamost: {release: 2020-01-01}}", "surveys.lamost.release", ("2020-01-01",)),
        ("seed: on", "seed", ("on", "true")),
        ("qa: {files: {train: yes}}", "qa.files.train", ("yes", "true")),
        ("tasks: {atmosphere: {sample: {sizes: {all: no}}}}", "tasks.atmosphere.sample.sizes.all", ("no", "false")),
        ("qa: {files: {train: 1e5}}", "qa.files.train", ("'1e5'",)),
        ("match: {radius_arcsec: .nan}", "match.radius_arcsec", ("nan",)),
        ("recipes: {paper: {max_gap: .inf}}", "recipes.paper.max_gap", ("inf",)),
        ("run: {sizes: [1.0e+5]}", "run.sizes.0", (100000.0,)),
        ("run: {models: [no]}", "run.models.0", (False,)),
    ],
)
def test_what_yaml_reads_as_another_value_is_named(
    project: Path, tmp_path: Path, text: str, key: str, named: tuple[object, ...]
) -> None:
    found = [fault.removeprefix(f"{tmp_path / 'over.yaml'}, line 1: ") for fault in refusal(project, tmp_path, text)]
    assert at(found, key, *named), found


def test_what_yaml_reads_as_meant_is_taken(project: Path, tmp_path: Path) -> None:
    config = read(
        project,
        tmp_path,
        "seed: 1_000\nmatch: {radius_arcsec: 25e-1}\n"
        "tasks: {atmosphere: {sample: {balanced: yes}}}\nrun: {sizes: [1e5, all]}\n",
    )
    assert (config.seed, config.match.radius_arcsec, config.run.sizes) == (1000, 2.5, ["1e5", "all"])
    assert config.tasks["atmosphere"].sample.balanced is True


@pytest.mark.parametrize("blank", ["''", "~", "' '", "null", ""])
def test_blank_and_null_are_nothing_where_a_path_may_be_left_out(project: Path, tmp_path: Path, blank: str) -> None:
    config = read(project, tmp_path, f"state: {blank}\nsurveys: {{lamost: {{mstellar: {blank}}}}}\n")
    assert config.surveys.lamost.mstellar is None and config.state_dir == "results/state"


@pytest.mark.parametrize("blank", ["''", "~", "' '"])
def test_blank_and_null_are_refused_where_a_path_is_needed(project: Path, tmp_path: Path, blank: str) -> None:
    said = refusal(project, tmp_path, f"results: {blank}\nsurveys: {{galah: {{catalog: {blank}}}}}\n")
    assert at(said, "results") and at(said, "surveys.galah.catalog")


def test_paths_are_tidied_and_home_is_found(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = "results: ./here//x/\nsurveys: {lamost: {spectra: ~/data/}}\nmodels: {llm-paper: {base: ~/llama}}\n"
    config = read(project, tmp_path, text)
    assert config.results == "here/x" and config.surveys.lamost.spectra == "/home/me/data"
    assert config.models["llm-paper"].base == "/home/me/llama"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["my results", "it's", 'a"b', "é", "$HOME", "a;b", "../x", "a&b", "#1", "x*?[y]"])
def test_paths_of_blanks_quotes_and_any_letters_are_taken(project: Path, tmp_path: Path, name: str) -> None:
    config = read(project, tmp_path, yaml.safe_dump({"results": name, "surveys": {"galah": {"catalog": name}}}))
    assert config.results == name and path_faults(config) == []


@pytest.mark.parametrize("name", ["{x}", "a{b", "<results>", "-x", "a\nb", "a\0b", " a", "a "])
def test_paths_that_snakemake_or_a_command_cannot_take_are_named(project: Path, name: str) -> None:
    raw: dict[str, Any] = read_config(project / "config/config.yaml").model_dump()
    raw["results"] = raw["surveys"]["lamost"]["stellar"] = name
    config = Config.model_validate(raw)
    assert {fault.split(": ")[0] for fault in path_faults(config)} == {"results", "surveys.lamost.stellar"}


def test_braces_are_taken_where_snakemake_does_not_look(project: Path, tmp_path: Path) -> None:
    config = read(project, tmp_path, "state: 'a {x}'\nsurveys: {lamost: {spectra: 'b {y}'}}\n")
    assert (config.state_dir, config.surveys.lamost.spectra) == ("a {x}", "b {y}")


@pytest.mark.parametrize("name", ["a b", "a{b}", "a'b", "a/b", "..", ".a", "-a", "é", "", "a\n", "x" * 49])
def test_names_that_cannot_stand_in_a_file_name_are_refused_all_at_once(
    project: Path, tmp_path: Path, name: str
) -> None:
    raw = read_config(project / "config/config.yaml").model_dump(mode="json")
    over: dict[str, Any] = {key: {name: next(iter(raw[key].values()))} for key in ("tasks", "encodings", "models")}
    over["bases"] = {name: {"task": "atmosphere", "size": "1e5", "encoding": "paper"}}
    over["tasks"]["atmosphere"] = {"sample": {"sizes": {name: 10}}}
    over["degradation"] = {"changes": [{"name": name, "snr": 5}]}
    said = refusal(project, tmp_path, json.dumps(over))
    for key in (
        "tasks.",
        "encodings.",
        "models.",
        "bases.",
        "tasks.atmosphere.sample.sizes.",
        "degradation.changes.0.name",
    ):
        assert any(line.startswith(key) for line in said), key


def test_a_mock_release_lies_in_the_results(project: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("results: elsewhere\n", encoding="utf-8")
    moved = [f"surveys.{name}" for name in ("lamost.stellar", "lamost.spectra", "galah.catalog")]
    with refused("mock", "elsewhere/mock", *moved):
        read_config(project / "config/config.yaml", project / "config/demo.yaml", over)


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"- a\n", None), (b"seed: \xe9\n", None), (b"a:\n\tb: 1\n", "line 2")],
)
def test_files_that_are_no_maps_are_refused(project: Path, tmp_path: Path, content: bytes, line: str | None) -> None:
    over = tmp_path / "over.yaml"
    over.write_bytes(content)
    with refused(where=(over, line) if line else over):
        read_config(project / "config/config.yaml", over)


@pytest.mark.parametrize("content", ["", "# nothing\n"])
def test_empty_files_change_nothing(project: Path, tmp_path: Path, content: str) -> None:
    over = tmp_path / "over.yaml"
    over.write_text(content)
    assert read_config(project / "config/config.yaml", over) == read_config(project / "config/config.yaml")


def test_files_are_read_as_utf_8_whatever_the_language_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "é.yaml"
    path.write_text("é: 1\né: 2\n", encoding="utf-8")
    code = "import sys; from starglot.config.yaml_files import yaml_faults; print(len(yaml_faults(sys.argv[1])))"
    for language in ("C", "POSIX", "en_US.ISO-8859-1"):
        environment = {**os.environ, "LC_ALL": language, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, env=environment, check=True)
        assert done.stdout.strip() == b"1"
