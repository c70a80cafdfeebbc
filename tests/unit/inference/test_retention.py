"""Language retention: which sets can be asked, what a model's answers are, and what the table makes of them."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from prediction_tables import predictions
from question_sets import ROWS, answers, write_set

from refusals import at, refused
from starglot.config.bases.random import RandomBase
from starglot.config.checks.across_keys import cross_check
from starglot.config.kinds.llm import Lora
from starglot.config.load import read_config
from starglot.config.retained import retention_models, untuned_models, untuned_name
from starglot.config.retention import Retention
from starglot.config.root import Config
from starglot.evaluation.retention import NOTES, estimates, retention_table
from starglot.evaluation.tables_io import read_table, write_table
from starglot.inference.retention import ask_set
from starglot.language.question_sets import read_set
from starglot.models import llm
from starglot.models.bases import describe
from starglot.plots.retention import draw_retention
from starglot.tables import read_json, write_json
from starglot.training.random_base import make_random_base

# ---------------------------------------------------------------- question sets


def test_a_set_knows_its_files_and_its_metric(tmp_path: Path) -> None:
    found = read_set(write_set(tmp_path))
    assert found.files == [tmp_path / "colours.yaml", tmp_path / "colours.jsonl"] and found.metric == "acc"
    assert found.task["dataset_kwargs"]["data_files"] == {"test": [str(tmp_path / "colours.jsonl")]}
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "colours.jsonl").rename(tmp_path / "elsewhere/all.jsonl")
    split = {"test": str(tmp_path / "elsewhere/all.jsonl"), "dev": "elsewhere/all.jsonl"}
    path = write_set(tmp_path, dataset_kwargs={"data_files": split})
    assert read_set(path).data == (tmp_path / "elsewhere/all.jsonl",)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dataset_path": "cais/mmlu"}, "cais/mmlu"),
        ({"dataset_kwargs": None}, "dataset_kwargs"),
        ({"dataset_kwargs": {"data_files": {"test": "absent.jsonl"}}}, "absent.jsonl"),
        ({"dataset_kwargs": {"data_files": {"train": "colours.jsonl"}}}, "test"),
        ({"test_split": None}, "test_split"),
        ({"output_type": "loglikelihood_rolling"}, "loglikelihood_rolling"),
        ({"metric_list": [{"aggregation": "mean"}]}, "metric_list"),
        ({"include": "other.yaml"}, "include"),
    ],
)
def test_a_set_that_is_not_local_or_no_task_is_refused(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    path = write_set(tmp_path, **changes)
    with refused(named, where=path, todo="docs/retention.md"):
        read_set(path)


def test_a_set_that_is_not_there_or_runs_code_is_refused(tmp_path: Path) -> None:
    with refused(where=tmp_path / "none.yaml", allowed="retention.sets"):
        read_set(tmp_path / "none.yaml")
    path = write_set(tmp_path)
    path.write_text(path.read_text() + "process_docs: !function utils.clean\n")
    with refused("!function", where=path):
        read_set(path)


# ---------------------------------------------------------------- answers

asks = pytest.mark.skipif(
    find_spec("lm_eval") is None, reason="lm_eval is not installed (the extra `retention`: make lm-eval)"
)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """An adapter whose weights do something, though they were never trained."""
    folder = tmp_path_factory.mktemp("adapter")
    model = llm.attach_adapter(llm.load_base(base, "none"), Lora(rank=4, alpha=8, dropout=0.0), seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(len(name)))
    model.save_pretrained(str(folder))
    llm.load_tokenizer(base).save_pretrained(str(folder))
    write_json({"base": describe(base, folder / "known.json"), "files": {}}, folder / "manifest.json")
    return folder


def ask(
    path: Path, base: Path, adapter: Path | None = None, quantisation: Any = "none", **how: Any
) -> dict[str, Any]:
    about = describe(base, base.parent / "known.json")
    return ask_set(read_set(path), Retention(batch=4, **how), about, base, adapter, quantisation)


def best_choice(base: Path, adapter: Path | None, quantisation: str, row: Any) -> int:
    """The choice whose tokens are most probable after the question: one pass for each, without lm_eval."""
    model, tokenizer = llm.load_for_inference(base, adapter, quantisation)
    asked = tokenizer(f"Question: {row['question']}\nAnswer:")["input_ids"]
    sums = []
    for choice in row["choices"]:
        ids = tokenizer(f"Question: {row['question']}\nAnswer: {choice}")["input_ids"]
        assert ids[: len(asked)] == asked, "the question's tokens are the same with its answer behind them"
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        told = ids[len(asked) :]
        sums.append(float(logits[range(len(asked) - 1, len(ids) - 1), told].sum()))
    return int(np.argmax(sums))


@asks
@pytest.mark.parametrize("quantisation", ["none", "nf4"])
def test_a_model_gives_its_most_probable_choice(tmp_path: Path, base: Path, adapter: Path, quantisation: str) -> None:
    path = write_set(tmp_path)
    before, after = (ask(path, base, one, quantisation) for one in (None, adapter))
    for said, folder in ((before, None), (after, adapter)):
        assert [each["answer"] for each in said["answers"]] == [
            best_choice(base, folder, quantisation, row) for row in ROWS
        ]
        right = [each["answer"] == row["answer"] for each, row in zip(said["answers"], ROWS, strict=True)]
        assert [each["right"] for each in said["answers"]] == right and said["accuracy"] == np.mean(right)
    assert [each["answer"] for each in before["answers"]] != [each["answer"] for each in after["answers"]]
    assert before["conditions"] == after["conditions"], "base and tuned model are asked alike"
    assert before["chance"] == pytest.approx(np.mean([1 / len(row["choices"]) for row in ROWS]))
    tokenizer = llm.load_tokenizer(base)
    assert before["conditions"]["first_prompt"] == tokenizer(f"Question: {ROWS[0]['question']}\nAnswer:")["input_ids"]


@asks
def test_a_limit_draws_the_same_questions_for_all(tmp_path: Path, base: Path, adapter: Path) -> None:
    path = write_set(tmp_path)
    whole = {each["question"]: each for each in ask(path, base)["answers"]}
    few, tuned = (ask(path, base, one, limit=5) for one in (None, adapter))
    numbers = [each["question"] for each in few["answers"]]
    assert len(numbers) == 5 and numbers == sorted(numbers) != list(range(5))
    assert [each["question"] for each in tuned["answers"]] == numbers
    assert [each["answer"] for each in few["answers"]] == [whole[number]["answer"] for number in numbers]
    assert [each["question"] for each in ask(path, base, limit=5, seed=1)["answers"]] != numbers


@asks
def test_free_text_is_scored_and_has_no_chance(tmp_path: Path, base: Path) -> None:
    changes = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "{{answer}}"}
    generated = {"generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": 4}}
    path = write_set(tmp_path, ROWS[:3], **changes, **generated, metric_list=[{"metric": "exact_match"}])
    said = ask(path, base)
    assert said["chance"] == 0 and 0 <= said["accuracy"] <= 1
    assert all(isinstance(each["answer"], str) for each in said["answers"])


@asks
@pytest.mark.parametrize("answer", [7, -1, "yellow", None, True])
def test_an_answer_that_is_no_choice_is_refused_with_its_question(tmp_path: Path, base: Path, answer: Any) -> None:
    path = write_set(tmp_path, [ROWS[0], {**ROWS[1], "answer": answer}])
    with refused(2, where=path, allowed="doc_to_target"):
        ask(path, base)


@asks
def test_what_lm_eval_cannot_read_is_refused(tmp_path: Path, base: Path) -> None:
    path = write_set(tmp_path / "a")
    (tmp_path / "a/colours.jsonl").write_text("no JSON\n")
    with refused(where=path, todo="docs/retention.md"):
        ask(path, base)
    path = write_set(tmp_path / "b", metric_list=[{"metric": "exact_match"}, {"metric": "acc"}])
    assert ask(path, base)["conditions"]["metric"] == "exact_match"
    with refused("chat template", where=base, todo="retention.template"):
        ask(path, base, template="chat")


@asks
def test_questions_can_be_turns_of_a_chat(tmp_path: Path, base: Path) -> None:
    chatty = tmp_path / "chatty"
    shutil.copytree(base, chatty)
    tokenizer = llm.load_tokenizer(base)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for turn in messages %}<{{ turn.role }}> {{ turn.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}"
    )
    tokenizer.save_pretrained(str(chatty))
    said = ask(write_set(tmp_path), chatty, template="chat")
    turn = [{"role": "user", "content": f"Question: {ROWS[0]['question']}\nAnswer:"}]
    wanted = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    assert said["conditions"]["first_prompt_text"] == wanted and said["conditions"]["template"] == "chat"
    assert said["conditions"]["start_token"] == tokenizer.bos_token_id
    assert said["conditions"]["first_prompt"].count(tokenizer.bos_token_id) == 1


@asks
def test_a_second_start_token_is_refused(tmp_path: Path, base: Path) -> None:
    """The tiny tokenizer writes none by itself, so that the set writes both."""
    start = llm.load_tokenizer(base).bos_token
    once = write_set(tmp_path / "a", doc_to_text=start + "{{question}}")
    assert ask(once, base)["conditions"]["start_token"] == llm.load_tokenizer(base).bos_token_id
    twice = write_set(tmp_path / "b", doc_to_text=start + start + "{{question}}")
    with refused(where=twice, todo="doc_to_text"):
        ask(twice, base)


@asks
def test_an_adapter_of_another_base_is_refused(tmp_path: Path, base: Path, adapter: Path) -> None:
    other = tmp_path / "other"
    make_random_base(RandomBase(kind="random", hidden=64, layers=2, heads=2, seed=9), other)
    with refused(where=adapter):
        ask(write_set(tmp_path), other, adapter)


def test_without_lm_eval_it_says_what_to_install(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starglot.extras.find_spec", lambda name: None)
    with refused("lm_eval", todo="'starglot[retention]'"):
        ask(write_set(tmp_path), base)


# ---------------------------------------------------------------- the table


def test_retention_of_known_answers() -> None:
    before = np.repeat([1.0, 0.0], [250, 250])
    after = np.where(np.arange(500) % 5 == 0, 0.0, before)
    found = estimates(before, after, 0.25, 4000, 0)
    assert found["base_accuracy"] == 0.5 and found["accuracy"] == 0.4
    assert found["retention"] == pytest.approx(0.8) and found["retention_corrected"] == pytest.approx(0.6)
    # Binomial: half of an interval is 1.96 sqrt(p (1 - p) / n), and 0.8 is of the 250 questions that the base knew.
    assert (found["accuracy_hi"] - found["accuracy_lo"]) / 2 == pytest.approx(1.96 * np.sqrt(0.24 / 500), rel=0.1)
    assert (found["retention_hi"] - found["retention_lo"]) / 2 == pytest.approx(1.96 * np.sqrt(0.16 / 250), rel=0.1)


def test_a_model_that_answers_as_its_base_has_all_of_it_for_certain() -> None:
    same = np.repeat([1.0, 0.0], [30, 20])
    found = estimates(same, same, 0.25, 500, 0)
    for name in ("retention", "retention_corrected"):
        assert [found[f"{name}{end}"] for end in ("", "_lo", "_hi")] == [1.0, 1.0, 1.0]


def test_a_base_at_chance_has_nothing_to_lose() -> None:
    before, after = np.repeat([1.0, 0.0], [10, 30]), np.repeat([1.0, 0.0], [20, 20])
    found = estimates(before, after, 0.25, 500, 0)
    assert found["retention"] == 2.0 and np.isnan(found["retention_corrected"])
    assert np.isnan(found["retention_corrected_lo"])


def results(folder: Path) -> tuple[dict[Any, Path], list[Path], dict[Any, Path]]:
    """Answers of a base and of two models to a set, and the models' predictions of Teff."""
    right = np.arange(40) % 4 != 0
    write_json(answers(right), folder / "base.json")
    tuned, told = {}, {}
    for model, lost in (("mild", 1), ("harsh", 3)):
        tuned["t", model, "s", "colours"] = folder / f"{model}.json"
        write_json(answers(right & (np.arange(40) >= 4 * lost)), folder / f"{model}.json")
        told["t", model, "s"] = folder / model / "test.parquet"
        told["t", model, "s"].parent.mkdir()
        pq.write_table(predictions(["teff"], error=lost), told["t", model, "s"])
    return tuned, [folder / "base.json"], told


