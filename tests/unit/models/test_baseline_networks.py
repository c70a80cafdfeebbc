"""Networks: their layers counted by hand, their loss by numpy, and training that is killed, stops and repeats."""

import math
import subprocess

import numpy as np
import pyarrow as pa
import pytest
import torch
from baseline_spectra import NAMED, TASK, Survey, linear_survey
from safetensors import SafetensorError
from torch import nn

from refusals import refused
from starglot.config.kinds.baselines import Cnn, Gru, Mlp, NetworkTraining, ResNet50
from starglot.config.strict import Augment
from starglot.models.baselines.class_mean import fit_class_mean
from starglot.models.baselines.features import prepared
from starglot.models.baselines.files import WEIGHTS, load
from starglot.models.baselines.networks import Bottleneck, build_network
from starglot.models.baselines.predict import predict
from starglot.models.baselines.reading import Scales, label_scales, open_network, read_network
from starglot.models.baselines.rows import rows_of
from starglot.spectra.rebin import binned
from starglot.training import epochs
from starglot.training.baselines import train_baseline
from starglot.training.networks import fit_network
from starglot.training.supervised import summed, weighted
from tasks import task_of


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Survey:
    return linear_survey(tmp_path_factory.mktemp("spectra"))


def cnn(epochs=3, **more):
    training = NetworkTraining(**{"epochs": epochs, "batch": 64, "augment": Augment(noise=0.01), **more})
    return Cnn(
        kind="cnn",
        bin=2,
        preparation="continuum",
        inputs="standard",
        labels="standard",
        channels=[4],
        kernel=3,
        pool=2,
        dense=[16],
        dropout=0.1,
        training=training,
        gpus=0,
    )


def trained(settings, survey, out, state, task=TASK, sample=None, start=None):
    sample = survey.sample if sample is None else sample
    return train_baseline(
        fit_network,
        settings,
        task,
        sample,
        survey.labels,
        survey.shard_path,
        out,
        state,
        {},
        "code",
        start,
    )


def told(settings, survey, folder, rows, task=TASK):
    def read(these):
        return read_network(settings, task, folder, these, survey.shard_path)

    return predict(read, task, rows, survey.labels, [])


def count(network):
    return sum(p.numel() for p in network.parameters())


# ---------------------------------------------------------------- layers


def test_resnet50_has_fifty_weighted_layers_and_their_parameters():
    network = build_network(ResNet50(kind="resnet50"), 4901, 0, 3, 5)
    blocks = [m for m in network.modules() if isinstance(m, Bottleneck)]
    assert len(blocks) == 3 + 4 + 6 + 3
    in_paths = sum(isinstance(m, nn.Conv1d) for block in blocks for m in block.path.modules())
    shortcuts = sum(isinstance(m, nn.Conv1d) for block in blocks for m in block.shortcut.modules())
    convolutions = sum(isinstance(m, nn.Conv1d) for m in network.modules())
    assert convolutions - shortcuts + 1 == 50 and in_paths == 48 and shortcuts == 4  # and one layer of heads
    expected = 7 * 64 + 2 * 64
    channels_in = 64
    for channels, number in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(number):
            wide = 4 * channels
            expected += channels_in * channels + 3 * channels**2 + channels * wide + 2 * (channels + channels + wide)
            if block == 0:
                expected += channels_in * wide + 2 * wide
            channels_in = wide
    expected += (2048 + 1) * 5 + 3 * (2048 + 1)
    assert count(network) == expected


def test_resnet50_halves_its_length_five_times():
    network = build_network(ResNet50(kind="resnet50", width=0.125), 320, 0, 1, 5)
    assert network.trunk[:-1](torch.zeros(1, 1, 320)).shape == (1, 256, 10)


