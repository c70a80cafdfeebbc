"""Encoders are trained on what they may see, to the bit; and a network on their embeddings answers by itself."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from refusals import refused
from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import AutoencoderBase, EncoderTraining, MaskedEncoderBase
from starglot.config.kinds.baselines import Mlp, NetworkTraining, Ridge
from starglot.config.recipes import Recipe
from starglot.config.root import Split
from starglot.config.transfer import NetworkTransfer
from starglot.hashing import file_digest
from starglot.inference.answering import open_model
from starglot.models.baselines.files import ENCODER, load
from starglot.models.baselines.predict import predict
from starglot.models.baselines.reading import read_network
from starglot.models.baselines.ridge import read_ridge
from starglot.models.encoders.aligned import ALIGNED, Aligned, in_batches, load_aligned, save_aligned
from starglot.models.encoders.files import ENCODERS, Embedder, load_encoder
from starglot.samples.split import split_of
from starglot.surveys.index import index_table
from starglot.tables import SAMPLE, read_json, spectra_table, write_json, write_parquet, write_text
from starglot.training import epochs
from starglot.training.baselines import train_baseline
from starglot.training.encoders import SPECTRA, train_encoder
from starglot.training.networks import fit_network
from starglot.training.plain import fit_plain
from tasks import task_of

GRID, N, SEED = 620, 260, 11
SPLIT = Split()
TASK = task_of("abundances", ["feh", "alpha_fe"], source="apogee", groups=None)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class View:
    """Cleaned spectra of a view in two shards, two spectra a star; their split; and what the labels are."""

    folder: Path
    flux: np.ndarray
    star: np.ndarray
    split: np.ndarray
    sample: pa.Table
    labels: pa.Table

    @property
    def index(self) -> Path:
        return self.folder / "index.tsv"

    def shard_path(self, shard: str) -> Path:
        return self.folder / f"{shard}.parquet"


def make_view(folder: Path, brighter: float = 1.0) -> View:
    """Spectra with lines whose depths are two labels, and noise."""
    rng = np.random.default_rng(3)
    labels, at = rng.normal(0, 0.3, (N, 2)), np.arange(GRID)
    lines = np.exp(-0.5 * ((at - rng.uniform(0, GRID, (2, 40, 1))) / 3) ** 2).sum(axis=1)
    flux = brighter * (1 - 0.3 * (1 + labels) @ lines / 2) + rng.normal(0, 0.02, (N, GRID))
    stored = np.round(1000 * flux).astype(np.int16)
    star = np.array([f"gaia:{i // 2}" for i in range(N)])
    obsid, shard = rng.permutation(10_000)[:N].astype(np.int64), np.where(rng.random(N) < 0.4, "1-A", "2-B")
    for name in ("1-A", "2-B"):
        mine = np.flatnonzero(shard == name)
        table = spectra_table(obsid[mine], star[mine], stored[mine], np.zeros(len(mine), np.int32))
        write_parquet(table, folder / f"{name}.parquet")
        write_parquet(pa.table({"obsid": pa.array([], pa.int64())}), folder / f"{name}.rejected.parquet")
        files = (f"{name}.parquet", f"{name}.rejected.parquet")
        write_text("".join(f"{file_digest(folder / file)}  {file}\n" for file in files), folder / f"{name}.sha256")
    write_text(index_table(["1-A", "2-B"], folder), folder / "index.tsv")
    split, fold = split_of(list(star), SPLIT, SEED)
    sample = pa.table([obsid, star, pa.nulls(N, pa.string()), pa.array(split), pa.array(fold)], schema=SAMPLE)
    known = pa.table({"obsid": obsid, "shard": shard, "feh": labels[:, 0], "alpha_fe": labels[:, 1]})
    return View(folder, stored, star, split, sample, known)


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> View:
    return make_view(tmp_path_factory.mktemp("lamost"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> View:
    """The same stars through an instrument that sees everything a twentieth brighter."""
    return make_view(tmp_path_factory.mktemp("desi"), 1.05)


def plan(**given) -> EncoderTraining:
    return EncoderTraining(**{"epochs": 4, "batch": 32, "learning_rate": 2e-3, **given})


def masked(**given) -> MaskedEncoderBase:
    small = {"view": "lamost/blue", "width": 16, "blocks": 1, "heads": 2, "gpus": 0, "training": plan()}
    return MaskedEncoderBase(kind="masked_encoder", **{**small, **given})


def auto(**given) -> AutoencoderBase:
    small = {"view": "lamost/blue", "width": 12, "hidden": 20, "gpus": 0, "training": plan()}
    return AutoencoderBase(kind="autoencoder", **{**small, **given})


def pretrain(settings, view: View, out: Path, state: Path, split: Split = SPLIT):
    return train_encoder(settings, Recipe(), view.index, split, SEED, out, state, "code")


@pytest.fixture(scope="module")
def base(view, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    pretrain(masked(), view, folder / "base", folder / "state")
    return folder / "base"


# ---------------------------------------------------------------- the base


@pytest.mark.parametrize("settings", [masked, auto])
def test_an_encoder_learns_from_training_stars_and_reads_no_test_star(settings, view, tmp_path):
    manifest = pretrain(settings(training=plan(epochs=25)), view, tmp_path / "base", tmp_path / "state")
    seen = pq.read_table(tmp_path / "base" / SPECTRA).to_pandas()
    assert set(seen["split"]) == {"train", "val"}
    assert set(seen["star_id"]) == set(view.star[view.split != "test"])
    counts = manifest["counts"]
    assert (counts["train"], counts["val"]) == ((view.split == "train").sum(), (view.split == "val").sum())
    curve = np.genfromtxt(tmp_path / "base" / "loss.csv", delimiter=",", names=True)
    assert curve["val_loss"].min() < 0.75 * curve["val_loss"][0]
    assert manifest["files"][ENCODER] == file_digest(tmp_path / "base" / ENCODER)
    assert counts["parameters"] == sum(it.numel() for it in load_file(tmp_path / "base" / ENCODER).values())


def with_other_test_stars(view: View, folder: Path) -> View:
    """The same spectra in ``folder``, but those of test stars, which are flat."""
    shutil.copytree(view.folder, folder)
    for shard in ("1-A", "2-B"):
        table = pq.read_table(folder / f"{shard}.parquet")
        of, _ = split_of(table["star_id"].to_pylist(), SPLIT, SEED)
        flux = np.stack(table["flux"].to_numpy(zero_copy_only=False))
        flux[of == "test"] = 777
        write_parquet(
            spectra_table(table["obsid"], table["star_id"], flux, table["n_masked"]), folder / f"{shard}.parquet"
        )
    return View(**{**vars(view), "folder": folder})


def test_what_a_test_star_looks_like_changes_nothing(view, base, tmp_path):
    other = with_other_test_stars(view, tmp_path / "other")
    pretrain(masked(), other, tmp_path / "base", tmp_path / "state")
    assert (tmp_path / "base" / ENCODER).read_bytes() == (base / ENCODER).read_bytes()


@pytest.mark.parametrize("settings", [masked, auto])
def test_killed_in_an_epoch_and_started_again_it_gives_the_same_bytes(settings, view, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    pretrain(settings(), view, whole / "base", whole / "state")
    validate, passes = epochs._Trainer._validate, []

    def dying(self):
        passes.append(1)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return validate(self)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(epochs._Trainer, "_validate", dying)
        pretrain(settings(), view, broken / "base", broken / "state")
    pretrain(settings(), view, broken / "base", broken / "state")
    for name in (ENCODER, SPECTRA, "loss.csv"):
        assert (whole / "base" / name).read_bytes() == (broken / "base" / name).read_bytes(), name


def test_an_encoder_that_was_trained_before_is_not_trained_again(view, base, tmp_path, monkeypatch):
    pretrain(masked(), view, tmp_path / "first", tmp_path / "state")
    monkeypatch.setattr("starglot.training.encoders.train", None)
    pretrain(masked(), view, tmp_path / "again", tmp_path / "state")
    pretrain(masked(), with_other_test_stars(view, tmp_path / "other"), tmp_path / "once more", tmp_path / "state")
    for name in ("again", "once more"):
        assert (tmp_path / name / ENCODER).read_bytes() == (base / ENCODER).read_bytes()


def test_gradients_are_no_longer_than_the_plan_says(view, tmp_path, monkeypatch):
    lengths = []
    step = torch.optim.AdamW.step

    def measured(self, closure=None):
        grads = [weight.grad for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        lengths.append(float(torch.sqrt(sum(grad.square().sum() for grad in grads))))
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", measured)
    for name, clip in (("as-it-comes", None), ("short", 1e-3)):
        pretrain(masked(training=plan(epochs=1, clip=clip)), view, tmp_path / name, tmp_path / f"{name}-state")
    half = len(lengths) // 2
    assert min(lengths[:half]) > 1e-2 and max(lengths[half:]) < 1.001e-3


def test_without_validation_stars_it_says_what_is_missing(view, tmp_path):
    nobody = Split(train=0.2, val=1e-9, test=0.8 - 1e-9)
    with refused(where=view.index):
        pretrain(masked(), view, tmp_path / "base", tmp_path / "state", nobody)


def adapted(strategy: str, elsewhere: View, base: Path, folder: Path):
    """The encoder after some epochs on another instrument's spectra."""
    transfer = {"strategy": strategy, "layers": ["blocks.*.attention.*"]}
    settings = masked(view="desi/blue", transfer=transfer, training=plan(weight_decay=0.0))
    out, state = folder / strategy, folder / "state"
    return train_encoder(settings, Recipe(), elsewhere.index, SPLIT, SEED, out, state, "code", start=base)


