"""A network that goes on from a trained one: the papers' counts, what moves and what stays, resumed to the bit."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch
from baseline_spectra import TASK, Survey

from refusals import refused
from starglot.config.kinds.baselines import Cnn, Gru, Mlp, NetworkTraining, ResNet50
from starglot.config.recipes import Recipe
from starglot.config.transfer import NetworkTransfer
from starglot.inference.answering import open_model
from starglot.models.baselines.files import WEIGHTS, load, save
from starglot.models.baselines.networks import build_network
from starglot.models.baselines.predict import predict
from starglot.models.baselines.reading import NETWORK, Scales, read_network
from starglot.plots.training import draw_curve
from starglot.tables import read_json, spectra_table, write_parquet
from starglot.training import epochs
from starglot.training.baselines import train_baseline
from starglot.training.networks import fit_network
from starglot.training.start import start_from
from starglot.training.transfer import prepare
from tasks import task_of

#: Two of the first task's labels in another order, on the same spectra.
SHARED = task_of("atmosphere", ["feh", "logg"])
UNKNOWN = task_of("atmosphere", ["logg", "mg_fe"])
STRATEGIES = {
    "full": {},
    "lora": {"rank": 2, "alpha": 4, "layers": ["of_label.*"]},
    "residual": {"hidden": [6]},
    "zero_shot": {},
    "scratch": {},
}


def mlp(strategy=None, epochs=3, **more):
    training = NetworkTraining(epochs=epochs, batch=64, learning_rate=3e-3, stop_after=None)
    transfer = None if strategy is None else NetworkTransfer(strategy=strategy, **{**STRATEGIES[strategy], **more})
    return Mlp(
        kind="mlp",
        bin=4,
        inputs="standard",
        labels="standard",
        hidden=[12, 8],
        training=training,
        transfer=transfer,
        gpus=0,
    )


def trained(settings, survey, out, state, task=TASK, start=None):
    return train_baseline(
        fit_network,
        settings,
        task,
        survey.sample,
        survey.labels,
        survey.shard_path,
        out,
        state,
        {},
        "code",
        start,
    )


def told(survey, folder, task):
    """What a model answers about test stars, sorted by obsid: the settings say nothing of its strategy."""
    stars = survey.of("test")
    return predict(
        lambda rows: read_network(mlp(), task, folder, rows, survey.shard_path), task, stars, survey.labels, []
    )


def values(table, labels):
    """label -> values by obsid."""
    frame = table.to_pandas().sort_values("obsid")
    return {label: frame.loc[frame["label"] == label, "value"].to_numpy() for label in labels}


def network_weights(folder, task):
    return {name: it for name, it in load(folder, "mlp", task)[0].items() if name.startswith(NETWORK)}


@pytest.fixture(scope="module")
def elsewhere(survey, tmp_path_factory) -> Survey:
    """The same stars through an instrument that sees everything a tenth brighter."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for path in survey.folder.glob("*.parquet"):
        table = pa.parquet.read_table(path)
        flux = np.stack(table["flux"].to_numpy(zero_copy_only=False))
        brighter = np.round(1.1 * flux).astype(np.int16)
        write_parquet(
            spectra_table(table["obsid"], table["star_id"], brighter, table["n_masked"]), folder / path.name
        )
    return Survey(**{**vars(survey), "folder": folder})


@pytest.fixture(scope="module")
def source(survey, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    trained(mlp(epochs=8), survey, folder / "model", folder / "state")
    return folder / "model"


@pytest.fixture
def still(monkeypatch):
    """A training that takes its steps nowhere."""
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)


# ---------------------------------------------------------------- the papers' counts


@pytest.mark.parametrize(
    ("inputs", "transfer", "count"),
    [
        (1462, {"strategy": "residual"}, 562_177),
        (768, {"strategy": "residual"}, 295_681),
        # The last of a label's layers is its thirteenth: 0, 4 and 8 are the dense ones before it.
        (1462, {"strategy": "lora", "rank": 128, "alpha": 256, "layers": ["of_label.0.[048]"]}, 588_544),
        (1462, {"strategy": "lora", "rank": 128, "alpha": 256, "layers": ["of_label.*"]}, 596_864),
        (768, {"strategy": "lora", "layers": ["of_label.*"]}, 31_752),
    ],
)
def test_the_papers_trainable_parameters(inputs, transfer, count):
    """[n, 1024, 512, 64, 1] with a residual head [n, 384, 1], LoRA of rank 128 and of rank 8."""
    network = build_network(Mlp(kind="mlp"), inputs, 0, 1, 1)
    learner, _ = prepare(network, NetworkTransfer(**transfer), [], inputs, ["feh"], 1)
    assert sum(each.numel() for each in learner.parameters() if each.requires_grad) == count


