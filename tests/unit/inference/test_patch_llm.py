"""A language model that reads patch tokens: its answers' tokens and loss, its training, and what is saved of it."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from baseline_spectra import GRID, NAMED, TASK
from patch_models import BRIEF, ENCODING, ESTIMATING, SCALES, WAVE, ask, settings, train
from safetensors.numpy import load_file
from transformers import PreTrainedTokenizerFast

from starglot import tables
from starglot.config.kinds.llm import Lora
from starglot.config.transfer import LanguageTransfer
from starglot.errors import StarglotError
from starglot.labels import CLASSES, LABELS
from starglot.language.answers import parse
from starglot.language.number_answers import AnswerTokens, number_scales
from starglot.language.patch_prompt import Prompt
from starglot.language.prompts import parse_question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.token_qa import write_token_qa
from starglot.models.llm import attach_adapter, load_base, load_for_inference, load_tokenizer
from starglot.models.patch_llm import SpectrumLlm, labels_of, load_projector
from starglot.models.projector import Projector, statistics_of
from starglot.spectra.pixels import pixels
from starglot.spectra.resample import wavelength_grid
from starglot.store import CHECKPOINTS, FINISHED
from starglot.training.answer_loss import AnswerLoss
from starglot.training.data import IGNORED
from tasks import task_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory, survey, base):
    folder = tmp_path_factory.mktemp("trained")
    return folder / "model", train(folder, "model", survey, base, how=settings(epochs=10.0))


# ---------------------------------------------------------------- tokens and loss


@pytest.mark.parametrize("task", [TASK, NAMED])
def test_an_answer_is_its_text_with_a_number_token_a_label(task) -> None:
    tokenizer = build_tokenizer()
    answer = AnswerTokens(tokenizer, task, [tokenizer.eos_token_id])
    numbers = np.array([[12.4, 999.0, 1200.0][: len(task.labels)]])
    text = tokenizer.decode(answer.tokens(numbers, np.array([3]))[0][:-1].tolist())
    said = ["012", "999", "999"]
    if task is TASK:
        assert text == f"[ 'K', '{said[0]}', '{said[1]}', '{said[2]}']"
    else:
        assert text == f"[MG_FE:'{said[0]}', [Fe/H]:'{said[1]}']"
    assert parse(task, task.labels, text).problem is None or "outside" in parse(task, task.labels, text).problem


def test_a_tokenizer_that_keeps_neither_numbers_nor_digits_apart_is_refused() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    pairs = {f"{number:02d}": 200 + number for number in range(100)}
    made = Tokenizer(
        models.BPE({**{chr(code): code for code in range(32, 127)}, **pairs}, [(*each,) for each in pairs])
    )
    made.pre_tokenizer = pre_tokenizers.Split("'", "isolated")
    with pytest.raises(StarglotError) as error:
        AnswerTokens(PreTrainedTokenizerFast(tokenizer_object=made), TASK, [])
    assert error.value.todo and error.value.allowed


def test_scales_hold_every_training_label_and_the_catalogues_errors() -> None:
    truth = np.array([[4000.0, 1.0], [8000.0, np.nan], [np.nan, 3.0]])
    errors = np.array([[50.0, np.nan], [70.0, np.nan], [90.0, np.nan]])
    scales = number_scales(["teff", "logg"], truth, errors)
    assert (scales["teff"].low, scales["teff"].high) == (3800.0, 8200.0)
    assert scales["teff"].error == 70.0 and scales["teff"].middle == 6000.0
    assert scales["logg"].error == pytest.approx(0.1)  # a tenth of the scatter
    nobody = number_scales(["feh"], np.full((3, 1), np.nan), np.full((3, 1), np.nan))["feh"]
    assert (nobody.low, nobody.high) == (LABELS["feh"].low, LABELS["feh"].high)


def test_the_loss_is_what_a_hand_computes() -> None:
    tokenizer = build_tokenizer()
    answer = AnswerTokens(tokenizer, TASK, [tokenizer.eos_token_id])
    loss = AnswerLoss(answer, SCALES, huber=2.0, text=0.5, of_class=0.25)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, len(answer), len(tokenizer)))
    target = np.array([[300.2, np.nan, 700.0], [10.0, 500.0, np.nan]])
    ids = answer.tokens(np.nan_to_num(target), np.array([0, 4]))
    labels = ids.copy()
    labels[:, answer.slots] = IGNORED
    given = (torch.tensor(each) for each in (logits, labels, target, answer.parts(np.nan_to_num(target))))
    found = float(loss(*(each.float() if each.is_floating_point() else each for each in given)))

    logged = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    letter = -np.mean([logged[i, answer.letter, ids[i, answer.letter]] for i in range(2)])
    fixed = [j for j in range(len(answer)) if j not in answer.slots and j != answer.letter]
    text = -np.mean([logged[i, j, ids[i, j]] for i in range(2) for j in fixed])
    each = []
    for i, k in ((0, 0), (0, 2), (1, 0), (1, 1)):
        width = SCALES[k].error / ((SCALES[k].high - SCALES[k].low) / 999)
        soft = np.exp(-0.5 * ((np.arange(1000) - target[i, k]) / width) ** 2)
        soft /= soft.sum()
        of_all = logged[i, answer.slots[k], answer.numbers]
        divergence = sum(p * (math.log(p) - q) for p, q in zip(soft, of_all, strict=True) if p > 0)
        chance = np.exp(of_all) / np.exp(of_all).sum()
        off = abs((chance * np.arange(1000)).sum() - target[i, k]) / (2.5 * width)
        each.append(divergence + 2.0 * (off**2 / 2 if off < 1 else off - 0.5))
    assert found == pytest.approx(np.mean(each) + 0.25 * letter + 0.5 * text, rel=1e-4)


def test_a_question_that_all_spectra_share_teaches_what_each_ones_own_does(survey, base) -> None:
    """Logits and gradients: the base sees the question once a batch, and not once a spectrum."""
    seen = pixels(survey.flux[:40], ENCODING.coarse, wavelength_grid(WAVE))
    fine, coarse = (torch.from_numpy(each[:5]) for each in seen)
    statistics = statistics_of(*seen, ENCODING.needed)
    llm = attach_adapter(
        load_base(base, "none", for_training=True, on_gpu=False), Lora(rank=4, alpha=8, dropout=0), 1
    )
    for name, weight in llm.named_parameters():  # fresh ones do nothing, and pass no gradient on
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    projector = Projector(ENCODING, GRID, 64, 0.5, statistics)
    model = SpectrumLlm(projector, llm, Prompt(load_tokenizer(base), TASK, WAVE))
    answer = torch.from_numpy(model.prompt.answer.tokens(np.full((5, 3), 417.0), np.arange(5)))
    found = []
    for shared in (True, False):
        model.zero_grad()
        model.question_by_itself = shared
        logits = model(fine, coarse, answer)
        logits.logsumexp(-1).mean().backward()
        found.append([logits, *(each.grad for each in model.parameters() if each.grad is not None)])
    assert len(found[0]) == len(found[1]) > 20
    assert all(torch.allclose(one, two, rtol=1e-3, atol=1e-5) for one, two in zip(*found, strict=True))


# ---------------------------------------------------------------- training


def test_it_learns_and_every_answer_is_one(trained, survey, base, tmp_path) -> None:
    folder, manifest = trained
    table = ask(folder, survey, base, tmp_path)
    assert table.schema.remove_metadata() == tables.PREDICTION
    frame = table.to_pandas()
    assert (frame.status == "ok").all() and len(frame) == 3 * 80 and (frame.sigma_raw > 0).all()
    assert set(frame.class_pred) <= set(CLASSES) and (frame.class_pred == frame["class"]).mean() > 0.6
    stated = frame.class_log_odds.to_numpy()[::3]
    assert stated == pytest.approx(_of_class(folder, survey, base), rel=1e-3)
    assert stated.min() > np.log(0.2 / 0.8)  # the likeliest of five
    teff = frame[frame.label == "teff"]
    assert 1 - ((teff.value - teff.truth) ** 2).mean() / teff.truth.var() > 0.8
    assert manifest["counts"]["spectrum_tokens"] == 5 and set(manifest["numbers"]) == set(TASK.labels)


def _of_class(folder, survey, base):
    """The log-odds of the likeliest class of each test spectrum, from whole answers in one pass."""
    trained = tables.read_json(folder / "manifest.json")
    llm, tokenizer = load_for_inference(base, folder, settings().quantisation)
    projector = load_projector(ENCODING, GRID, 64, folder, trained)
    model = SpectrumLlm(projector, llm, Prompt(tokenizer, TASK, WAVE, trained["frame"])).eval()
    test = np.flatnonzero(survey.split == "test")
    flux = survey.flux[test[np.argsort(survey.obsid[test])]]
    fine, coarse = map(torch.from_numpy, pixels(flux, ENCODING.coarse, wavelength_grid(WAVE)))
    answer = model.prompt.answer
    written = torch.from_numpy(answer.tokens(np.full((len(test), 3), 417.0), np.zeros(len(test), int)))
    with torch.no_grad():
        logits = model(fine, coarse, written)[:, answer.letter]
    return torch.softmax(logits[:, answer.letters].double(), 1).max(1).values.logit().numpy()


def test_the_same_seed_gives_the_same_bytes_and_another_others(survey, base, tmp_path) -> None:
    one, two = (train(tmp_path, name, survey, base) for name in ("a", "b"))
    files = [tables.read_json(tmp_path / name / "manifest.json")["files"] for name in ("a", "b")]
    assert files[0] == files[1] and one["metrics"] == two["metrics"]
    train(tmp_path, "c", survey, base, how=settings().model_copy(update={"seed": 4}))
    other = tables.read_json(tmp_path / "c" / "manifest.json")["files"]
    assert other["projector.safetensors"] != files[0]["projector.safetensors"]


def test_a_killed_training_ends_as_if_it_had_not_been_killed(survey, base, tmp_path, monkeypatch) -> None:
    whole = train(tmp_path, "whole", survey, base)
    from starglot.training import patch_draws

    drawn = patch_draws.PatchDraws.__getitem__

    def stop(self, number):
        if number >= 400:
            raise KeyboardInterrupt
        return drawn(self, number)

    monkeypatch.setattr(patch_draws.PatchDraws, "__getitem__", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "killed", survey, base)
    (place,) = [path for path in (tmp_path / "state-killed").iterdir() if (path / CHECKPOINTS).is_dir()]
    sealed = sorted((place / CHECKPOINTS).glob("checkpoint-*"))
    assert sealed and not (place / FINISHED).exists()
    weights = load_file(sealed[-1] / "model.safetensors")
    assert not any("embed_tokens" in name for name in weights)  # the frozen base is no part of a checkpoint
    monkeypatch.setattr(patch_draws.PatchDraws, "__getitem__", drawn)
    again = train(tmp_path, "killed", survey, base)
    files = [tables.read_json(tmp_path / name / "manifest.json")["files"] for name in ("whole", "killed")]
    assert files[0] == files[1] and again["metrics"] == whole["metrics"]


def test_recomputed_activations_and_parts_of_a_batch_change_nothing(survey, base, tmp_path) -> None:
    few = settings(epochs=0.2).model_copy(update={"lora": settings().lora.model_copy(update={"dropout": 0.0})})
    plan = few.training.model_copy(update={"gradient_checkpointing": True, "batch": 5, "accumulate": 2})
    one = train(tmp_path, "one", survey, base, how=few)
    two = train(tmp_path, "two", survey, base, how=few.model_copy(update={"training": plan}))
    assert two["counts"]["examples"] == one["counts"]["examples"] == 70
    assert two["metrics"]["val_loss"] == pytest.approx(one["metrics"]["val_loss"], rel=0.02)


def test_what_was_done_is_handed_back(trained, survey, base, tmp_path) -> None:
    folder, manifest = trained
    shutil.rmtree(folder)
    again = train(folder.parent, "model", survey, base, how=settings(epochs=10.0))
    assert again["numbers"] == manifest["numbers"] and (folder / "projector.safetensors").is_file()


def test_a_second_stage_goes_on_from_the_first(trained, survey, base, tmp_path) -> None:
    folder, manifest = trained
    rng = np.random.default_rng(0)
    labels = survey.labels.set_column(
        survey.labels.column_names.index("mg_fe"), "mg_fe", [0.2 * rng.standard_normal(len(survey.labels))]
    )
    second = train(tmp_path, "second", survey, base, task=NAMED, start=folder, labels=labels)
    assert second["numbers"]["feh"] == manifest["numbers"]["feh"]  # as learnt
    one, two = (load_file(path / "projector.safetensors") for path in (folder, tmp_path / "second"))
    assert np.array_equal(one["mean"], two["mean"]) and not np.array_equal(one["map.weight"], two["map.weight"])
    table = ask(tmp_path / "second", survey, base, tmp_path, task=NAMED).to_pandas()
    assert (table.status == "ok").all() and table.class_pred.isna().all()


def test_zero_shot_answers_as_the_first_does(trained, survey, base, tmp_path) -> None:
    folder, manifest = trained
    as_it_is = settings().model_copy(update={"transfer": LanguageTransfer(strategy="zero_shot")})
    fewer = task_of("atmosphere", ["feh", "logg"])
    zero = train(tmp_path, "zero", survey, base, task=fewer, how=as_it_is, start=folder)
    for name in ("projector.safetensors", "adapter_model.safetensors"):
        assert (tmp_path / "zero" / name).read_bytes() == (folder / name).read_bytes()
    assert zero["numbers"] == {label: manifest["numbers"][label] for label in fewer.labels}
    assert zero["counts"]["trainable_parameters"] == zero["counts"]["steps"] == 0
    assert len((tmp_path / "zero/loss.csv").read_text().splitlines()) == 2
    table = ask(tmp_path / "zero", survey, base, tmp_path, task=fewer).to_pandas()
    assert (table.status == "ok").all()


# ---------------------------------------------------------------- estimates


@pytest.fixture(scope="module")
def estimated(tmp_path_factory, survey, base):
    """A model whose tokens hold estimates; the language model has hardly learnt to read them."""
    folder = tmp_path_factory.mktemp("estimated")
    return folder / "model", train(folder, "model", survey, base, how=settings(**BRIEF), encoding=ESTIMATING)


def estimates_of(folder, survey):
    """(n, labels) in the labels' units, of the test spectra in order of obsid."""
    manifest = tables.read_json(folder / "manifest.json")
    projector = load_projector(ESTIMATING, GRID, 64, folder, manifest)
    order = [row for row in np.argsort(survey.obsid) if survey.split[row] == "test"]
    seen = pixels(survey.flux[order], ESTIMATING.coarse, wavelength_grid(WAVE))
    read = projector.estimated_from(*map(torch.from_numpy, seen))
    scales = [manifest["numbers"][label] for label in labels_of(manifest)]
    low, high = (np.array([scale[name] for scale in scales]) for name in ("low", "high"))
    return low + (high - low) * projector.estimates.fractions(read).numpy(), survey.y[order]


