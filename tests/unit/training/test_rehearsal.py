"""Rehearsal: what is learnt of a file of ordinary text, in which steps, and what it is good for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from baseline_spectra import GRID, TASK
from torch.utils.data import Dataset

from refusals import refused
from starglot.config.by_size import at_size
from starglot.config.kinds.llm import Llm, Training
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.rehearsal import Rehearsal
from starglot.hashing import file_digest
from starglot.language.chat import frame
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models import llm
from starglot.training.data import IGNORED, Collate
from starglot.training.patches import Spectra, train_patches
from starglot.training.rehearsal import EitherCollate, read_texts, rehearsed

WAVE = Wavelength.model_validate({"start": 4000.0, "stop": 4000.0 + GRID - 1, "step": 1.0})
ENCODING = Patches.model_validate({"form": "patches", "width": 16, "coarse": 4, "directions": 8, "channels": "both"})


def written(path: Path, *entries: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


# ---------------------------------------------------------------- what is read


def test_a_question_stands_in_the_frame_of_questions_about_spectra(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    before, between, after = frame(tokenizer)
    path = written(tmp_path / "q.jsonl", {"question": "What is a star?", "answer": "A ball of gas."})
    ((example,), about) = read_texts(path, tokenizer, 64)
    asked, told = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("What is a star?", "A ball of gas.")
    )
    assert example["prompt"] == [*before, *asked, *between]
    assert example["answer"] == [*told, *after] and all(example["counts"])
    assert about == {"file": file_digest(path), "texts": 1, "cut": 0, "left_out": 0}


def test_plain_text_begins_with_the_start_token_and_paragraphs_are_texts(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    path = tmp_path / "t.txt"
    path.write_text("One text\nof two lines.\n\n \nAnother.\n", encoding="utf-8")
    examples, about = read_texts(path, tokenizer, 64)
    assert about["texts"] == 2
    assert [each["prompt"] for each in examples] == [[tokenizer.bos_token_id]] * 2
    assert tokenizer.decode(examples[0]["answer"], skip_special_tokens=True) == "One text\nof two lines."
    same, _ = read_texts(written(tmp_path / "t.jsonl", {"text": "One text\nof two lines."}), tokenizer, 64)
    assert same == examples[:1]


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    entries = {"text": "a " * 50}, {"question": "b " * 50, "answer": "c"}, {"question": "d", "answer": "e"}
    examples, about = read_texts(written(tmp_path / "l.jsonl", *entries), tokenizer, 20)
    assert (about["texts"], about["cut"], about["left_out"]) == (2, 1, 1)
    assert max(len(each["prompt"]) + len(each["answer"]) for each in examples) == 20


@pytest.mark.parametrize(
    "line",
    ['{"question": "2 + 2?", "answer": 1}', '{"question": "2 + 2?", "choices": ["3", "4"]}', "no JSON", '["text"]'],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "good"}\n\n' + line + "\n", encoding="utf-8")
    with refused(3, where=path, allowed=('"answer"', '"text"')):
        read_texts(path, build_tokenizer(), 64)


def test_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with refused(where=tmp_path / "none.jsonl", todo="training.rehearsal.file"):
        read_texts(tmp_path / "none.jsonl", build_tokenizer(), 64)
    long = written(tmp_path / "long.jsonl", {"question": "b " * 50, "answer": "c"})
    with refused(1, where=long, todo="training.rehearsal.length"):
        read_texts(long, build_tokenizer(), 20)


# ---------------------------------------------------------------- which steps


class Spectrum(Dataset[dict[str, Any]]):
    """Examples that only have a number."""

    def __len__(self) -> int:
        return 4000

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"number": number}


def test_a_share_of_the_steps_is_text_and_none_is_both(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", *({"text": f"text {number}"} for number in range(7)))
    settings = Rehearsal(file=str(path), share=0.3)
    examples, about = rehearsed(Spectrum(), build_tokenizer(), settings, seed=5, effective=8)
    kinds = np.array(["number" in examples[number] for number in range(len(examples))]).reshape(-1, 8)
    assert set(kinds.sum(axis=1)) == {0, 8}
    text = int((~kinds[:, 0]).sum())
    assert about["steps"] == text and abs(text - 150) < 41  # binomial, 500 steps, four standard deviations
    spectra = [one["number"] for number in range(4000) if "number" in (one := examples[number])]
    assert spectra == list(range(8 * (500 - text))), "none is left out, none comes twice"
    seen = [tuple(one["answer"]) for number in range(4000) if "answer" in (one := examples[number])]
    assert len(set(seen[:7])) == 7 and set(seen) == set(seen[:7]), "each text once a pass"


# ---------------------------------------------------------------- training


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    entries = ({"question": f"Say {number}.", "answer": "the stars are far away"} for number in range(20))
    return written(tmp_path_factory.mktemp("texts") / "t.jsonl", *entries)


def fitted(folder: Path, survey: Any, base: Path, share: float, texts: Path) -> tuple[Path, dict[str, Any]]:
    training = {"epochs": 6.0, "batch": 10, "accumulate": 1, "gradient_checkpointing": False, "gpus": 0}
    rehearsal = {"rehearsal": {"file": str(texts), "share": share, "length": 64}} if share else {}
    settings = PatchLlm.model_validate(
        {
            "kind": "patch_llm",
            "base": "r",
            "encoding": "p",
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
            "training": {**training, **rehearsal},
        }
    )
    spectra = Spectra(survey.sample, survey.labels, survey.shard_path, {"sample": "s"})
    out = folder / f"m{share}"
    about = (settings, TASK, ENCODING, WAVE, "s", str(base), None, spectra, out, folder / f"s{share}")
    return out, train_patches(*about, {"share": share})


def loss_of_text(base: Path, adapter: Path, texts: Path) -> float:
    """Mean cross-entropy of the answers, by the library's own loss."""
    model, tokenizer = llm.load_for_inference(base, adapter)
    examples, _ = read_texts(texts, tokenizer, 64)
    batch = Collate(tokenizer.pad_token_id)(examples)
    labels = torch.full_like(batch["input_ids"], IGNORED)
    labels[:, -batch["labels"].shape[1] :] = batch["labels"]
    with torch.no_grad():
        return float(model(input_ids=batch["input_ids"], labels=labels).loss)