# ---------------------------------------------------------------- where each begins


def test_zero_shot_answers_as_the_source_does_and_judges_itself_on_the_new_spectra(
    survey, elsewhere, source, tmp_path
):
    manifest = trained(mlp("zero_shot"), elsewhere, tmp_path / "zero", tmp_path, SHARED, source)
    theirs, own = told(elsewhere, source, TASK), told(elsewhere, tmp_path / "zero", SHARED)
    for label, answers in values(own, SHARED.labels).items():
        np.testing.assert_array_equal(answers, values(theirs, TASK.labels)[label])
    assert own["class_pred"].to_pylist()[::2] == theirs["class_pred"].to_pylist()[::3]
    assert manifest["counts"]["trainable_parameters"] == manifest["counts"]["steps"] == 0
    assert manifest["counts"]["parameters"] > 0
    draw_curve(tmp_path / "zero/loss.csv", tmp_path / "curve", "zero-shot")  # of one point
    sigma = load(tmp_path / "zero", "mlp", SHARED)[0]["sigma"][1, -1]
    of_val = elsewhere.of("val")
    answers = predict(
        lambda rows: read_network(mlp(), TASK, source, rows, elsewhere.shard_path), TASK, of_val, elsewhere.labels, []
    ).to_pandas()
    logg = answers[answers["label"] == "logg"]
    assert sigma == pytest.approx(np.quantile(np.abs(logg["value"] - logg["truth"]), 0.6827))


@pytest.mark.parametrize("strategy", ["residual", "lora"])
def test_without_a_step_the_answers_are_the_sources(survey, elsewhere, source, tmp_path, still, strategy):
    trained(mlp(strategy, epochs=1), elsewhere, tmp_path / "own", tmp_path, SHARED, source)
    theirs, own = told(elsewhere, source, TASK), told(elsewhere, tmp_path / "own", SHARED)
    for label, answers in values(own, SHARED.labels).items():
        np.testing.assert_array_equal(answers, values(theirs, TASK.labels)[label])


# ---------------------------------------------------------------- what moves, and what stays


@pytest.mark.parametrize("strategy", ["residual", "lora", "full"])
def test_they_learn_the_new_spectra_and_leave_the_rest(elsewhere, source, tmp_path, strategy):
    manifest = trained(mlp(strategy, epochs=30), elsewhere, tmp_path / "own", tmp_path, SHARED, source)
    before, after = network_weights(source, TASK), network_weights(tmp_path / "own", SHARED)
    #: Of the two labels, [Fe/H] was the third and log g is the second.
    was = {"of_label.0.": "of_label.2.", "of_label.1.": "of_label.1.", "of_class.": "of_class."}
    moved = set()
    for name, weight in after.items():
        short = name.removeprefix(NETWORK).removeprefix("network.")
        for new, old in was.items():
            if short.startswith(new) and not np.array_equal(weight, before[NETWORK + old + short.removeprefix(new)]):
                moved.add(short)
    dense = {f"of_label.{label}.{layer}.weight" for label in (0, 1) for layer in (0, 4, 8)}
    if strategy == "full":
        assert moved > dense
    else:
        assert moved == (dense if strategy == "lora" else set())
    zero = trained(mlp("zero_shot"), elsewhere, tmp_path / "zero", tmp_path, SHARED, source)
    for label in SHARED.labels:
        assert manifest["labels"][label]["val_rmse"] < zero["labels"][label]["val_rmse"]