def test_gru_has_three_layers():
    network = build_network(Gru(kind="gru", step=50, hidden=16), 4901, 0, 2, 5)
    gru = network.trunk.gru
    assert gru.num_layers == 3
    first, further = 3 * (16 * 50 + 16 * 16 + 2 * 16), 3 * (16 * 16 + 16 * 16 + 2 * 16)
    assert count(gru) == first + 2 * further
    both = build_network(Gru(kind="gru", step=50, hidden=16, bidirectional=True), 4901, 10, 2, 5)
    assert both.class_head.in_features == 2 * 16 + 10


def test_mlp_is_the_one_of_the_transfer_paper():
    network = build_network(Mlp(kind="mlp"), 1462, 0, 2, 5)
    linear = [(m.in_features, m.out_features) for m in network.of_label[0] if isinstance(m, nn.Linear)]
    assert linear == [(1462, 1024), (1024, 512), (512, 64), (64, 1)]
    normalised = 2 * (1024 + 512 + 64)
    assert count(network.of_label[0]) - normalised == 2_055_809  # the paper says about 2.06 million
    assert [m.p for m in network.of_label[1] if isinstance(m, nn.Dropout)] == [0.1] * 3


def test_too_few_values_for_the_layers_is_said():
    with refused(20, where="cnn", todo="bin"):
        build_network(Cnn(kind="cnn", channels=[4, 4, 4], pool=4), 20, 0, 3, 5)


# ---------------------------------------------------------------- loss and scales


def test_the_loss_is_cross_entropy_and_fifty_times_the_squared_error_of_what_is_known():
    rng = np.random.default_rng(0)
    logits, values = rng.normal(size=(4, 5)), rng.normal(size=(4, 3))
    code = np.array([0, 4, -1, 2])
    target = rng.normal(size=(4, 3))
    target[0, 1] = target[3] = np.nan
    sums = summed(*(torch.from_numpy(array) for array in (logits, values, code, target)))
    entropy = [math.log(np.exp(logits[i]).sum()) - logits[i, code[i]] for i in (0, 1, 3)]
    squared = (values - target)[np.isfinite(target)] ** 2
    assert len(squared) == 8
    assert float(weighted(sums, 50.0)) == pytest.approx(np.mean(entropy) + 50 * squared.mean())