def test_an_encoder_gets_used_to_another_instrument_by_updates_of_its_attention(elsewhere, base, tmp_path):
    manifest = adapted("lora", elsewhere, base, tmp_path)
    before, after = (load_file(folder / ENCODER) for folder in (base, tmp_path / "lora"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {f"blocks.0.attention.{layer}.weight" for layer in ("query", "key_value", "out")}
    assert manifest["counts"]["trainable_parameters"] == 4 * (16 + 16) + 4 * (16 + 32) + 4 * (16 + 16)
    assert manifest["continues"] == {ENCODER: file_digest(base / ENCODER)}
    assert manifest["counts"]["parameters"] == sum(it.numel() for it in before.values())


def test_in_full_it_goes_on_from_the_weights_that_it_had(elsewhere, base, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)
    adapted("full", elsewhere, base, tmp_path)
    before, after = (load_file(folder / ENCODER) for folder in (base, tmp_path / "full"))
    assert all(torch.equal(before[name], after[name]) for name in before)


# ---------------------------------------------------------------- networks on embeddings


STRATEGIES = {
    "full": {},
    "lora": {"rank": 2, "alpha": 4, "layers": ["of_label.*"]},
    "residual": {"hidden": [6]},
    "zero_shot": {},
}


def mlp(strategy=None, **given) -> Mlp:
    own = {
        "training": NetworkTraining(epochs=30, batch=32, learning_rate=3e-3, stop_after=None),
        "inputs": "standard",
        "labels": "standard",
        "hidden": [12, 8],
        "dropout": 0.0,
        "gpus": 0,
        "base": "encoder",
    }
    transfer = None if strategy is None else NetworkTransfer(strategy=strategy, **STRATEGIES[strategy])
    return Mlp(kind="mlp", transfer=transfer, **{**own, **given})


def fit(settings, view: View, base: Path, out: Path, state: Path, start: Path | None = None, side: str | None = None):
    return train_baseline(
        fit_plain if settings.kind == "ridge" else fit_network,
        settings,
        TASK,
        view.sample,
        view.labels,
        view.shard_path,
        out,
        state,
        {},
        "code",
        start,
        base=base,
        view=side,
    )


def told(view: View, folder: Path, read=read_network, settings=None) -> np.ndarray:
    """(test spectra, labels) of what a model answers, by obsid."""
    stars = view.sample.filter(pa.compute.equal(view.sample["split"], "test"))
    table = predict(
        lambda rows: read(settings or mlp(), TASK, folder, rows, view.shard_path), TASK, stars, view.labels, []
    ).to_pandas()
    return table.pivot(index="obsid", columns="label", values="value")[TASK.labels].to_numpy()


@pytest.fixture(scope="module")
def reader(view, base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    fit(mlp(), view, base, folder / "model", folder / "state")
    return folder / "model"


def likeness(view: View, values: np.ndarray) -> float:
    """Correlation of what is told of the first label with the truth."""
    stars = view.sample.filter(pa.compute.equal(view.sample["split"], "test")).sort_by("obsid")
    truth = view.labels.to_pandas().set_index("obsid").loc[stars["obsid"].to_pylist(), TASK.labels].to_numpy()
    return float(np.corrcoef(values[:, 0], truth[:, 0])[0, 1])


def test_a_network_on_embeddings_learns_labels(view, base, reader):
    assert likeness(view, told(view, reader)) > 0.7
    tensors, _ = load(reader, "mlp", TASK)
    assert tensors["input_shift"].shape == (16,)
    embedded = Embedder(base, CPU)(view.flux[view.split == "train"])
    assert tensors["input_shift"] == pytest.approx(embedded.mean(axis=0), abs=1e-4)
    assert read_json(reader / "manifest.json")["embedding"] == {ENCODER: file_digest(base / ENCODER)}


def alone(view: View, folder: Path, settings, elsewhere: Path) -> np.ndarray:
    """The same from a copy of the folder, by what opens a model that was given away."""
    about = {"model": settings.model_dump(), "question": TASK.model_dump(), "recipe": Recipe().model_dump()}
    test = np.flatnonzero(view.split == "test")
    order = np.argsort(view.sample["obsid"].to_numpy()[test])
    answers = open_model(shutil.copytree(folder, elsewhere), about)(view.flux[test[order]], [None] * len(test))
    return answers.to_pandas().pivot(index="obsid", columns="label", values="value")[TASK.labels].to_numpy()


def test_its_folder_answers_alone(view, reader, tmp_path):
    assert alone(view, reader, mlp(), tmp_path / "alone") == pytest.approx(told(view, reader), abs=1e-5)


def test_spectra_on_another_grid_are_refused(reader):
    with refused(where="models: base"):
        Embedder(reader, CPU)(np.zeros((2, GRID - 1), np.int16))


def test_a_damaged_encoder_is_said(reader, tmp_path):
    folder = shutil.copytree(reader, tmp_path / "model")
    (folder / ENCODER).write_bytes((folder / ENCODER).read_bytes()[:50])
    with refused(where=folder / ENCODER):
        Embedder(folder, CPU)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_it_is_carried_to_another_instrument_by_each_strategy(strategy, elsewhere, base, reader, tmp_path):
    manifest = fit(mlp(strategy), elsewhere, base, tmp_path / "model", tmp_path / "state", reader)
    before, after = told(elsewhere, reader), told(elsewhere, tmp_path / "model")
    assert (np.abs(after - before).max() < 1e-6) == (strategy == "zero_shot")
    assert (manifest["counts"]["trainable_parameters"] == 0) == (strategy == "zero_shot")
    assert (tmp_path / "model" / ENCODER).read_bytes() == (base / ENCODER).read_bytes()


def test_another_encoder_is_another_model(view, base, reader, tmp_path):
    pretrain(masked(seed=5), view, tmp_path / "base", tmp_path / "state")
    fit(mlp(), view, tmp_path / "base", tmp_path / "model", tmp_path / "state")
    assert (tmp_path / "model" / ENCODER).read_bytes() != (reader / ENCODER).read_bytes()
    assert np.abs(told(view, tmp_path / "model") - told(view, reader)).max() > 1e-3


# ---------------------------------------------------------------- ridge, and aligned pairs


def test_ridge_reads_embeddings_and_its_folder_answers_alone(view, base, tmp_path):
    settings = Ridge(kind="ridge", base="encoder", alphas=[1e-3, 1e-1])
    fit(settings, view, base, tmp_path / "model", tmp_path / "state")
    weights, _ = load(tmp_path / "model", "ridge", TASK)
    assert weights["coefficient"].shape == (16, 2)
    values = told(view, tmp_path / "model", read_ridge, settings)
    assert likeness(view, values) > 0.7
    assert alone(view, tmp_path / "model", settings, tmp_path / "alone") == pytest.approx(values, abs=1e-5)


SIDES = ["lamost/blue", "gaia_xp/xp"]


@pytest.fixture(scope="module")
def pair(base, tmp_path_factory) -> Path:
    """An aligned pair of the encoder with one of shorter spectra, with an own part; nothing is learnt."""
    torch.manual_seed(4)
    said = {"pairs": "p", "encoders": SIDES, "shared": 10, "own": 6, "heads": 2, "hidden": 14, "gpus": 0}
    encoders = [masked().model_dump(), auto().model_dump()]
    networks = [load_encoder(base), ENCODERS["autoencoder"](encoders[1], 37)]
    folder = tmp_path_factory.mktemp("pair")
    network = Aligned(AlignedBase(kind="aligned", **said), [each["kind"] for each in encoders], networks)
    save_aligned(network.eval(), encoders, folder)
    write_json({"kind": "aligned", "views": SIDES}, folder / "manifest.json")
    return folder


def test_a_network_reads_both_parts_of_one_side_of_an_aligned_pair(view, elsewhere, pair, tmp_path):
    manifest = fit(mlp(), view, pair, tmp_path / "model", tmp_path / "state", side=SIDES[0])
    assert manifest["embedding"] == {ALIGNED: file_digest(pair / ALIGNED), "view": SIDES[0]}
    tensors, _ = load(tmp_path / "model", "mlp", TASK)
    network = load_aligned(pair)
    parts = [network.heads.shared[0], network.heads.own[0]]
    train = view.flux[view.split == "train"]
    by_part = [in_batches(lambda at, part=part: part(network.features(0, at)), train, CPU) for part in parts]
    assert tensors["input_shift"] == pytest.approx(np.hstack(by_part).mean(axis=0), abs=1e-4)

    values = told(view, tmp_path / "model")
    assert alone(view, tmp_path / "model", mlp(), tmp_path / "alone") == pytest.approx(values, abs=1e-5)
    before = told(elsewhere, tmp_path / "model")
    for strategy in STRATEGIES:
        out = tmp_path / strategy
        fit(
            mlp(strategy, training=NetworkTraining(epochs=2)),
            elsewhere,
            pair,
            out,
            tmp_path / "state",
            tmp_path / "model",
            side=SIDES[0],
        )
        assert (np.abs(told(elsewhere, out) - before).max() < 1e-6) == (strategy == "zero_shot")


def test_a_side_that_reads_other_spectra_is_refused(view, pair, tmp_path):
    with refused(GRID, 37, where="models: base"):
        fit(mlp(), view, pair, tmp_path / "model", tmp_path / "state", side=SIDES[1])
