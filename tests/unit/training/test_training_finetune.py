"""Training end to end on a tiny base: really quantised, resumed to the bit, handed back when finished."""

import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file

from refusals import refused
from starglot.config.bases.tiny import TinyBase
from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.config.transfer import LanguageTransfer
from starglot.language.answers import render
from starglot.language.codec import Codec
from starglot.language.prompts import question
from starglot.spectra.sample_flux import CleanedSpectra
from starglot.tables import flux_column, read_json, write_parquet
from starglot.training.finetune import finetune
from starglot.training.pretrain import build_base
from tasks import task_of

pytestmark = pytest.mark.slow

#: Where modules of tests are, for processes of their own.
TESTS = [str(folder) for folder in Path(__file__).parents[:3]]

WAVELENGTH = Wavelength(start=4000, stop=4199, step=1)
ENCODING = Encoding(form="packed", bin=10, preparation="continuum")
TASK = task_of("atmosphere", ["teff", "logg", "feh"], balanced=True, sizes={"demo": 40})
BASE = TinyBase(
    kind="tiny",
    task="atmosphere",
    size="demo",
    encoding="small",
    hidden=64,
    layers=2,
    heads=4,
    examples=48,
    batch=8,
    per_spectrum=2,
    components=5,
    windows=5,
)


def write_questions(folder, split, count):
    """A file of questions, and a shard of the same name with their spectra."""
    codec = Codec(ENCODING, WAVELENGTH)
    rng = np.random.default_rng(count)
    path = folder / f"{split}-0000.jsonl.gz"
    rows = []
    with gzip.open(path, "wt") as handle:
        for obsid in range(count):
            slope = rng.uniform(-1, 1)
            flux = (600 + 300 * slope * np.linspace(-1, 1, 200) + 20 * rng.standard_normal(200)).astype(np.int16)
            rows.append(flux)
            asked = question(TASK, WAVELENGTH, TASK.labels, codec.text(codec.values(flux[None])[0]))
            values = {"teff": 5000 + 1500 * slope, "logg": 4.0 if obsid % 4 else None, "feh": -0.2}
            answer = render(TASK, "AFGKM"[obsid % 5], values, TASK.labels, "rounded")
            handle.write(json.dumps({"obsid": obsid, "question": asked, "answer": answer}) + "\n")
    shard = pa.table({"obsid": np.arange(count), "flux": flux_column(np.stack(rows))})
    write_parquet(shard, folder / f"{split}.parquet")
    return path


def spectra(folder):
    """The spectra of the training questions."""
    ids = np.arange(40)
    return CleanedSpectra(ids, np.full(40, "train"), lambda shard: folder / f"{shard}.parquet", {"train": "digest"})