def test_a_missing_label_moves_no_weight():
    network = build_network(cnn(), 32, 0, 2, 5)
    logits, values = network(torch.randn(6, 32))
    target = torch.full((6, 2), torch.nan)
    target[:, 0] = 1.0
    weighted(summed(logits, values, torch.full((6,), -1), target), 50.0).backward()
    assert network.label_heads[0].weight.grad.abs().sum() > 0
    assert network.label_heads[1].weight.grad.abs().sum() == 0
    assert network.class_head.weight.grad.abs().sum() == 0
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_labels_are_scaled_and_scaled_back():
    truth = np.array([[4000.0, np.nan], [6000.0, np.nan], [5000.0, np.nan], [np.nan, np.nan]])
    for how, first in (("minmax", [0, 1, 0.5]), ("standard", [-1.2247, 1.2247, 0])):
        scales = Scales(np.zeros(1), np.ones(1), *label_scales(how, truth))
        scaled = scales.labels(truth)
        assert scaled[:3, 0] == pytest.approx(first, abs=1e-4) and np.isnan(scaled[:, 1]).all()
        assert scales.undone(scaled)[:3, 0] == pytest.approx(truth[:3, 0])


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("more", [{"schedule": "cosine", "warmup": 0.2}, {"schedule": "plateau"}])
@pytest.mark.slow
def test_a_killed_training_goes_on_bit_for_bit(survey, tmp_path, monkeypatch, more):
    settings = cnn(4, **more)
    trained(settings, survey, tmp_path / "whole", tmp_path / "a")
    validate = epochs._Trainer._validate

    class Killed(Exception):
        pass

    def dies(trainer):
        if len(list(trainer.folder.glob("checkpoint-*"))) == 2:
            raise Killed
        return validate(trainer)

    monkeypatch.setattr(epochs._Trainer, "_validate", dies)
    with pytest.raises(Killed):
        trained(settings, survey, tmp_path / "killed", tmp_path / "b")
    newest = max((tmp_path / "b").glob("*/checkpoints/checkpoint-12/network.safetensors"))
    newest.write_bytes(newest.read_bytes()[:100])  # and the newest checkpoint is cut off
    passes = []
    monkeypatch.setattr(epochs._Trainer, "_validate", lambda trainer: passes.append(1) or validate(trainer))
    trained(settings, survey, tmp_path / "killed", tmp_path / "b")
    assert len(passes) == 3  # epochs 2 to 4
    for name in (WEIGHTS, "loss.csv", "manifest.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.slow
def test_the_rate_falls_on_a_plateau_and_training_stops(survey, tmp_path, monkeypatch):
    losses = iter([5.0, 4.0, *[4.5] * 20])
    monkeypatch.setattr(epochs._Trainer, "_validate", lambda trainer: next(losses))
    manifest = trained(cnn(30), survey, tmp_path / "out", tmp_path / "state")  # plateau, 3 epochs, 0.1; stop after 7
    assert (manifest["counts"]["best_epoch"], manifest["counts"]["epochs"]) == (2, 9)
    assert manifest["metrics"]["val_loss"] == 4.0
    curve = np.genfromtxt(tmp_path / "out/loss.csv", delimiter=",", names=True)
    assert curve["learning_rate"] == pytest.approx([1e-3] * 5 + [1e-4] * 3 + [1e-5])
    assert curve["step"].tolist() == [6 * epoch for epoch in range(1, 10)]


@pytest.mark.slow
def test_the_cosine_ends_at_nothing(survey, tmp_path):
    trained(cnn(5, schedule="cosine", stop_after=None), survey, tmp_path / "out", tmp_path / "state")
    curve = np.genfromtxt(tmp_path / "out/loss.csv", delimiter=",", names=True)
    steps = np.arange(5, 30, 6)
    assert curve["learning_rate"] == pytest.approx(5e-4 * (1 + np.cos(np.pi * steps / 30)), abs=1e-9)


@pytest.mark.slow
def test_a_network_learns_more_than_the_class(survey, tmp_path):
    settings = Mlp(
        kind="mlp",
        bin=4,
        inputs="standard",
        labels="standard",
        hidden=[64],
        dropout=0.0,
        training=NetworkTraining(epochs=40, batch=32, learning_rate=3e-3, schedule="cosine"),
        gpus=0,
    )
    trained(settings, survey, tmp_path / "out", tmp_path / "state")
    table = told(settings, survey, tmp_path / "out", survey.of("test"))
    rows = rows_of(TASK, survey.of("test").sort_by("obsid"), survey.labels)
    train = rows_of(TASK, survey.of("train"), survey.labels)
    mean = fit_class_mean(None, train, train, None)[0]["mean"].T[rows.group]
    value = table["value"].to_numpy().reshape(-1, 3)
    for j in range(3):
        known = np.isfinite(rows.truth[:, j])
        error = ((value - rows.truth)[known, j] ** 2).mean()
        assert error < 0.5 * ((mean - rows.truth)[known, j] ** 2).mean(), TASK.labels[j]
    right = np.array(table["class_pred"].to_pylist()) == np.array(table["class"].to_pylist())
    assert right.mean() > 0.8
    network, scales, _ = open_network(settings, TASK, tmp_path / "out", 5)
    flux = survey.flux[survey.split == "test"][np.argsort(survey.obsid[survey.split == "test"])]
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(scales.inputs(prepared(binned(flux, 4), settings))))[0]
    theirs = torch.nn.functional.softmax(logits.double(), dim=1).max(dim=1).values.logit().numpy()
    assert table["class_log_odds"].to_numpy()[::3] == pytest.approx(theirs, rel=1e-4)
    within = np.abs(value - rows.truth)[:, 1] < table["sigma_raw"].to_numpy().reshape(-1, 3)[:, 1]
    assert 0.5 < within.mean() < 0.85