def test_the_manifest_says_how_it_came_to_be(elsewhere, source, tmp_path):
    made = {
        name: trained(mlp(name, epochs=1), elsewhere, tmp_path / name, tmp_path, SHARED, source)
        for name in ("full", "lora", "residual")
    }
    whole = made["full"]["counts"]["parameters"]
    assert made["full"]["counts"]["trainable_parameters"] == whole
    layers = [(16, 12), (12, 8), (8, 1)]
    updates = 2 * sum(2 * (wide + narrow) for wide, narrow in layers)
    head = 16 * 6 + 6 + 6 * 2 + 2
    counts = {name: (it["counts"]["trainable_parameters"], it["counts"]["parameters"]) for name, it in made.items()}
    assert counts["lora"] == (updates, whole) and counts["residual"] == (head, whole + head)
    for name, manifest in made.items():
        assert manifest["model"]["transfer"]["strategy"] == name
        assert manifest["continues"] == {WEIGHTS: read_json(source / "manifest.json")["files"][WEIGHTS]}
    assert len({manifest["work"] for manifest in made.values()}) == 3


def test_from_scratch_is_as_without_a_start(survey, tmp_path):
    trained(mlp("scratch", epochs=1), survey, tmp_path / "scratch", tmp_path, SHARED)
    trained(mlp(epochs=1), survey, tmp_path / "plain", tmp_path, SHARED)
    assert (tmp_path / "scratch" / WEIGHTS).read_bytes() == (tmp_path / "plain" / WEIGHTS).read_bytes()


def test_lora_teaches_labels_that_the_source_had_not_in_full(survey, source, tmp_path):
    manifest = trained(mlp("lora", epochs=1), survey, tmp_path / "own", tmp_path, UNKNOWN, source)
    one = 16 * 12 + 12 + 2 * 12 + 12 * 8 + 8 + 2 * 8 + 8 + 1
    assert manifest["counts"]["trainable_parameters"] == 2 * (16 + 12 + 12 + 8 + 8 + 1) + one


@pytest.mark.parametrize(
    "settings",
    [
        Cnn(kind="cnn", channels=[4], dense=[8]),
        Gru(kind="gru", step=8, hidden=6, layers=1),
        ResNet50(kind="resnet50", width=0.0625),
    ],
    ids=lambda settings: settings.kind,
)
def test_merged_updates_answer_as_they_did(settings):
    """Of whatever layers: dense, convolutional with and without stride, the outputs behind recurrent ones."""
    torch.manual_seed(1)
    network, spectra = build_network(settings, 256, 0, 2, 3), torch.randn(4, 256)
    frozen = {name: weight.clone() for name, weight in network.state_dict().items() if "weight" not in name}
    learner, finish = prepare(network, NetworkTransfer(strategy="lora", rank=3), [], 256, ["teff", "feh"], 3)
    before = learner.eval()(spectra)[1]
    learner.train()(spectra)  # statistics of normalisations stay
    with torch.no_grad():
        for weight in learner.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
    apart = learner.eval()(spectra)[1]
    merged = finish().eval()
    torch.testing.assert_close(merged(spectra)[1], apart, rtol=1e-3, atol=1e-4)
    assert (apart - before).abs().max() > 1e-3
    state = merged.state_dict()
    assert all(torch.equal(state[name], value) for name, value in frozen.items())


# ---------------------------------------------------------------- killed, repeated, taken away