def model(**training):
    settings = {
        "epochs": 2.0,
        "learning_rate": 5e-3,
        "weight_decay": 0.01,
        "batch": 8,
        "accumulate": 1,
        "gradient_checkpointing": False,
        "checkpoints": 5,
        "gpus": 0,
        "augment": {"noise": 0.01, "tilt": 0.02},
        **training,
    }
    lora = {"rank": 8, "alpha": 16, "dropout": 0.1}
    return Llm.model_validate(
        {"kind": "llm", "base": "tiny", "encoding": "small", "lora": lora, "training": settings, "seed": 3}
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def questions(place):
    return write_questions(place, "train", 40), write_questions(place, "val", 6)


@pytest.fixture(scope="module")
def base(place, questions):
    there = spectra(place)
    build_base(
        BASE, TASK, ENCODING, WAVELENGTH, {}, [questions[0]], there, place / "base", place / "state", {"base": 1}
    )
    return place / "base"


def train(place, questions, base, name, ingredients=None, init=None, settings=None):
    manifest = finetune(
        settings or model(),
        TASK,
        ENCODING,
        WAVELENGTH,
        "demo",
        str(base),
        init,
        [questions[0]],
        [questions[1]],
        spectra(place),
        place / name,
        place / "state",
        ingredients or {"name": name},
    )
    return place / name, manifest


@pytest.fixture(scope="module")
def trained(place, questions, base):
    return train(place, questions, base, "trained")[0]


def test_the_folder_holds_adapter_tokenizer_curve_and_manifest(trained):
    names = {path.name for path in trained.iterdir()}
    assert names >= {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "loss.csv", "run.json"}
    manifest = read_json(trained / "manifest.json")
    assert manifest["counts"]["train"] == 40
    assert manifest["counts"]["examples"] == 80
    assert manifest["counts"]["steps"] == 10
    assert set(manifest["inputs"]) == {"train-0000.jsonl.gz", "val-0000.jsonl.gz"}
    assert 0 < manifest["metrics"]["val_loss"] < 10
    assert manifest["model"]["training"]["learning_rate"] == 5e-3
    modules = read_json(trained / "adapter_config.json")["target_modules"]
    assert modules == sorted(modules) and len(modules) > 1, "the same training has the same bytes"


def test_every_adapter_matrix_moved_away_from_its_start(trained):
    weights = load_file(trained / "adapter_model.safetensors")
    assert len(weights) == 2 * 7 * BASE.layers  # A and B of q k v o gate up down; not the output layer
    assert all(np.abs(value).max() > 0 for name, value in weights.items() if "lora_B" in name)


def test_the_base_is_quantised_to_four_bits_also_on_the_cpu(base):
    import torch

    from starglot.models.llm import load_base

    quantised, plain = load_base(base, "nf4"), load_base(base, "none")
    packed = quantised.model.layers[0].mlp.up_proj.weight
    exact = plain.model.layers[0].mlp.up_proj.weight
    assert packed.dtype == torch.uint8
    assert packed.numel() == exact.numel() // 2
    assert type(quantised.lm_head) is torch.nn.Linear  # the output layer stays as it is
    inputs = torch.randn(4, exact.shape[1], generator=torch.Generator().manual_seed(0))
    right = inputs @ exact.T
    error = (quantised.model.layers[0].mlp.up_proj(inputs) - right).norm() / right.norm()
    assert 0.01 < error < 0.2


def test_answer_only_logits_give_the_loss_and_gradients_of_all_logits(base, questions, place):
    import torch

    from starglot.language.tokens import PromptTokens
    from starglot.models import llm
    from starglot.training.data import Collate, Draws, cache_rows
    from starglot.training.delivery import digests

    rows = cache_rows([questions[0]], digests([questions[0]]), place / "state" / "questions")
    tokenizer = llm.load_tokenizer(base)
    draws = Draws(rows, PromptTokens(tokenizer, TASK, ENCODING, WAVELENGTH), 40, seed=0)
    examples = [draws[number] for number in range(6)]
    adapted = llm.attach_adapter(llm.load_base(base, "none", for_training=True), model().lora, seed=1).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)

    def gradients():
        found = [p.grad.clone() for p in adapted.parameters() if p.grad is not None]
        adapted.zero_grad()
        return found

    short = adapted(**Collate(tokenizer.pad_token_id)(examples)).loss
    short.backward()
    after_short = gradients()
    # one example at a time, no padding, all logits, and the counted answer tokens picked by hand
    total, count = torch.zeros(()), 0
    for item in examples:
        ids = torch.tensor([[*item["prompt"], *item["answer"]]])
        chance = torch.log_softmax(adapted(input_ids=ids).logits[0], dim=-1)
        for place_, (token, counts) in enumerate(zip(item["answer"], item["counts"], strict=True)):
            if counts:
                total = total - chance[len(item["prompt"]) + place_ - 1, token]
                count += 1
    long = total / count
    long.backward()
    assert torch.isclose(short, long, rtol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(after_short, gradients(), strict=True))


def same(one, other):
    left, right = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


