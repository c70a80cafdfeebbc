"""On a real one-machine Slurm cluster: code is edited, as by a `git pull`, while a training waits for its turns."""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_project import Project, slurm, wait_until
from safetensors.numpy import load_file

from starglot.tables import read_json

pytestmark = [pytest.mark.slurm, pytest.mark.long]

MODEL = "models/atmosphere/llm-mini/mini/manifest.json"
#: The job waits for its next turn as it does after a time limit.
OPTIONS = (
    "--set-resources",
    "train_llm:slurm_partition=gpu",
    "train_llm:mem_mb=4000",
    "train_llm:slurm_extra='--requeue --open-mode=append'",
)


@pytest.fixture(scope="module")
def project(cluster, tmp_path_factory) -> Project:
    """A project with code of its own, made on this machine up to the base that is trained on."""
    made = Project(tmp_path_factory.mktemp("slurm") / "project", "tiny.yaml", "short.yaml", own_code=True)
    (made.folder / "short.yaml").write_text("models: {llm-mini: {training: {epochs: 16, checkpoints: 20}}}\n")
    made.run("results/bases/tiny/manifest.json", profile=())
    return made


def edit(project: Project, old: str, new: str) -> None:
    path = project.folder / "src/starglot/training/adapters.py"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_training_goes_on_with_the_code_it_began_with_though_that_was_edited_between_two_turns(project):
    log = project.path("logs/train_llm/atmosphere/llm-mini/mini.log")
    state = project.path("state/train")

    def says(words):
        return log.exists() and words in log.read_text()

    process = project.start(f"results/{MODEL}", options=OPTIONS)
    wait_until("a checkpoint", lambda: list(state.glob("*/checkpoints/*/complete.json")), project, process)
    (job,) = project.jobs()
    code = project.folder / "as-begun"
    shutil.copytree(project.folder / "src", code / "src")
    shutil.copytree(project.folder / "workflow", code / "workflow")
    edit(project, "learning_rate=training.learning_rate,", "learning_rate=2 * training.learning_rate,")
    slurm("scontrol", "requeue", job)
    wait_until("its place in the queue", lambda: "Restarts=1" in slurm("scontrol", "show", "job", job), project)
    begun = read_json(next(state.glob("*/begun.json")))
    command = "going on with the definitions that it began with"
    while process.poll() is None:
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], capture_output=True)
        wait_until("the next turn", lambda: process.poll() is not None or says(command), project)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
    assert process.returncode == 0, project.said()[-6000:]
    assert says(command) and says("continuing from")

    manifest = read_json(project.path(MODEL))
    assert manifest["work"].endswith(begun["code"])
    (note,) = manifest["begun_with"]
    assert note["code"] == begun["code"] != note["asked"]
    assert any(name.startswith("starglot.training.adapters") for name in note["definitions"])
    assert weights_of(project.path(MODEL)) == weights_of(undisturbed(project, begun, code))
    # What was made with the code before the edit is listed as such.
    listed = project.run(f"results/{MODEL}", options=("-n",), profile=())
    assert "train_llm" in listed and "Params have changed" in listed


def undisturbed(project: Project, begun: dict, code: Path) -> Path:
    """The same training in one go with the code before the edit; its manifest."""
    out = project.folder / "undisturbed/manifest.json"
    elsewhere = {f"results/{MODEL}": str(out), "results/state/train": "undisturbed/state"}
    arguments = [elsewhere.get(word, word) for word in begun["arguments"]]
    done = subprocess.run(
        [sys.executable, str(code / "workflow/scripts/train_llm.py"), *arguments],
        cwd=project.folder,
        env={**project.environment(), "PYTHONPATH": str(code / "src"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def weights_of(manifest: Path) -> dict[str, bytes]:
    tensors = load_file(manifest.with_name("adapter_model.safetensors"))
    return {name: tensor.tobytes() for name, tensor in tensors.items()}
