"""What a language model answers to questions of ordinary language, by lm_eval: a base by itself, or with an adapter.

An adapter that was trained with patch tokens is asked without its projector: no spectrum is in the question.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from starglot.config.retention import Retention
from starglot.errors import StarglotError
from starglot.extras import require
from starglot.hashing import file_digest
from starglot.inference.blocks import memory_explained
from starglot.language.question_sets import QuestionSet
from starglot.models.bases import check_base, check_model

log = logging.getLogger(__name__)

#: As many of the first prompt's ids are logged: a second start token is among the first.
_SHOWN = 8


def ask_set(
    questions: QuestionSet,
    how: Retention,
    base: Mapping[str, Any],
    folder: Path,
    adapter: Path | None,
    quantisation: Literal["nf4", "none"],
) -> dict[str, Any]:
    """Answers of one model to one question set, as data: who was asked what and how, accuracy, right or wrong by
    question.

    how: template, batch, limit and seed; base: as of :func:`starglot.models.bases.describe`; folder: where it is;
    adapter: folder of a trained model, None for the base by itself; quantisation: of the base, for both.

    Everything but ``adapter`` and what follows from it is the same for a base and a model that stands on it:
    :func:`starglot.evaluation.retention.retention_table` compares no others.

    Raises StarglotError where lm_eval is not installed, the set is not what lm_eval takes or has a wrong answer, a
    prompt begins with two start tokens, and where the adapter is not as it was trained or of another base.
    """
    require("language retention", "lm_eval")
    os.environ.update(HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1")  # read when the libraries are imported
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from starglot.models.llm import load_for_inference

    if adapter is not None:
        check_base(check_model(adapter), base, adapter)
    with tempfile.TemporaryDirectory(prefix="starglot-") as cache:
        manager = TaskManager(include_defaults=False)
        task = _load(questions, manager, Path(cache))
        rows = list(task.eval_docs)
        choices = list(_choices(task, rows, questions.path))
        model, tokenizer = load_for_inference(folder, adapter, quantisation)
        if how.template == "chat" and not tokenizer.chat_template:
            raise StarglotError(
                "the base has no chat template",
                where=folder,
                allowed="template: none",
                todo="set retention.template to none",
            )
        wrapped = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=how.batch, device=str(model.device))
        drawn = _drawn(len(rows), how)
        with memory_explained(how.batch):
            found = simple_evaluate(
                wrapped,
                tasks=[task],
                samples={task.task_name: drawn},
                apply_chat_template=how.template == "chat",
                bootstrap_iters=0,
                task_manager=manager,  # its own looks through all tasks that lm_eval knows
            )
    samples = _one_each(found["samples"][task.task_name], questions)
    prompt = samples[0]["arguments"][0][0]
    ids = wrapped.tok_encode(prompt)
    log.info("first prompt: %d tokens, %s ...", len(ids), ids[:_SHOWN])
    _one_start(ids, tokenizer.bos_token_id, questions.path)
    answers = [_one_answer(each, questions) for each in samples]
    offered = [choices[each["doc_id"]] for each in samples]
    return {
        "conditions": {
            "files": {path.name: file_digest(path) for path in questions.files},
            "metric": questions.metric,
            "output": str(task.config.output_type),
            "shots": int(task.config.num_fewshot or 0),
            "n": len(answers),
            "base": {name: base[name] for name in ("name", "revision", "digest")},
            "quantisation": quantisation,
            "template": how.template,
            "batch": how.batch,
            "start_token": ids[0] if ids[0] == tokenizer.bos_token_id else None,
            "first_prompt": ids,
            "first_prompt_text": prompt,
            "device": model.device.type,
            "lm_eval": _version(),
        },
        "adapter": None if adapter is None else check_model(adapter)["files"],
        "accuracy": float(np.mean([each["right"] for each in answers])),
        "chance": float(np.mean([1 / each if each else 0.0 for each in offered])),
        "answers": answers,
    }


def _load(questions: QuestionSet, manager: Any, cache: Path) -> Any:
    """The task of lm_eval, with its data read; nothing is left in the user's folders."""
    data = {**questions.task["dataset_kwargs"], "cache_dir": str(cache)}
    try:
        loaded = manager.load([{**questions.task, "dataset_kwargs": data}])
        (task,) = loaded["tasks"].values()
    except Exception as error:  # of two libraries, of many kinds
        reason = str(error.__cause__ or error).strip().splitlines()
        raise StarglotError(
            f"the question set cannot be read: {reason[0] if reason else type(error).__name__}",
            where=", ".join(map(str, questions.files)),
            allowed="a task of lm_eval, and data files of the format that its dataset_path names",
            todo="docs/retention.md shows a file that works",
        ) from error
    if not len(task.eval_docs):
        raise StarglotError(
            "the question set is empty",
            where=", ".join(map(str, questions.files)),
            allowed="one question or more",
            todo="put questions in",
        )
    return task


