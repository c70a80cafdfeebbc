"""The loop with an objective from outside the package: a masked autoencoder of flux, which reads no label."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from baseline_spectra import BIN, GRID
from safetensors.torch import load_file, save_file
from torch import nn

from starglot.config.kinds.baselines import Epochs
from starglot.errors import StarglotError
from starglot.spectra.sample_flux import Bins, CleanedSpectra
from starglot.store import checkpoints
from starglot.training import epochs
from starglot.training.epochs import train, write_curve

pytestmark = pytest.mark.slow

HIDDEN = 3  # as many as the numbers of which the survey's spectra are made
STEPS = 11  # of an epoch
PLAN = Epochs(epochs=30, batch=32, learning_rate=1e-2, schedule="cosine", warmup=0.05, stop_after=None)


class Reconstruction:
    """What is hidden of a spectrum, from the rest of it."""

    def __init__(self, flux: np.ndarray, mean: np.ndarray, scatter: float, split: np.ndarray):
        self.bins = Bins(flux, np.arange(len(flux)), BIN)
        self.mean, self.scatter = mean, scatter
        self.train, self.val = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")

    def __len__(self):
        return len(self.train)

    def scaled(self, chosen):
        return ((self.bins[chosen] - self.mean) / self.scatter).astype(np.float32)

    def batch(self, chosen, rng):
        whole = self.scaled(self.train[chosen])
        shown = np.where(rng.random(whole.shape) < 0.1, np.float32(0), whole)
        return torch.from_numpy(shown), torch.from_numpy(whole)

    def held_out(self):
        for first in range(0, len(self.val), 50):
            whole = torch.from_numpy(self.scaled(self.val[first : first + 50]))
            yield whole, whole

    def sums(self, network, batch):
        shown, whole = batch
        return (network(shown) - whole).square().sum(), torch.tensor(whole.numel())

    def loss(self, sums):
        return sums[0] / sums[1]


class Dying(Reconstruction):
    """The process is killed in the validation of the fourth epoch."""

    passes = 0

    def held_out(self):
        self.passes += 1
        if self.passes == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().held_out()


class DyingWithin(Reconstruction):
    """The process is killed in the ninth step of the third epoch, or of the first."""

    steps = 0
    fatal = 2 * STEPS + 9

    def sums(self, network, batch):
        if network.training:
            self.steps += 1
            if self.steps == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().sums(network, batch)


class DyingAtOnce(DyingWithin):
    """In the first epoch, when there are no best weights yet."""

    fatal = 9


def fit(survey, state: Path, out: Path, kind=Reconstruction, plan=PLAN):
    """As a training of the package would be: from the shards to weights and a curve."""
    shards = {path.stem: "digest" for path in survey.folder.glob("*.parquet")}
    spectra = CleanedSpectra(
        survey.labels["obsid"].to_numpy(),
        survey.labels["shard"].to_numpy(zero_copy_only=False),
        survey.shard_path,
        shards,
    )
    flux = spectra.mapped(survey.obsid, state / "flux").flux
    training = survey.flux[survey.split == "train"].reshape(-1, GRID // BIN, BIN).mean(axis=2) / 1000
    objective = kind(flux, training.mean(axis=0), training.std(), survey.split)
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(GRID // BIN, HIDDEN), nn.Dropout(0.01), nn.Linear(HIDDEN, GRID // BIN))
    made = train(network, objective, plan, 5, torch.device("cpu"), state / "checkpoints", "autoencoder")
    out.mkdir()
    save_file(made.weights, out / "weights.safetensors")
    write_curve(made.curve, out / "loss.csv")
    return network, objective, made


def test_it_finds_the_few_numbers_that_the_spectra_are_made_of(survey, tmp_path):
    network, objective, made = fit(survey, tmp_path / "state", tmp_path / "out")
    train_flux, val_flux = objective.scaled(objective.train), objective.scaled(objective.val)
    directions = np.linalg.svd(train_flux, full_matrices=False)[2][:HIDDEN]  # the best that a linear one can do
    best = np.square(val_flux - val_flux @ directions.T @ directions).mean()
    assert made.at_best["val_loss"] == min(point["val_loss"] for point in made.curve)
    assert best * 0.9 < made.at_best["val_loss"] < best * 1.6 < 0.2 * np.square(val_flux).mean()
    assert made.counts["epochs"] == 30 and made.counts["steps"] == 30 * STEPS
    with torch.no_grad():
        again = network.eval()(torch.from_numpy(val_flux)).numpy()
    assert np.square(again - val_flux).mean() == pytest.approx(made.at_best["val_loss"], rel=1e-5)


SCRIPT = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
import test_training_epochs as case
from baseline_spectra import linear_survey
folder = Path({folder!r})
(folder / "spectra").mkdir()
case.epochs._STRETCH = {stretch}
case.fit(linear_survey(folder / "spectra"), folder / "state", folder / "never", case.{kind})
"""