def test_estimates_are_of_the_labels_and_their_settings_chosen_on_validation_spectra(estimated, survey) -> None:
    """The survey is linear in its labels: least squares on the flux itself is what can be reached."""
    folder, manifest = estimated
    found, truth = estimates_of(folder, survey)
    train_rows = np.flatnonzero(survey.split == "train")
    for j in range(3):
        known = train_rows[np.isfinite(survey.y[train_rows, j])]
        design = np.column_stack([np.ones(len(survey.flux)), survey.flux]).astype(float)
        weights = np.linalg.lstsq(design[known], survey.y[known, j], rcond=None)[0]
        order = [row for row in np.argsort(survey.obsid) if survey.split[row] == "test"]
        linear = np.nanmean((design[order] @ weights - truth[:, j]) ** 2)
        assert np.nanmean((found[:, j] - truth[:, j]) ** 2) < max(4 * linear, 0.05 * np.nanvar(truth[:, j]))
    said = manifest["estimates"]
    assert said["tried"] == 6 and {each["components"] for each in said["networks"]} <= {2, 4, 8}
    alone = [each["val_error"] for each in said["networks"]]
    assert alone == sorted(alone) and 0 < said["val_error"] < np.mean(alone)  # a mean errs less than its parts
    assert manifest["counts"]["spectrum_tokens"] == 4 + 1 + 3