@pytest.mark.slow
def test_a_label_that_nobody_has_and_no_validation_stars(survey, tmp_path):
    few = survey.sample.filter(pa.compute.not_equal(survey.sample["split"], "val"))
    settings = cnn(1)
    manifest = trained(settings, survey, tmp_path / "out", tmp_path / "state", NAMED, few)
    assert manifest["metrics"]["val_loss"] is None
    table = told(settings, survey, tmp_path / "out", survey.of("test"), NAMED)
    status = dict(zip(table["label"].to_pylist(), table["status"].to_pylist(), strict=True))
    assert status == {"mg_fe": "not_answered", "feh": "ok"}
    assert set(table["class_pred"].to_pylist()) == {None}
    feh = table.filter(pa.compute.equal(table["label"], "feh"))
    assert feh["sigma_raw"].null_count == 0


@pytest.mark.slow
def test_the_best_epoch_is_kept(survey, tmp_path, monkeypatch):
    losses = iter([3.0, 9.0, 9.0])
    monkeypatch.setattr(epochs._Trainer, "_validate", lambda trainer: next(losses))
    trained(cnn(3), survey, tmp_path / "three", tmp_path / "a")
    losses = iter([3.0])
    trained(cnn(1), survey, tmp_path / "one", tmp_path / "b")
    three, one = (load(tmp_path / name, "cnn", TASK)[0] for name in ("three", "one"))
    assert all(np.array_equal(three[name], one[name]) for name in one)


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_said(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(epochs._Trainer, "_validate", lambda trainer: math.nan)
    with refused(1, where="training", todo="learning_rate"):
        trained(cnn(2), survey, tmp_path / "out", tmp_path / "state")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "raised",
    [
        OSError(122, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["quota", "safetensors"],
)
@pytest.mark.slow
def test_a_full_disk_in_a_checkpoint_is_one_clear_error(survey, tmp_path, monkeypatch, raised):
    def full(tensors, path):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(epochs, "save_file", full)
        with refused(where=f"{tmp_path / 'state'}/"):
            trained(cnn(), survey, tmp_path / "out", tmp_path / "state")


@pytest.mark.parametrize("size", ["40k", "140k"], ids=["in the mapped flux", "in a checkpoint"])
@pytest.mark.slow
def test_a_disk_that_is_really_full(survey, tmp_path, size):
    """On a real small file system: the message is clear, and after making room the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        with refused(where=f"{disk}/"):
            trained(cnn(), survey, tmp_path / "out", disk)
        assert not (tmp_path / "out").exists()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        manifest = trained(cnn(), survey, tmp_path / "out", disk)
        plain = trained(cnn(), survey, tmp_path / "plain", tmp_path / "state")
        assert manifest["files"] == plain["files"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_gpu_that_is_not_there_is_said(survey, tmp_path):
    with refused(where="gpus", todo=("make setup ACCEL=cuda", "gpus: 0")):
        trained(cnn(1).model_copy(update={"gpus": 1}), survey, tmp_path / "out", tmp_path / "state")


def test_a_network_without_groups_learns_the_labels_and_tells_no_class(survey, tmp_path):
    task = task_of("abundances", ["teff", "logg"], groups=None)
    none = survey.sample.set_column(2, "class", pa.nulls(len(survey.sample), pa.string()))
    settings = cnn(epochs=8)
    manifest = trained(settings, survey, tmp_path / "out", tmp_path / "state", task, none)
    assert manifest["metrics"]["val_class_accuracy"] is None
    table = told(settings, survey, tmp_path / "out", none.filter(pa.compute.equal(none["split"], "test")), task)
    assert table["class_pred"].null_count == len(table) and table["sigma_raw"].null_count == 0
    teff = table.filter(pa.compute.equal(table["label"], "teff")).to_pandas()
    assert np.corrcoef(teff["truth"], teff["value"])[0, 1] > 0.5


# ---------------------------------------------------------------- starting from a trained one


SHARED = task_of("atmosphere", ["feh", "logg"])
UNKNOWN = task_of("atmosphere", ["mg_fe"])


def weights_of(folder, task):
    return load(folder, "cnn", task)[0]


def test_a_network_starts_with_the_weights_of_a_trained_one(survey, tmp_path, monkeypatch):
    """A start of which nothing is learnt answers as the trained network does, whatever the order of the labels."""
    trained(cnn(), survey, tmp_path / "first", tmp_path)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)
    still = cnn(epochs=1)
    manifest = trained(still, survey, tmp_path / "second", tmp_path, SHARED, start=tmp_path / "first")
    old, new = weights_of(tmp_path / "first", TASK), weights_of(tmp_path / "second", SHARED)
    assert set(manifest["continues"]) == {WEIGHTS}
    for name in new:
        if name.endswith((".weight", ".bias")) and "label_heads" not in name:
            np.testing.assert_array_equal(new[name], old[name], err_msg=name)
    np.testing.assert_array_equal(new["network.label_heads.0.weight"], old["network.label_heads.2.weight"])
    np.testing.assert_array_equal(new["label_scale"], old["label_scale"][[2, 1]])
    np.testing.assert_array_equal(new["input_shift"], old["input_shift"])


def test_labels_that_the_trained_one_had_not_begin_anew(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)
    trained(cnn(), survey, tmp_path / "first", tmp_path)
    trained(cnn(), survey, tmp_path / "alone", tmp_path, UNKNOWN)
    trained(cnn(), survey, tmp_path / "second", tmp_path, UNKNOWN, start=tmp_path / "first")
    alone, new = weights_of(tmp_path / "alone", UNKNOWN), weights_of(tmp_path / "second", UNKNOWN)
    head = "network.label_heads.0.weight"
    np.testing.assert_array_equal(new[head], alone[head])


def test_a_network_of_other_groups_begins_their_head_anew(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)
    ungrouped = task_of("abundances", ["feh", "logg"], groups=None)
    none = survey.sample.set_column(2, "class", pa.nulls(len(survey.sample), pa.string()))
    trained(cnn(), survey, tmp_path / "first", tmp_path)
    trained(cnn(), survey, tmp_path / "second", tmp_path, ungrouped, none, start=tmp_path / "first")
    old, new = weights_of(tmp_path / "first", TASK), weights_of(tmp_path / "second", ungrouped)
    assert new["network.class_head.weight"].shape[0] == 1
    np.testing.assert_array_equal(new["network.label_heads.0.weight"], old["network.label_heads.2.weight"])


def test_another_start_is_another_training(survey, tmp_path):
    """What was finished without a start, or with another, is not handed back."""
    trained(cnn(), survey, tmp_path / "first", tmp_path)
    plain = trained(cnn(epochs=1), survey, tmp_path / "plain", tmp_path, SHARED)
    begun = trained(cnn(epochs=1), survey, tmp_path / "begun", tmp_path, SHARED, start=tmp_path / "first")
    assert plain["work"] != begun["work"]
    assert plain["files"] != begun["files"]
    assert "continues" not in plain


@pytest.mark.parametrize("change", [{"channels": [8]}, {"bin": 4}, {"dense": [16, 16]}, {"dense": []}])
def test_a_network_of_another_shape_is_refused(survey, tmp_path, change):
    trained(cnn(epochs=1), survey, tmp_path / "first", tmp_path)
    other = cnn(epochs=1).model_copy(update=change)
    with refused(where=tmp_path / "first", todo="init"):
        trained(other, survey, tmp_path / "second", tmp_path, SHARED, start=tmp_path / "first")
    assert not (tmp_path / "second" / "manifest.json").exists()


def test_dense_networks_without_a_common_label_have_nothing_to_start_from(survey, tmp_path):
    dense = Mlp(kind="mlp", bin=4, hidden=[8], training=NetworkTraining(epochs=1, batch=64), gpus=0)
    trained(dense, survey, tmp_path / "first", tmp_path)
    with refused(where=tmp_path / "first", allowed="mg_fe", todo="init"):
        trained(dense, survey, tmp_path / "second", tmp_path, UNKNOWN, start=tmp_path / "first")