def test_text_is_learnt_among_spectra(tmp_path: Path, survey: Any, base: Path, texts: Path) -> None:
    alone, about = fitted(tmp_path, survey, base, 0.0, texts)
    mixed, also = fitted(tmp_path, survey, base, 0.3, texts)
    assert "rehearsal" not in about
    assert also["rehearsal"]["file"] == file_digest(texts) and also["rehearsal"]["texts"] == 20
    assert also["counts"]["steps"] == about["counts"]["steps"], "the steps of text are among those of the training"
    assert 0 < also["rehearsal"]["steps"] < also["counts"]["steps"]
    assert loss_of_text(base, mixed, texts) < 0.6 * loss_of_text(base, alone, texts)


def test_the_loss_of_a_step_of_text_is_the_librarys(base: Path, texts: Path, survey: Any) -> None:
    from starglot.language.number_answers import NumberScale
    from starglot.language.patch_prompt import Prompt
    from starglot.models.patch_llm import SpectrumLlm, token_size, width_of
    from starglot.models.projector import Projector, statistics_of
    from starglot.spectra.pixels import pixels
    from starglot.spectra.resample import wavelength_grid
    from starglot.training.answer_loss import AnswerLoss, WithLoss

    model = llm.load_base(base, "none")
    tokenizer = llm.load_tokenizer(base)
    prompt = Prompt(tokenizer, TASK, WAVE)
    flux = np.random.default_rng(0).integers(800, 1000, (20, GRID)).astype(np.int16)
    statistics = statistics_of(*pixels(flux, ENCODING.coarse, wavelength_grid(WAVE)), ENCODING.directions)
    projector = Projector(ENCODING, WAVE.size, width_of(model), token_size(model), statistics)
    scales = [NumberScale(0, 1, 0.1, 0.5) for _ in TASK.labels]
    both = WithLoss(SpectrumLlm(projector, model, prompt), AnswerLoss(prompt.answer, scales, 1.0, 1.0, 1.0))
    examples, _ = read_texts(texts, tokenizer, 64)
    batch = EitherCollate(lambda _: {}, Collate(tokenizer.pad_token_id))(examples)
    whole = torch.full_like(batch["input_ids"], IGNORED)
    whole[:, -batch["labels"].shape[1] :] = batch["labels"]
    loss = both(**batch)["loss"]
    assert float(loss) == pytest.approx(float(model(input_ids=batch["input_ids"], labels=whole).loss), rel=1e-5)
    loss.backward()
    gradients = [weight.grad for weight in projector.parameters() if weight.requires_grad]
    assert gradients and all(each is not None and not each.any() for each in gradients)


# ---------------------------------------------------------------- configuration


def test_trainings_without_it_depend_on_no_such_setting() -> None:
    assert "rehearsal" not in Training().model_dump() and "rehearsal" not in Training().model_dump(mode="json")
    said = {"kind": "llm", "base": "b", "encoding": "e", "by_size": {"small": {"rehearsal": {"file": "t.txt"}}}}
    model = Llm.model_validate(said)
    assert at_size(model, "small").training.rehearsal == Rehearsal(file="t.txt")
    assert at_size(model, "large").training.rehearsal is None
    assert Llm.model_validate(model.model_dump(mode="json")) == model