def test_estimates_stay_for_the_starts_labels_and_are_fresh_for_others(estimated, survey, base, tmp_path) -> None:
    folder, _ = estimated
    as_it_is = settings(**BRIEF).model_copy(update={"transfer": LanguageTransfer(strategy="zero_shot")})
    fewer = task_of("atmosphere", ["feh", "logg"])
    train(tmp_path, "zero", survey, base, task=fewer, how=as_it_is, start=folder, encoding=ESTIMATING)
    found, _ = estimates_of(folder, survey)
    assert estimates_of(tmp_path / "zero", survey)[0] == pytest.approx(found[:, [2, 1]], rel=1e-4)
    table = ask(tmp_path / "zero", survey, base, tmp_path, task=fewer, encoding=ESTIMATING).to_pandas()
    assert (table.status == "ok").all()
    labels = survey.labels.set_column(
        survey.labels.column_names.index("mg_fe"), "mg_fe", [survey.labels["feh"].to_numpy() * -0.5 + 0.1]
    )
    how = {"how": settings(**BRIEF), "start": folder, "labels": labels, "encoding": ESTIMATING}
    second = train(tmp_path, "second", survey, base, task=NAMED, **how)
    found, truth = estimates_of(tmp_path / "second", survey)
    assert "estimates" in second and np.nanstd(found[:, 1] - truth[:, 2]) < 0.5 * np.nanstd(truth[:, 2])
    assert np.corrcoef(found[:, 0], found[:, 1])[0, 1] < -0.9