SCRIPT = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
import test_training_finetune as case
place = Path({place!r})
files = place / "train-0000.jsonl.gz", place / "val-0000.jsonl.gz"
case.train(place, files, place / "base", "killed")
"""


def test_killed_and_started_again_it_gives_the_same_bits(place, questions, base, trained):
    from starglot.store import checkpoints, workplace

    folder = workplace(place / "state", {"name": "killed"}) / "checkpoints"
    script = textwrap.dedent(SCRIPT.format(tests=TESTS, place=str(place)))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 600
        while not (checkpoints(folder)[1:] and (checkpoints(folder)[1] / "complete.json").exists()):
            assert process.poll() is None, process.stderr.read().decode()[-2000:]
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    newest = checkpoints(folder)[-1]
    optimizer = newest / "optimizer.pt"
    if optimizer.exists():  # and the newest one is cut off, as by a full disk
        optimizer.write_bytes(optimizer.read_bytes()[:1000])
    assert not (place / "killed").exists()
    resumed, _ = train(place, questions, base, "killed")
    assert same(trained, resumed)
    assert (trained / "loss.csv").read_text() == (resumed / "loss.csv").read_text()
    keys = ("metrics", "counts", "inputs")
    both = [read_json(path / "manifest.json") for path in (trained, resumed)]
    assert [both[0][key] for key in keys] == [both[1][key] for key in keys]


def test_a_time_limit_stops_it_and_the_next_turn_gives_the_same_bits(
    place, questions, base, trained, tmp_path, monkeypatch
):
    from starglot.training import loop, time_limit

    queue = tmp_path / "scontrol"
    queue.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    queue.chmod(0o755)
    seal = loop.seal

    def signalled(folder):
        seal(folder)
        signal.raise_signal(time_limit.SIGNAL)

    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        patch.setenv("SLURM_JOB_ID", "77")
        patch.setattr(time_limit, "_PATIENCE", 0)
        patch.setattr(loop, "seal", signalled)
        with refused(3, 10):  # told in step 2, at its checkpoint
            train(place, questions, base, "limited")
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    resumed, manifest = train(place, questions, base, "limited")
    assert same(trained, resumed)
    assert (trained / "loss.csv").read_text() == (resumed / "loss.csv").read_text()
    assert manifest["metrics"] == read_json(trained / "manifest.json")["metrics"]


def test_a_stretch_of_the_curve_that_a_time_limit_cut_is_joined():
    from starglot.training.loop import join_parts

    points = [
        {"step": 10, "loss": 4.0},
        {"step": 13, "loss": 3.0},
        {"step": 20, "loss": 2.0},
        {"step": 30, "loss": 1.0},
    ]
    assert join_parts(points, 10) == [
        {"step": 10, "loss": 4.0},
        {"step": 20, "loss": pytest.approx((3 * 3.0 + 7 * 2.0) / 10)},
        {"step": 30, "loss": 1.0},
    ]


def test_finished_work_comes_back_without_training(place, questions, base, trained, monkeypatch):
    from starglot.training import loop

    monkeypatch.setattr(loop, "run", lambda *_: pytest.fail("trained again"))
    again, manifest = train(place, questions, base, "again", ingredients={"name": "trained"})
    assert same(trained, again)
    assert manifest == read_json(again / "manifest.json") == read_json(trained / "manifest.json")


def test_the_second_stage_goes_on_from_the_first_ones_adapter(place, questions, base, trained):
    still = model(learning_rate=1e-30, weight_decay=0.0, epochs=0.2)
    on, manifest = train(place, questions, base, "second", init=trained, settings=still)
    assert same(trained, on)
    assert manifest["continues"]
    fresh, _ = train(place, questions, base, "fresh", settings=still)
    assert not same(trained, fresh)


def test_zero_shot_answers_with_the_first_ones_adapter(place, questions, base, trained):
    still = model().model_copy(update={"transfer": LanguageTransfer(strategy="zero_shot")})
    on, said = train(place, questions, base, "zero-shot", init=trained, settings=still)
    assert same(trained, on) and said["continues"] and said["counts"]["steps"] == 0
    assert said["metrics"]["val_loss"] == pytest.approx(read_json(trained / "manifest.json")["metrics"]["val_loss"])


def test_another_rank_than_the_adapter_to_continue_is_an_error(place, questions, base, trained):
    other = model().model_copy(update={"lora": model().lora.model_copy(update={"rank": 4})})
    with refused("rank 8", "rank 4", where=trained, todo=("lora", "init")):
        train(place, questions, base, "other-rank", init=trained, settings=other)


def test_gradient_checkpointing_changes_no_bit_of_the_loss(place, questions, base):
    curves = []
    for switch in (False, True):
        settings = model(gradient_checkpointing=switch, epochs=0.4)
        folder, _ = train(place, questions, base, f"checkpointing-{switch}", settings=settings)
        curves.append(np.loadtxt(folder / "loss.csv", delimiter=",", skiprows=1))
    assert np.allclose(curves[0], curves[1], rtol=1e-5)


def test_a_base_that_is_not_there_says_how_to_get_it(place, questions, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(place / "empty-cache"))
    with refused(where="example/absent-8B", todo="make fetch-base"):
        train(place, questions, "example/absent-8B", "absent")


def test_gpus_that_are_not_there_are_named_before_anything_is_loaded(place, questions, base):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with refused(2, where="gpus", todo=("make setup ACCEL=cuda", "gpus: 0")):
        train(place, questions, base, "gpus", settings=model(gpus=2))


@pytest.mark.parametrize(
    "raised",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: No space left on device"),
    ],
    ids=["write", "quota", "torch"],
)
def test_a_full_disk_in_the_middle_is_one_clear_error(place, questions, base, raised, monkeypatch):
    from starglot.training import loop

    def full(folder):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(loop, "seal", full)
        with refused(where=f"{place}/"):
            train(place, questions, base, f"full-{type(raised).__name__}")


def test_other_errors_stay_what_they_are(tmp_path):
    from starglot.training.loop import explained

    with pytest.raises(RuntimeError, match="shapes"), explained(tmp_path):
        raise RuntimeError("shapes do not fit")
