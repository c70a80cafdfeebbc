"""A training whose code is edited after it began goes on with what it began with, or stops and says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from baseline_spectra import TASK, linear_survey

from starglot.config.kinds.baselines import LightGbm
from starglot.store import checkpoints, seal
from starglot.surveys.index import COLUMNS
from starglot.tables import read_json, write_json, write_parquet
from starglot.training import begun

pytestmark = pytest.mark.slow

SETTINGS = LightGbm(kind="lightgbm", bin=4, rounds=30, stop_after=10, leaves=8, features=0.5)
#: Ends the script, as by kill -9, when so many of four models are in a checkpoint; whatever code it runs by then.
KILLER = """
import os
if "KILLED_AT" in os.environ:
    from starglot.training import trees
    seal = trees.seal
    def sealed(folder):
        seal(folder)
        if folder.name == "checkpoint-" + os.environ["KILLED_AT"]:
            os.kill(os.getpid(), 9)
    trees.seal = sealed
"""
REQUESTED = "00000000c0dec0de"


class Training:
    """A project of its own, and its script that trains trees."""

    def __init__(self, folder: Path, project: Path, spectra: Path):
        self.folder, self.spectra = folder, spectra
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / "src", folder / "src", ignore=ignored)
        shutil.copytree(project / "workflow", folder / "workflow", ignore=ignored)
        (folder / "sitecustomize.py").write_text(KILLER)
        self.code = REQUESTED

    def start(self, run: str | None = None, killed_at: int | None = None) -> subprocess.CompletedProcess:
        """Run the script as the rule does, in a run of snakemake; killed_at: when so many models are done."""
        given = {
            "settings": json.dumps({"model": SETTINGS.model_dump(mode="json"), "task": TASK.model_dump(mode="json")}),
            "sample": self.spectra / "sample.parquet",
            "labels": self.spectra / "labels.parquet",
            "index": self.spectra / "index.tsv",
            "code": self.code,
            "state": "state/baselines",
            "manifest": "out/manifest.json",
        }
        words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
        env = {**os.environ, "PYTHONPATH": f"{self.folder}/src:{self.folder}", begun.RUN: run or ""}
        env |= {} if killed_at is None else {"KILLED_AT": str(killed_at)}
        command = [sys.executable, "workflow/scripts/train_trees.py", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=env)

    def edit(
        self, old: str = '"seed": settings.seed', new: str = '"seed": 1 + settings.seed', module: str = "trees"
    ) -> None:
        """Another seed, so that other code gives other trees."""
        path = self.folder / "src/starglot/training" / f"{module}.py"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        self.code = "11111111beefbeef"

    @property
    def place(self) -> Path:
        (place,) = (self.folder / "state/baselines").glob(f"*-{REQUESTED}")
        return place

    def made(self) -> dict[str, bytes]:
        files = (path for path in (self.folder / "out").iterdir() if path.suffix in (".txt", ".safetensors"))
        return {path.name: path.read_bytes() for path in files}

    def manifest(self) -> dict[str, Any]:
        return read_json(self.folder / "out/manifest.json")


@pytest.fixture(scope="module")
def spectra(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spectra")
    survey = linear_survey(folder)
    write_parquet(survey.sample, folder / "sample.parquet")
    write_parquet(survey.labels, folder / "labels.parquet")
    shards = sorted(set(survey.labels["shard"].to_pylist()))
    rows = ["\t".join(COLUMNS), *("\t".join((shard, "digest", "-", "-")) for shard in shards)]
    (folder / "index.tsv").write_text("".join(f"{row}\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, project: Path, spectra: Path) -> dict[str, bytes]:
    training = Training(tmp_path_factory.mktemp("undisturbed") / "project", project, spectra)
    done = training.start()
    assert done.returncode == 0, done.stderr
    return training.made()


@pytest.fixture(scope="module")
def killed_once(tmp_path_factory, project: Path, spectra: Path) -> Path:
    training = Training(tmp_path_factory.mktemp("killed") / "project", project, spectra)
    done = training.start(run="first", killed_at=2)
    assert done.returncode == -9, done.stderr
    return training.folder


@pytest.fixture
def training(tmp_path: Path, project: Path, spectra: Path, killed_once: Path) -> Training:
    """A training that was killed after two of four models."""
    training = Training(tmp_path / "project", project, spectra)
    shutil.copytree(killed_once / "state", training.folder / "state")
    return training


def test_what_it_begins_with_is_on_record(training) -> None:
    record = read_json(training.place / "begun.json")
    assert record["code"] == REQUESTED and record["run"] == "first" and record["target"] == "out/manifest.json"
    assert record["length"] == [4, "models"]
    parts = {name.partition(":")[0] for name in record["definitions"]}
    assert {"script", "starglot.training.trees", "starglot.store"} <= parts
    assert (training.place / "code.zip").stat().st_size < 2e6


def test_with_the_same_code_any_run_goes_on_and_leaves_no_trace(training, undisturbed) -> None:
    done = training.start(run="second")
    assert done.returncode == 0 and "continuing from" in done.stderr
    assert training.made() == undisturbed
    assert "begun_with" not in training.manifest()
    assert [path.name for path in training.place.iterdir()] == ["finished"]


def test_an_edit_of_a_comment_is_none(training, undisturbed) -> None:
    training.edit("# ---- train", "# ---- learn")
    training.code = REQUESTED
    done = training.start(run="second")
    assert done.returncode == 0 and training.made() == undisturbed and "begun_with" not in training.manifest()


@pytest.mark.parametrize("code", [REQUESTED, "11111111beefbeef"], ids=["planned before the edit", "planned after it"])
def test_edited_within_its_run_it_goes_on_with_the_code_that_it_began_with(training, undisturbed, code) -> None:
    training.edit()
    training.code = code
    done = training.start(run="first")
    assert done.returncode == 0, done.stderr
    assert "going on with the definitions that it began with" in done.stderr and "continuing from" in done.stderr
    assert training.made() == undisturbed
    manifest = training.manifest()
    assert manifest["work"].endswith(REQUESTED)
    (note,) = manifest["begun_with"]
    assert (note["code"], note["asked"]) == (REQUESTED, code)
    assert note["definitions"] and all(name.startswith("starglot.training.trees") for name in note["definitions"])
    assert [path.name for path in training.place.iterdir()] == ["finished"]


#: An edit after which the same training is another piece of work.
IDENTITY = {"old": '"inputs": inputs, "code"', "new": '"inputs": inputs, "more": 1, "code"', "module": "baselines"}


def test_code_that_knows_more_of_the_same_training_is_an_edit_too(training, undisturbed) -> None:
    training.edit(**IDENTITY)
    done = training.start(run="second")
    assert done.returncode == 1 and "2 of 4 models" in done.stderr and "starglot.training.baselines" in done.stderr
    assert training.start(run="first").returncode == 0
    assert training.made() == undisturbed


def test_settings_that_are_edited_within_its_run_are_those_of_the_next(training, undisturbed, monkeypatch) -> None:
    monkeypatch.setitem(globals(), "SETTINGS", SETTINGS.model_copy(update={"rounds": 29}))
    training.edit("# ---- train", "# ---- learn")
    assert training.start(run="first").returncode == 0
    assert training.made() == undisturbed and training.manifest()["begun_with"]


def test_killed_and_edited_twice_within_its_run_it_still_ends_the_same(training, undisturbed) -> None:
    training.edit()
    assert training.start(run="first", killed_at=3).returncode == -9
    training.edit('"seed": 1 + settings.seed', '"seed": 2 + settings.seed')
    assert training.start(run="first").returncode == 0
    assert training.made() == undisturbed


@pytest.mark.parametrize("run", ["second", None], ids=["another run", "no run"])
def test_edited_before_another_run_it_stops_and_says_what_can_be_done(training, run) -> None:
    training.edit()
    before = sorted(path for path in training.folder.joinpath("state").rglob("*"))
    done = training.start(run=run)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "2 of 4 models" in done.stderr and "starglot.training.trees" in done.stderr
    place = training.place.relative_to(training.folder)
    for way in (
        "starglot accept --because '...' out/manifest.json",
        "starglot accept --as-begun out/manifest.json",
        f"rm -r {place}",
    ):
        assert way in done.stderr
    assert not (training.folder / "out").exists()
    assert sorted(path for path in training.folder.joinpath("state").rglob("*")) == before


def definitions(training: Training) -> dict[str, str]:
    """Of the edited script, as the workflow has them."""
    code = (
        "import json; from starglot.training.begun import definitions_of; from pathlib import Path\n"
        "print(json.dumps(definitions_of(Path('workflow/scripts/train_trees.py'))))"
    )
    env = {**os.environ, "PYTHONPATH": str(training.folder / "src")}
    done = subprocess.run([sys.executable, "-c", code], cwd=training.folder, capture_output=True, text=True, env=env)
    return json.loads(done.stdout)


def test_an_edit_that_was_accepted_goes_on_from_the_checkpoint(training, undisturbed) -> None:
    training.edit()
    (mine,) = begun.begun_for(training.folder / "state", "out/manifest.json")
    begun.accept(mine, training.code, definitions(training), [], "the same to me")
    training.code = REQUESTED  # as the workflow asks for it then
    done = training.start(run="second")
    assert done.returncode == 0 and "continuing from" in done.stderr and "going on" not in done.stderr
    made = training.made()
    same = {name for name in made if made[name] == undisturbed[name]}
    assert {"trees-teff.txt", "trees-logg.txt"} <= same and "trees-feh.txt" not in same
    (note,) = training.manifest()["begun_with"]
    assert (note["asked"], note["because"]) == ("11111111beefbeef", "the same to me")


def test_what_was_accepted_is_that_edit_and_no_further_one(training) -> None:
    training.edit()
    (mine,) = begun.begun_for(training.folder / "state", "out/manifest.json")
    begun.accept(mine, training.code, definitions(training), [], "the same to me")
    training.edit('"seed": 1 + settings.seed', '"seed": 2 + settings.seed')
    assert training.start(run="second").returncode == 1


def test_on_a_persons_word_any_run_finishes_it_as_it_began(training, undisturbed) -> None:
    training.edit()
    (mine,) = begun.begun_for(training.folder / "state", "out/manifest.json")
    begun.finish_as_begun(mine)
    done = training.start(run="second")
    assert done.returncode == 0 and training.made() == undisturbed
    assert training.manifest()["begun_with"][0]["because"] is None


def test_with_its_folder_removed_it_begins_anew(training, undisturbed) -> None:
    training.edit()
    shutil.rmtree(training.place)
    done = training.start(run="second")
    assert done.returncode == 0 and "continuing from" not in done.stderr
    assert training.made() != undisturbed and "begun_with" not in training.manifest()


def test_where_no_checkpoint_is_good_nothing_is_lost_and_it_begins_anew(training) -> None:
    training.edit()
    for folder in checkpoints(training.place / "checkpoints"):
        (folder / "complete.json").unlink()
    done = training.start(run="second")
    assert done.returncode == 0 and training.manifest()["work"].endswith(training.code)


def test_a_finished_one_does_not_stand_in_the_way_of_other_code(training) -> None:
    assert training.start(run="first").returncode == 0
    training.edit()
    done = training.start(run="first")
    assert done.returncode == 0 and training.manifest()["work"].endswith(training.code)


def test_another_setting_is_another_training(training, monkeypatch) -> None:
    training.edit()
    monkeypatch.setitem(globals(), "SETTINGS", SETTINGS.model_copy(update={"rounds": 29}))
    done = training.start(run="second")
    assert done.returncode == 0 and len(list(training.place.parent.glob("*-*"))) == 2


def test_without_the_code_it_began_with_it_stops_also_in_its_own_run(training) -> None:
    training.edit()
    kept = training.place / "code.zip"
    kept.write_bytes(kept.read_bytes()[:-1000])
    done = training.start(run="first")
    assert done.returncode == 1 and "2 of 4 models" in done.stderr
    assert checkpoints(training.place / "checkpoints")


@pytest.mark.parametrize("edited", [False, True], ids=["same code", "edited"])
def test_a_record_that_is_damaged_is_no_crash_and_no_loss(training, undisturbed, edited) -> None:
    record = read_json(training.place / "begun.json")
    write_json(record["definitions"], training.folder / f"state/code/{REQUESTED}.json")  # as the workflow keeps it
    (training.place / "begun.json").write_text('{"code": ')
    if edited:
        training.edit()
    done = training.start(run="second")
    assert "is unreadable" in done.stderr and done.returncode == edited
    if edited:
        assert checkpoints(training.place / "checkpoints")
    else:
        assert training.made() == undisturbed


def test_the_extracted_code_is_verified(training, undisturbed) -> None:
    training.edit()
    folder = training.place / "code"
    (folder / "src/starglot").mkdir(parents=True)
    (folder / "src/starglot/__init__.py").write_text("raise SystemExit('not this one')")
    seal(folder)
    (folder / "src/starglot/__init__.py").write_text("raise SystemExit('nor this one')")
    done = training.start(run="first")
    assert done.returncode == 0 and training.made() == undisturbed