# ---------------------------------------------------------------- answers


def test_batches_and_order_change_no_answer(trained, survey, base, tmp_path) -> None:
    folder, _ = trained
    one = ask(folder, survey, base, tmp_path, batch=32).to_pandas()
    two = ask(folder, survey, base, tmp_path, batch=7, state="other").to_pandas()
    assert two.obsid.tolist() == one.obsid.tolist() == sorted(one.obsid)
    assert two.value.to_numpy() == pytest.approx(one.value.to_numpy(), rel=1e-3, abs=1e-2)


def test_finished_blocks_are_handed_back(trained, survey, base, tmp_path, monkeypatch) -> None:
    from starglot.inference import patch_answers

    folder, _ = trained
    first = ask(folder, survey, base, tmp_path)
    monkeypatch.setattr(patch_answers, "read_answers", None)
    assert ask(folder, survey, base, tmp_path).equals(first)


def test_a_projector_of_another_encoding_is_refused(trained, survey, base, tmp_path) -> None:
    with pytest.raises(StarglotError) as error:
        load_projector(ENCODING.model_copy(update={"width": 8}), GRID, 64, *trained)
    assert str(error.value.where).endswith("projector.safetensors")


def test_a_model_with_another_projector_than_it_was_trained_with_is_refused(trained, survey, base, tmp_path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(trained[0], copied)
    path = copied / "projector.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(StarglotError):
        ask(copied, survey, base, tmp_path)


# ---------------------------------------------------------------- questions


def test_questions_have_a_place_for_the_tokens(survey, tmp_path) -> None:
    files = {"train": 2, "val": 1, "test": 1}
    write_token_qa(tmp_path, TASK, WAVE, survey.sample, survey.labels, files, seed=1)
    rows = []
    for path in sorted(Path(tmp_path).glob("train-*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            rows += [json.loads(line) for line in lines]
    assert sorted(row["obsid"] for row in rows) == sorted(survey.of("train")["obsid"].to_pylist())
    truth = {each["obsid"]: each for each in survey.labels.to_pylist()}
    for row in rows[:50]:
        assert parse_question(TASK, row["question"]) == (TASK.labels, "") and row["question"].endswith(
            "<flux></flux>"
        )
        said = parse(TASK, TASK.labels, row["answer"])
        assert said.values["teff"] == pytest.approx(truth[row["obsid"]]["teff"], abs=0.5)
