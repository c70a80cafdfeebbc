"""Encoders that several processes train learn what one process learns, and go on exactly where they were stopped."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from test_encoder_training import GRID, auto, make_view, masked, plan, pretrain

from refusals import refused
from starglot.hashing import file_digest
from starglot.models.baselines.files import ENCODER
from starglot.models.encoders.files import ENCODERS
from starglot.store import step_reached
from starglot.tables import read_json
from starglot.training.encoders import OBJECTIVES
from starglot.training.processes import Processes, join_processes

pytestmark = pytest.mark.slow

TESTS = [str(folder) for folder in Path(__file__).parents[:3]]
TOGETHER = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
import test_encoder_processes
test_encoder_processes.together(Path({folder!r}))
"""


def settings_of(kind):
    """Of a batch of 32, the last one of an epoch has an odd number of spectra."""
    return {"masked_encoder": masked, "autoencoder": auto}[kind](training=plan(epochs=3))


def together(folder: Path):
    """In each of several processes: either kind as a whole, and once more after a stop within its last epoch."""
    from starglot.training import epochs

    epochs._STRETCH = 2 * 32  # checkpoints after two steps
    view = make_view(folder / "view" / str(join_processes(0, "").number))
    for kind in OBJECTIVES:
        steps = pretrain(settings_of(kind), view, folder / kind / "whole", folder / kind / "whole state")["counts"][
            "steps"
        ]
        backward, done = Processes.backward, []

        def dying(self, sums, loss, backward=backward, done=done, steps=steps):
            done.append(1)
            if len(done) == steps:
                raise KeyboardInterrupt
            return backward(self, sums, loss)

        Processes.backward = dying
        try:
            pretrain(settings_of(kind), view, folder / kind / "broken", folder / kind / "state")
        except KeyboardInterrupt:
            Processes.backward = backward
            reached = [step_reached(place) for place in (folder / kind / "state").glob("*") if place.is_dir()]
            assert steps - 3 <= max(step or 0 for step in reached) < steps, reached
            pretrain(settings_of(kind), view, folder / kind / "resumed", folder / kind / "state")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """What two processes on the CPU have trained."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "run.py").write_text(TOGETHER.format(tests=TESTS, folder=str(folder)))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, str(folder / "run.py")], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_two_processes_learn_what_one_does(kind, trained, tmp_path):
    alone = pretrain(settings_of(kind), make_view(tmp_path / "view"), tmp_path / "base", tmp_path / "state")
    curves = [
        np.loadtxt(folder / "loss.csv", delimiter=",", skiprows=1)
        for folder in (tmp_path / "base", trained / kind / "whole")
    ]
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    assert curves[0][-1, 2] < 0.9 * curves[0][0, 2]  # it has learnt
    one, two = (load_file(folder / ENCODER) for folder in (tmp_path / "base", trained / kind / "whole"))
    for name, weights in one.items():
        # Steps of AdamW are as long for the smallest gradient, whose sign rounding may turn.
        assert float((two[name] - weights).abs().max()) < 2e-4, name
    manifest = read_json(trained / kind / "whole" / "manifest.json")
    assert manifest["counts"] == alone["counts"]


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_stopped_together_they_go_on_to_the_same_bytes(kind, trained):
    assert not (trained / kind / "broken").exists()
    for name in (ENCODER, "loss.csv"):
        assert file_digest(trained / kind / "whole" / name) == file_digest(trained / kind / "resumed" / name), name


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_a_process_without_a_spectrum_of_the_step_adds_nothing(kind):
    objective = OBJECTIVES[kind](np.ones((4, GRID), np.int16), np.arange(4), np.arange(1))
    network = ENCODERS[kind](settings_of(kind).model_dump(), GRID)
    batch = objective.batch(np.arange(4), np.random.default_rng(0))
    sums = objective.sums(network, tuple(each[:0] for each in batch))
    assert [each.item() for each in sums] == [0, 0]
    sums[0].backward()
    assert all(float(weights.grad.abs().max()) == 0.0 for weights in network.parameters())


def test_too_few_processes_for_the_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with refused(2, 4, where="bases: gpus"):
        join_processes(4, "bases: gpus")