def _choices(task: Any, rows: Sequence[Mapping[str, Any]], path: Path) -> Iterator[int]:
    """Number of choices of each question, 0 where the answer is written freely.

    lm_eval counts a question whose answer is none of its choices as wrong, for every model: here it is a fault.
    """
    for number, row in enumerate(rows):
        if task.config.output_type != "multiple_choice":
            yield 0
            continue
        try:
            offered, answer = task.doc_to_choice(row), task.doc_to_target(row)
        except Exception as error:  # of a template, whatever it may raise
            raise _wrong(path, number, f"{type(error).__name__}: {error}") from error
        if isinstance(answer, str):
            right = answer in offered
        else:
            right = isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(offered)
        if not right:
            raise _wrong(path, number, f"its answer {answer!r} is none of its {len(offered)} choices")
        yield len(offered)


def _wrong(path: Path, number: int, what: str) -> StarglotError:
    return StarglotError(
        f"question {number + 1} of the set has no right answer: {what}",
        where=path,
        allowed="the number of a choice, from 0, or its text (doc_to_target, doc_to_choice)",
        todo="correct the question, or the two keys",
    )


def _drawn(count: int, how: Retention) -> list[int]:
    """Numbers of the questions that are put, in order: sets are sorted by subject, so the first ones would not do."""
    if how.limit is None or how.limit >= count:
        return list(range(count))
    drawn: list[int] = np.sort(np.random.default_rng(how.seed).permutation(count)[: how.limit]).tolist()
    return drawn


def _one_each(samples: Sequence[dict[str, Any]], questions: QuestionSet) -> list[dict[str, Any]]:
    """A sample for each question, in their order: of several filters the first."""
    first = [each for each in samples if each["filter"] == samples[0]["filter"]]
    if questions.metric not in first[0]:
        raise StarglotError(
            f"a question has no score '{questions.metric}'",
            where=questions.path,
            allowed=", ".join(first[0]["metrics"]),
            todo="name one of these first in the set's metric_list",
        )
    return sorted(first, key=lambda each: int(each["doc_id"]))


def _one_answer(sample: Mapping[str, Any], questions: QuestionSet) -> dict[str, Any]:
    """The number of a question, its right answer, the one that was given, and its score."""
    number, truth = sample["doc_id"], sample["target"]
    return {"question": number, "truth": truth, "answer": _answer(sample), "right": _score(sample, questions)}


def _score(sample: Mapping[str, Any], questions: QuestionSet) -> float:
    score = float(sample[questions.metric])
    if not 0 <= score <= 1:
        raise StarglotError(
            f"{questions.metric} of a question is {score:g}, and its mean no accuracy",
            where=questions.path,
            allowed="a metric between 0 and 1: acc, acc_norm, exact_match",
            todo="name one first in the set's metric_list",
        )
    return score


def _answer(sample: Mapping[str, Any]) -> Any:
    """The most probable choice's number, or the text."""
    said = sample["filtered_resps"]
    if len(said) and isinstance(said[0], tuple | list):
        return int(np.argmax([each[0] for each in said]))
    return said[0]


def _one_start(ids: Sequence[int], start: int | None, path: Path) -> None:
    """Raise StarglotError for a prompt with two start tokens, which costs every model several points."""
    if start is not None and list(ids[:2]) == [start, start]:
        raise StarglotError(
            "a prompt begins with two start tokens: the set writes one, and the tokenizer another",
            where=path,
            allowed="prompts without a start token: the tokenizer writes it where its model wants one",
            todo="take the start token out of the set's description or doc_to_text",
        )


def _version() -> str:
    from importlib.metadata import version

    return version("lm_eval")
