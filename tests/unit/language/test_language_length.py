"""Prompts against the positions of a base, with tokenizers that keep three digits together and that do not."""

import gzip
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from transformers import BloomConfig, Gemma2Config, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config

from refusals import holds, refused
from starglot.config.bases.tiny import TinyBase
from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.language.answers import render
from starglot.language.length import check_length, positions, warn_of_length, window
from starglot.language.prompts import question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens
from starglot.models.tiny import build_tiny
from starglot.spectra.sample_flux import CleanedSpectra
from tasks import task_of

GRID = Wavelength(start=4000, stop=4299)
TASK = task_of("atmosphere", ["teff"], source="lamost", balanced=True, sizes={"s": 4})


def bytewise():
    """Every character is a token, as digits are with SmolLM2, Qwen or Mistral."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="!")


def tokens(tokenizer, **encoding):
    return PromptTokens(tokenizer, TASK, Encoding(**encoding), GRID)


def test_what_a_value_costs():
    assert tokens(build_tokenizer(), form="packed").per_value() == pytest.approx(1)
    assert tokens(bytewise(), form="packed").per_value() == pytest.approx(3)
    assert tokens(bytewise(), form="packed", bin=10).per_value() == pytest.approx(3)
    assert 6 < tokens(bytewise(), form="paper").per_value() < 7  # "0.303, " and now and then "0.3, "


@pytest.mark.parametrize(
    ("config", "most"),
    [
        (LlamaConfig(max_position_embeddings=4096), 4096),
        (GPT2Config(), 1024),
        (BloomConfig(), None),  # ALiBi: no positions
        # Stretched positions, counted in the number (Llama 3.1) and not counted (Qwen2.5 with YaRN).
        (
            LlamaConfig(
                max_position_embeddings=131072,
                rope_scaling={
                    "rope_type": "llama3",
                    "factor": 8.0,
                    "original_max_position_embeddings": 8192,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                },
            ),
            131072,
        ),
        (
            Qwen2Config(
                max_position_embeddings=32768,
                rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            ),
            131072,
        ),
    ],
)
def test_the_positions_of_a_base(config, most):
    assert positions(config) == most


@pytest.mark.parametrize(
    ("config", "width"),
    [
        (LlamaConfig(), None),
        (MistralConfig(sliding_window=4096), 4096),
        (MistralConfig(sliding_window=None), None),
        (Qwen2Config(sliding_window=4096, use_sliding_window=False), None),
        (Gemma2Config(sliding_window=4096), None),  # every other layer sees all
    ],
)
def test_how_far_back_all_layers_see(config, width):
    assert window(config) == width


def test_the_last_position_can_be_used_and_no_further_one():
    asked, config = tokens(bytewise(), form="packed"), LlamaConfig(max_position_embeddings=1000)
    check_length(950, 50, asked, config, "mine")
    with refused(951, 50, 1000, where="mine", allowed=(1000, 3, 300), todo="bin: 2") as caught:
        check_length(951, 50, asked, config, "mine")
    assert "form: packed" not in caught.value.todo
    with refused(todo="form: packed"):
        check_length(951, 50, tokens(bytewise(), form="paper"), config, "mine")


def test_a_base_without_positions_has_its_tokenizers_limit():
    tokenizer = bytewise()
    check_length(10**6, 50, tokens(tokenizer, form="packed"), BloomConfig(), "mine")
    tokenizer.model_max_length = 2048
    with refused():
        check_length(2048, 1, tokens(tokenizer, form="packed"), BloomConfig(), "mine")


def test_what_costs_but_is_no_fault_is_said(caplog):
    caplog.set_level(logging.WARNING)
    plain, long = LlamaConfig(max_position_embeddings=8192), MistralConfig(sliding_window=512)
    warn_of_length(400, 50, tokens(build_tokenizer(), form="packed"), plain, "mine")
    warn_of_length(400, 50, tokens(bytewise(), form="paper"), long, "mine")
    assert not caplog.records
    warn_of_length(950, 50, tokens(bytewise(), form="packed"), plain, "mine")
    warn_of_length(500, 50, tokens(build_tokenizer(), form="packed"), long, "mine")
    tokenizer = build_tokenizer()
    tokenizer.model_max_length = 512
    warn_of_length(500, 50, tokens(tokenizer, form="packed"), plain, "mine")
    said = [record.getMessage() for record in caplog.records if record.name.startswith("starglot")]
    assert len(said) == 3
    assert holds(said[0], 3) and holds(said[1], 512) and holds(said[2], 512)


def test_a_question_that_is_too_long_stops_training_before_it_starts(tmp_path):
    """One spectrum among many is long: in the paper's form a number has two to six characters."""
    from starglot.training.finetune import finetune

    build_tiny(
        TinyBase(kind="tiny", task="t", size="s", encoding="e", hidden=32, layers=1, heads=2), build_tokenizer()
    ).save_pretrained(tmp_path / "base")
    bytewise().save_pretrained(tmp_path / "base")
    encoding = Encoding(form="paper", bin=100)
    paths = []
    for split, fluxes in {
        "train": ["0.3, 0.3, 0.3"] * 80 + ["0.303, 0.302, 0.301"],
        "val": ["0.3, 0.3, 0.3"],
    }.items():
        paths.append(tmp_path / f"{split}-0000.jsonl.gz")
        with gzip.open(paths[-1], "wt") as out:
            for obsid, flux in enumerate(fluxes):
                asked = question(TASK, GRID, TASK.labels, flux)
                answer = render(TASK, "K", {"teff": 4828.0}, TASK.labels, "rounded")
                out.write(json.dumps({"obsid": obsid, "question": asked, "answer": answer}) + "\n")
    longest = len(question(TASK, GRID, TASK.labels, "0.303, 0.302, 0.301")) + len("\n") + len(answer) + len("!")
    config = json.loads((tmp_path / "base/config.json").read_text())
    settings = Llm.model_validate({"kind": "llm", "base": "x", "encoding": "e", "training": {"gpus": 0, "epochs": 1}})

    def train(most):
        (tmp_path / "base/config.json").write_text(json.dumps({**config, "max_position_embeddings": most}))
        finetune(
            settings,
            TASK,
            encoding,
            GRID,
            "s",
            str(tmp_path / "base"),
            None,
            paths[:1],
            paths[1:],
            CleanedSpectra(np.empty(0, int), np.empty(0, str), Path, {}),
            tmp_path / "out",
            tmp_path / "state" / "train",
            {"most": most},
        )

    with refused(longest - 1, where=tmp_path / "base"):
        train(longest - 1)
    assert not (tmp_path / "out").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "starglot.models.llm.load_base", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("it starts"))
        )
        with pytest.raises(RuntimeError, match="it starts"):
            train(longest)
