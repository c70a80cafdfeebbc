"""Training of an aligned pair: what belongs together is found, a kill changes no byte, test stars are not read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from aligned_stars import VIEWS, Stars, fit, make_stars
from safetensors.torch import load_file

from refusals import refused
from starglot.hashing import file_digest
from starglot.models.encoders.aligned import ALIGNED, in_batches, load_aligned
from starglot.tables import write_parquet
from starglot.training import alignment


@pytest.fixture(scope="module")
def stars(tmp_path_factory) -> Stars:
    return make_stars(tmp_path_factory.mktemp("stars"))


def partner_first(stars: Stars, folder: Path) -> float:
    """Of test stars, how many are nearest to themselves in the other view."""
    network, cpu = load_aligned(folder), torch.device("cpu")
    test = stars.split == "test"
    one, other = (
        in_batches(lambda at, place=place: network.embed(place, at), stars.flux[place][test], cpu) for place in (0, 1)
    )
    cosine = (one @ other.T) / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(other, axis=1)
    return float(np.mean(cosine.argmax(axis=1) == np.arange(test.sum())))


def test_the_partner_is_found_among_stars_never_seen(stars, tmp_path):
    manifest = fit(stars, tmp_path)
    assert partner_first(stars, tmp_path / "out") > 0.5  # by chance 1 in 50
    counts, metrics = manifest["counts"], manifest["metrics"]
    assert (counts["train"], counts["val"]) == (200, 50) and counts["examples"] == counts["epochs"] * 200
    assert metrics["val_loss"] == pytest.approx(metrics["val_contrast"], rel=1e-5)
    assert metrics["val_loss"] < np.log(50) / 2  # of 50 alike, the logarithm
    assert metrics["val_own"] == metrics["val_cross"] == 0
    assert manifest["views"] == list(VIEWS) and set(manifest["files"]) == {ALIGNED, "loss.csv"}


def test_encoders_stay_as_they_were(stars, tmp_path):
    fit(stars, tmp_path, training={"epochs": 2})
    saved = load_file(tmp_path / "out" / ALIGNED)
    for place, base in enumerate(stars.encoders):
        for name, weight in load_file(base / "encoder.safetensors").items():
            assert torch.equal(saved[f"encoders.{place}.{name}"], weight), name


def test_the_split_variant_gives_the_other_view_and_its_own(stars, tmp_path):
    manifest = fit(stars, tmp_path, own=6, training={"epochs": 45})
    metrics, network, cpu = manifest["metrics"], load_aligned(tmp_path / "out"), torch.device("cpu")
    parts = sum(metrics[f"val_{name}"] for name in alignment.PARTS)
    assert metrics["val_loss"] == pytest.approx(parts, rel=1e-5)
    test, train = stars.split == "test", stars.split == "train"
    for place in (0, 1):
        shared = in_batches(lambda at, place=place: network.embed(place, at), stars.flux[place][test], cpu)
        told = network.translate(place, torch.from_numpy(shared)).numpy()
        truth, mean = (stars.flux[1 - place][at] / 1000 for at in (test, train))
        assert np.abs(told - truth).mean() < 0.8 * np.abs(mean.mean(axis=0) - truth).mean()
    assert partner_first(stars, tmp_path / "out") > 0.3


def test_what_encoders_give_may_be_made_anew_for_each_step(stars, tmp_path, monkeypatch):
    """Where there is too much to hold; sums in other blocks differ in their last digits."""
    held = fit(stars, tmp_path / "held", training={"epochs": 3})
    monkeypatch.setattr(alignment, "_HELD", 0)
    anew = fit(stars, tmp_path / "anew", training={"epochs": 3})
    assert anew["metrics"]["val_loss"] == pytest.approx(held["metrics"]["val_loss"], rel=1e-3)


SCRIPT = """
import os, signal, sys
sys.path[:0] = {tests!r}
from pathlib import Path
import test_alignment as case
from starglot.training.alignment import Alignment

class Dying(Alignment):
    passes = 0

    def held_out(self):
        self.passes += 1
        if self.passes == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().held_out()

case.alignment.Alignment = Dying
folder = Path({folder!r})
case.fit(case.make_stars(folder / "stars"), folder, own=6, training=dict(epochs=6))
"""


def test_killed_and_started_again_it_gives_the_same_bytes(tmp_path):
    (tmp_path / "stars").mkdir()
    tests = [str(folder) for folder in Path(__file__).parents[:3]]
    script = SCRIPT.format(tests=tests, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    steps = sorted(int(path.name[11:]) for path in (tmp_path / "state").glob("*/checkpoints/checkpoint-*"))
    assert steps == [8, 12], "of four steps an epoch"
    (tmp_path / "again").mkdir()
    stars = Stars(
        tmp_path / "stars/pairs.parquet",
        [tmp_path / f"stars/view{place}/index.tsv" for place in (0, 1)],
        [tmp_path / f"stars/encoder{place}" for place in (0, 1)],
        [],
        np.array([]),
    )
    fit(stars, tmp_path, own=6, training={"epochs": 6})
    os.rename(tmp_path / "state", tmp_path / "first state")
    fit(stars, tmp_path, "whole", own=6, training={"epochs": 6})
    for name in (ALIGNED, "loss.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_test_stars_are_not_read(stars, tmp_path, monkeypatch):
    given: list[np.ndarray] = []
    real = alignment.pair_spectra

    def noted(pairs, indexes):
        given.append(pairs["obsid"].to_numpy())
        return real(pairs, indexes)

    monkeypatch.setattr(alignment, "pair_spectra", noted)
    fit(stars, tmp_path, training={"epochs": 1})
    assert sorted(given[0]) == np.flatnonzero(stars.split != "test").tolist()


def test_a_pair_goes_on_by_updates_of_one_head(stars, tmp_path):
    fit(stars, tmp_path, "before", own=6, training={"epochs": 2})
    lora = {"strategy": "lora", "rank": 2, "layers": ["shared.0.attention.out_proj", "shared.0.residual.*"]}
    given = {"own": 6, "transfer": lora, "start": tmp_path / "before", "training": {"epochs": 3}}
    manifest = fit(stars, tmp_path, "after", **given)
    before, after = (load_file(tmp_path / name / ALIGNED) for name in ("before", "after"))
    moved = {name.removeprefix("heads.shared.0.") for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"attention.out_proj.weight", "residual.dense.0.weight", "residual.dense.2.weight"}
    assert manifest["counts"]["trainable_parameters"] == 2 * ((12 + 12) + 2 * (12 + 48))
    assert manifest["continues"] == {ALIGNED: file_digest(tmp_path / "before" / ALIGNED)}


def test_an_encoder_of_another_grid_is_refused(stars, tmp_path):
    swapped = Stars(stars.pairs, stars.indexes, stars.encoders[::-1], stars.flux, stars.split)
    with refused("lamost/blue", 120, 37, where="bases"):
        fit(swapped, tmp_path)


def test_too_few_pairs_are_refused(stars, tmp_path):
    import pyarrow.parquet as pq

    some = pq.read_table(stars.pairs)
    few = some.filter(pa.compute.or_(pa.compute.equal(some["split"], "train"), pa.compute.equal(some["obsid"], 200)))
    write_parquet(few, tmp_path / "few.parquet")
    with refused(1, "val", where=tmp_path / "few.parquet", allowed="two"):
        fit(Stars(tmp_path / "few.parquet", stars.indexes, stars.encoders, stars.flux, stars.split), tmp_path)
