"""Patch tokens on a base whose tokenizer takes numbers apart, digit by digit: three digits a label."""

from __future__ import annotations

import numpy as np
import patch_models as case
import pytest
import torch
from baseline_spectra import NAMED, TASK
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

from refusals import refused
from starglot.config.bases.random import LikeBase
from starglot.inference.patch_answers import read_answers, weigh_answers_alone
from starglot.language.number_answers import AnswerTokens
from starglot.models.bases import describe
from starglot.tables import read_json
from starglot.training.answer_loss import AnswerLoss
from starglot.training.data import IGNORED
from starglot.training.random_base import make_like_base


def digitwise() -> PreTrainedTokenizerFast:
    """A token for each printable character."""
    characters = [chr(code) for code in range(32, 127)]
    vocabulary = {piece: n for n, piece in enumerate([*characters, "<s>", "</s>"])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digitwise")
    tokenizer = digitwise()
    set_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape, initializer_range=0.08)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("task", [TASK, NAMED])
def test_a_number_is_three_digits(task) -> None:
    tokenizer = digitwise()
    answer = AnswerTokens(tokenizer, task, [tokenizer.eos_token_id])
    numbers = np.array([[12.4, 999.0, 1200.0][: len(task.labels)]])
    text = tokenizer.decode(answer.tokens(numbers, np.array([3]))[0][:-1].tolist())
    assert text == ("[ 'K', '012', '999', '999']" if task is TASK else "[MG_FE:'012', [Fe/H]:'999']")
    assert answer.parts(numbers)[0, 0].tolist() == [0, 1, 2] and answer.slots.shape == (len(task.labels), 3)


def test_the_losses_of_three_digits_add_up_to_the_divergence_of_the_number() -> None:
    """On average over what is fed: the chain rule, with a distribution over numbers that is known."""
    tokenizer = digitwise()
    answer = AnswerTokens(tokenizer, TASK, [])
    loss = AnswerLoss(answer, case.SCALES, huber=0.0, text=0.0, of_class=1.0)
    grid = np.arange(1000)
    believed = np.exp(-0.5 * ((grid - 430) / 30) ** 2) + 1e-4
    believed /= believed.sum()
    target = torch.tensor([[np.nan, np.nan, 418.0]])
    width = case.SCALES[2].error / case.SCALES[2].step
    soft = np.exp(-0.5 * ((grid - 418) / width) ** 2)
    soft /= soft.sum()
    labels = torch.full((1, len(answer)), IGNORED)
    labels[:, 0] = 0  # one token of text, so that there is a mean over some; its weight is 0
    found = 0.0
    for number in np.flatnonzero(soft > 1e-6):
        digits = answer.parts(np.array([[0, 0, number]]))
        logits = torch.full((1, len(answer), len(tokenizer)), -30.0)
        part = believed
        for place, unit in enumerate((100, 10, 1)):
            chance = part.reshape(10, unit).sum(axis=1)
            logits[0, answer.slots[2, place], answer.numbers] = torch.tensor(np.log(chance / chance.sum())).float()
            part = part.reshape(10, unit)[digits[0, 2, place]]
        found += soft[number] * float(loss(logits, labels, target, torch.from_numpy(digits)))
    assert found == pytest.approx((soft * np.log((soft + 1e-300) / believed)).sum(), rel=1e-3)


def test_it_learns_and_every_answer_is_one(survey, base, tmp_path) -> None:
    how = case.settings(epochs=3.0, learning_rate=1e-2)
    manifest = case.train(tmp_path, "model", survey, base, how=how)
    frame = case.ask(tmp_path / "model", survey, base, tmp_path).to_pandas()
    assert (frame.status == "ok").all() and len(frame) == 3 * 80 and (frame.sigma_raw > 0).all()
    teff = frame[frame.label == "teff"]
    assert 1 - ((teff.value - teff.truth) ** 2).mean() / teff.truth.var() > 0.5
    assert set(manifest["numbers"]) == set(TASK.labels)