#: Spectra between checkpoints: three stretches of up to four steps are an epoch, or one is.
SHORT, LONG = 4 * PLAN.batch, 2**17


@pytest.mark.parametrize(
    "kind, stretch, left",
    [
        (Dying, LONG, [2 * STEPS, 3 * STEPS]),
        (DyingWithin, SHORT, [2 * STEPS + 4, 2 * STEPS + 8]),
        (DyingAtOnce, SHORT, [4, 8]),
    ],
)
def test_killed_and_started_again_it_gives_the_same_bytes(survey, tmp_path, monkeypatch, kind, stretch, left):
    tests = [str(folder) for folder in Path(__file__).parents[:3]]
    script = SCRIPT.format(tests=tests, folder=str(tmp_path), kind=kind.__name__, stretch=stretch)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    found = checkpoints(tmp_path / "state/checkpoints")
    assert [folder.name for folder in found] == [f"checkpoint-{step}" for step in left]
    newest = found[-1] / "network.safetensors"
    if kind is Dying:
        newest.write_bytes(newest.read_bytes()[:100])  # and the newest checkpoint is cut off
    monkeypatch.setattr(epochs, "_STRETCH", stretch)
    steps = []
    kept = Reconstruction.sums
    monkeypatch.setattr(Reconstruction, "sums", lambda *args: steps.append(args[1].training) or kept(*args))
    fit(survey, tmp_path / "state", tmp_path / "resumed")
    assert sum(steps) == PLAN.epochs * STEPS - (left[0] if kind is Dying else left[1]), "none was taken again"
    fit(survey, tmp_path / "another state", tmp_path / "whole")
    for name in ("weights.safetensors", "loss.csv"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_training_that_is_whole_is_not_trained_again(survey, tmp_path):
    few = PLAN.model_copy(update={"epochs": 2})
    first = fit(survey, tmp_path / "state", tmp_path / "first", plan=few)[2]
    again = fit(survey, tmp_path / "state", tmp_path / "again", plan=few)[2]
    assert again.counts == first.counts
    saved = [load_file(tmp_path / name / "weights.safetensors") for name in ("first", "again")]
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])


def test_it_stops_when_what_is_held_out_gains_no_more(survey, tmp_path):
    plan = Epochs(epochs=40, batch=32, learning_rate=1e-12, stop_after=3)  # nothing is learnt
    counts = fit(survey, tmp_path / "state", tmp_path / "out", plan=plan)[2].counts
    assert counts["epochs"] <= counts["best_epoch"] + 3 < 40


def test_a_loss_that_is_no_number_is_said(survey, tmp_path):
    class Broken(Reconstruction):
        def loss(self, sums):
            return sums[0] / 0

    with pytest.raises(StarglotError) as caught:
        fit(survey, tmp_path / "state", tmp_path / "out", kind=Broken)
    assert caught.value.where == "models: training"