def test_the_table_has_language_and_spectra_of_the_same_model(tmp_path: Path) -> None:
    tuned, untuned, told = results(tmp_path)
    table = retention_table(tuned, untuned, told, "teff", replicates=200)
    assert list(table["model"]) == ["mild", "harsh"] and set(table["n_questions"]) == {40}
    assert set(table["base_accuracy"]) == {0.75} and list(table["retention"]) == pytest.approx([0.9, 0.7])
    assert set(table["constant_accuracy"]) == {0.25} and set(table["set"]) == {"test"}
    for row in table.itertuples():
        frame = pq.read_table(told["t", row.model, "s"]).to_pandas()
        error = frame["value"] - frame["truth"]
        assert row.mae == pytest.approx(error.abs().mean()) and row.n_spectra == len(frame)
        assert row.constant_mae == pytest.approx((frame["truth"] - frame["truth"].median()).abs().mean())
        assert row.r2 == pytest.approx(1 - (error**2).sum() / ((frame["truth"] - frame["truth"].mean()) ** 2).sum())
    write_table(table, tmp_path / "retention_t", "Language retention.", NOTES)
    pd.testing.assert_frame_equal(read_table(tmp_path / "retention_t.csv"), table, check_dtype=False)
    draw_retention(table, tmp_path / "figure", "Language retention")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_a_base_that_was_asked_otherwise_is_no_comparison(tmp_path: Path) -> None:
    tuned, untuned, told = results(tmp_path)
    write_json({**read_json(untuned[0]), **answers(np.ones(40), batch=1)}, untuned[0])
    with refused("batch", where=tmp_path / "mild.json", todo="snakemake retention"):
        retention_table(tuned, untuned, told, "teff")
    with refused(where=tmp_path / "mild.json"):
        retention_table(tuned, [], told, "teff")


# ---------------------------------------------------------------- configuration


def demo(project: Path, **over: Any) -> Config:
    raw = read_config(project / "config/config.yaml", project / "config/demo.yaml").model_dump(by_alias=True)
    return Config.model_validate({**raw, **over})


def test_models_of_the_run_are_asked_and_compared_with_their_bases(project: Path) -> None:
    config = demo(project)
    asked = retention_models(config, "atmosphere")
    assert asked == [name for name in config.run.models if name.startswith("llm")]
    for name in asked:
        model = config.models[name]
        assert untuned_name(config, model) in untuned_models(config)  # type: ignore[arg-type]
        assert untuned_name(config, model).endswith(f"-{model.quantisation}")  # type: ignore[attr-defined, arg-type]
    assert retention_models(demo(project, retention={"models": ["llm-demo.s1"]}), "atmosphere") == ["llm-demo.s1"]


def test_what_cannot_be_asked_is_a_fault(project: Path) -> None:
    assert at(cross_check(demo(project, retention={"models": ["ridge"]})), "retention.models", "ridge")
    found = cross_check(demo(project, retention={"sets": {"a": "sets/{x}.yaml"}}))
    assert at(found, "retention.sets.a", "'sets/{x}.yaml'")