def test_a_killed_training_ends_as_if_it_had_not_been_killed(survey, base, tmp_path, monkeypatch) -> None:
    from starglot.training import patch_draws

    how = case.settings(epochs=0.6)
    case.train(tmp_path, "model", survey, base, how=how)
    drawn = patch_draws.PatchDraws.__getitem__

    def stop(self, number):
        if number >= 150:
            raise KeyboardInterrupt
        return drawn(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(patch_draws.PatchDraws, "__getitem__", stop)
        with pytest.raises(KeyboardInterrupt):
            case.train(tmp_path, "killed", survey, base, how=how)
    case.train(tmp_path, "killed", survey, base, how=how)
    files = [read_json(tmp_path / name / "manifest.json")["files"] for name in ("model", "killed")]
    assert files[0] == files[1]


def test_value_and_sigma_are_those_of_all_thousand_numbers(survey, base, tmp_path) -> None:
    """The tree leaves out what is rare: with nothing pruned, the first number's moments by brute force."""
    from starglot.inference import patch_answers
    from starglot.language.patch_prompt import Prompt
    from starglot.models.llm import load_base, load_tokenizer
    from starglot.models.patch_llm import SpectrumLlm
    from starglot.models.projector import Projector, statistics_of
    from starglot.spectra.pixels import pixels
    from starglot.spectra.resample import wavelength_grid

    fine, coarse = pixels(survey.flux[:20], case.ENCODING.coarse, wavelength_grid(case.WAVE))
    torch.manual_seed(1)
    projector = Projector(case.ENCODING, fine.shape[1], 64, 1.0, statistics_of(fine, coarse, 8))
    llm = load_base(base, "none", on_gpu=False)
    llm.lm_head.weight.data *= 30  # not all the same chances
    model = SpectrumLlm(projector, llm, Prompt(load_tokenizer(base), NAMED, case.WAVE)).eval()
    inputs = torch.from_numpy(fine[:2]), torch.from_numpy(coarse[:2])
    scales = dict(zip(NAMED.labels, case.SCALES[1:], strict=True))
    answer, grid = model.prompt.answer, np.arange(1000)
    ids = torch.from_numpy(answer.tokens(np.stack([grid, grid * 0], axis=1), np.zeros(1000, int)))
    with torch.no_grad():
        told = [model(*(each[row : row + 1].expand(1000, -1) for each in inputs), ids) for row in range(2)]
    weigh_answers_alone(model)
    before = patch_answers._PRUNE
    try:
        patch_answers._PRUNE = 1e-9
        found = read_answers(model, *inputs, scales)
    finally:
        patch_answers._PRUNE = before
    for row, logits in enumerate(told):
        chance = logits[:, answer.slots[0]][..., answer.numbers].double().softmax(-1).numpy()
        p = np.prod([chance[grid, k, answer.parts(grid[:, None])[:, 0, k]] for k in range(3)], axis=0)
        mean = (p * grid).sum()
        scale = scales[NAMED.labels[0]]
        assert p.sum() == pytest.approx(1, abs=1e-6)
        assert found.value[row, 0] == pytest.approx(scale.low + scale.step * mean, abs=0.05 * scale.step)
        spread = np.sqrt((p * (grid - mean) ** 2).sum())
        assert found.sigma[row, 0] == pytest.approx(scale.step * spread, rel=1e-3)


# ---------------------------------------------------------------- bases like another one


def like(folder, base, **given):
    settings = LikeBase.model_validate({"kind": "like", "base": str(base), **given})
    make_like_base(settings, describe(base, folder / "known"), folder)
    return load_file(folder / "model.safetensors")


def test_a_base_like_another_has_its_tokens_and_other_layers(base, tmp_path) -> None:
    own = load_file(base / "model.safetensors")
    drawn = like(tmp_path / "random", base, weights="random", seed=5)
    moved = like(tmp_path / "shuffled", base, weights="shuffled")
    assert own.keys() == drawn.keys() == moved.keys()
    for name, weight in own.items():
        if "embed_tokens" in name or "lm_head" in name:
            assert np.array_equal(weight, drawn[name]) and np.array_equal(weight, moved[name])
        elif weight.ndim == 2:
            assert np.array_equal(np.sort(weight.ravel()), np.sort(moved[name].ravel()))
            assert not np.array_equal(weight, moved[name]) and not np.array_equal(weight, drawn[name])
            assert drawn[name].std() == pytest.approx(0.08, rel=0.1)
    again = like(tmp_path / "again", base, weights="shuffled")
    assert all(np.array_equal(again[name], moved[name]) for name in moved)
    other = like(tmp_path / "other", base, weights="shuffled", seed=1)
    assert not all(np.array_equal(other[name], moved[name]) for name in moved)


def test_the_first_layers_of_a_base_are_one(base, tmp_path) -> None:
    own, cut = load_file(base / "model.safetensors"), like(tmp_path / "cut", base, weights="own", layers=1)
    assert set(own) - set(cut) == {name for name in own if "layers.1." in name}
    assert all(np.array_equal(own[name], cut[name]) for name in cut)
    with refused(2, 3):
        like(tmp_path / "more", base, weights="own", layers=3)