@pytest.mark.parametrize("strategy", ["lora", "residual"])
def test_a_killed_training_goes_on_bit_for_bit(elsewhere, source, tmp_path, monkeypatch, strategy):
    settings = mlp(strategy, epochs=4)
    trained(settings, elsewhere, tmp_path / "whole", tmp_path / "a", SHARED, source)
    validate = epochs._Trainer._validate

    class Killed(Exception):
        pass

    def dies(trainer):
        if len(list(trainer.folder.glob("checkpoint-*"))) == 2:
            raise Killed
        return validate(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(epochs._Trainer, "_validate", dies)
        with pytest.raises(Killed):
            trained(settings, elsewhere, tmp_path / "killed", tmp_path / "b", SHARED, source)
    passes = []
    monkeypatch.setattr(epochs._Trainer, "_validate", lambda trainer: passes.append(1) or validate(trainer))
    trained(settings, elsewhere, tmp_path / "killed", tmp_path / "b", SHARED, source)
    assert len(passes) == 2  # epochs 3 and 4
    for name in (WEIGHTS, "loss.csv", "manifest.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("strategy", ["lora", "residual", "zero_shot"])
def test_the_folder_answers_by_itself(elsewhere, source, tmp_path, strategy):
    """As a description has it: settings without `init` and `transfer`, the source gone, the folder elsewhere."""
    start = shutil.copytree(source, tmp_path / "start")
    trained(mlp(strategy, epochs=2), elsewhere, tmp_path / "own", tmp_path / "state", SHARED, start)
    expected = values(told(elsewhere, tmp_path / "own", SHARED), SHARED.labels)
    shutil.rmtree(start)
    shutil.rmtree(tmp_path / "state")
    moved = shutil.move(tmp_path / "own", tmp_path / "moved")
    about = {
        "model": mlp().model_dump(exclude={"init", "transfer"}),
        "question": SHARED.model_dump(),
        "recipe": Recipe().model_dump(),
    }
    order = np.argsort(elsewhere.obsid[elsewhere.split == "test"])
    flux = np.round(1.1 * elsewhere.flux[elsewhere.split == "test"][order]).astype(np.int16)
    answers = open_model(moved, about)(flux, [None] * len(flux))
    for label, given in values(answers, SHARED.labels).items():
        np.testing.assert_allclose(given, expected[label], rtol=1e-6)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("strategy", ["zero_shot", "residual"])
def test_labels_that_the_source_has_not_learnt_are_refused(survey, source, tmp_path, strategy):
    with refused("mg_fe", strategy, where="transfer", todo=("full", "lora", "scratch")):
        trained(mlp(strategy), survey, tmp_path / "own", tmp_path, UNKNOWN, source)
    first = tmp_path / "first"  # it has the label, of which no star told it anything
    trained(mlp(epochs=1), survey, first, tmp_path, UNKNOWN)
    with refused("mg_fe", strategy):
        trained(mlp(strategy), survey, tmp_path / "own", tmp_path, task_of("atmosphere", ["mg_fe"]), first)


def test_layers_that_are_not_there_are_refused(survey, source, tmp_path):
    with refused("trunk.*", where="layers", allowed=("of_label.0.0", "of_class.8")):
        trained(mlp("lora", layers=["of_label.*", "trunk.*"]), survey, tmp_path / "own", tmp_path, SHARED, source)


def test_a_correction_of_a_correction_is_refused(survey, source, tmp_path):
    trained(mlp("residual", epochs=1), survey, tmp_path / "first", tmp_path, SHARED, source)
    with refused(where=tmp_path / "first", allowed=("full", "lora"), todo="init"):
        trained(mlp("full"), survey, tmp_path / "second", tmp_path, SHARED, tmp_path / "first")


def test_labels_that_share_their_weights_are_not_mixed_up(tmp_path):
    """The shapes agree, and the answers would be those of the other label."""

    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.all_labels = torch.nn.Linear(4, 2)

    network, scales = Shared(), Scales(np.zeros(4), np.ones(4), np.array([1.0, 2.0]), np.ones(2))
    weights = {f"{NETWORK}{name}": weight.numpy() for name, weight in network.state_dict().items()}
    save({**weights, **vars(scales)}, "mlp", SHARED, tmp_path)
    with refused("feh", "logg", where=tmp_path, allowed="feh, logg"):
        start_from(tmp_path, "mlp", Shared(), ["logg", "feh"], scales)
    taken, fresh = start_from(tmp_path, "mlp", Shared(), ["feh", "logg"], scales)
    assert taken.label_shift.tolist() == [1.0, 2.0] and not fresh


def test_spectra_of_another_length_are_refused_where_the_layers_would_take_them(survey, tmp_path):
    """A network whose trunk averages takes spectra of any length: its scales tell."""
    wide, narrow = (
        Cnn(kind="cnn", bin=width, channels=[2], dense=[], pool=pool, training=NetworkTraining(epochs=1), gpus=0)
        for width, pool in ((4, 4), (2, 8))
    )
    trained(wide, survey, tmp_path / "first", tmp_path)
    with refused("input_shift", 16, 32, where=tmp_path / "first"):
        trained(narrow, survey, tmp_path / "second", tmp_path, SHARED, tmp_path / "first")
