"""Predictions of a language model: questions in, one row per spectrum and label out, with the model's own doubt."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from starglot.config.kinds.llm import Llm
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.fingerprint import memory
from starglot.hashing import digest_of, file_digest
from starglot.inference.blocks import answer_in_blocks, base_of, block_size, memory_explained, revision_of
from starglot.inference.decode import Choice, Decoded, Decoder
from starglot.inference.digits import Distribution
from starglot.inference.fields import number_fields, plain_decimals, reading
from starglot.labels import CLASSES, LABELS, REDSHIFT
from starglot.language.answers import Answer, parse, render
from starglot.language.chat import frame, special_tokens
from starglot.language.length import check_length
from starglot.language.prompts import form_of, parse_question
from starglot.language.qa import read_qa
from starglot.language.tokens import PromptTokens
from starglot.models.bases import base_files, check_model, describe
from starglot.models.llm import load_for_inference
from starglot.models.predictions import Predicted, Stars, are_seen, label_values, prediction_table
from starglot.models.redshifts import APART, LIGHT, Doubt, doubt_of_chances
from starglot.store import workplace
from starglot.tables import DOUBT, PREDICTION

log = logging.getLogger(__name__)

#: About so many spectra are a block, the most that a killed prediction loses.
_BLOCK = 256
#: Tokens that an answer may be longer than the longest right one.
_SLACK = 8

#: What a block holds: the model's part of ``tables.PREDICTION``.
_ANSWERED = pa.schema(
    [
        PREDICTION.field(name)
        for name in ("obsid", "class_pred", "class_log_odds", "label", "value", "sigma_raw", "status")
    ]
)


def _answered(task: Task) -> pa.Schema:
    """``_ANSWERED``, with doubt of redshifts where the task asks for them in a plain form."""
    return pa.schema([*_ANSWERED, *(DOUBT if _has_doubt(task) else [])])


def _has_doubt(task: Task) -> bool:
    return form_of(task).plain and REDSHIFT.name in task.labels


def predict_llm(
    settings: Llm,
    task: Task,
    encoding: Encoding,
    wavelength: Wavelength,
    base: str | Path,
    adapter_dir: str | Path,
    qa_files: Sequence[str | Path],
    truth: pa.Table,
    seen_stars: Stars,
    state: str | Path,
    code_hash: str = "",
) -> pa.Table:
    """Raw predictions (``tables.PREDICTION``, sigma null) for every spectrum of ``truth``, by obsid and label.

    base, adapter_dir: what :func:`starglot.models.llm.load_for_inference` loads (a Hugging Face id in the revision
    that the adapter was trained on); qa_files: question files that hold at least the spectra of ``truth``; truth:
    obsid, star_id, class and the task's label columns (null where unknown; a label that has no column is null
    throughout); seen_stars: star ids of the training; state: folder for finished blocks, kept apart by the digest of
    all they depend on; code: digest of the code, part of that.

    value is the mean of the digit tree, or the greedy number (``settings.decoding.value``; also where there is no
    tree), null unless the status is 'ok'; sigma_raw is the standard deviation over the tree
    (:func:`starglot.inference.fields.reading` has the cases).
    Raises StarglotError when a spectrum has no question, or one that is longer than the base's positions, when a file
    is damaged, the adapter is not as it was trained or the base not the one that it was trained on, or when the
    accelerator's memory is too small.
    """
    trained = check_model(adapter_dir)
    truth = truth.sort_by("obsid")
    obsids = truth["obsid"].to_numpy()
    if len(np.unique(obsids)) != len(obsids):
        raise StarglotError(
            "a spectrum occurs twice in the sample",
            where=f"{len(truth)} spectra",
            todo="rebuild the sample: snakemake samples",
        )
    stands_on = trained.get("base") or describe(base, memory(state), revision_of(trained, base))
    ingredients = _ingredients(
        settings,
        task,
        encoding,
        wavelength,
        stands_on,
        adapter_dir,
        trained.get("frame"),
        qa_files,
        obsids,
        code_hash,
    )

    def answer(parts: Sequence[np.ndarray], bar: Any) -> Iterator[pa.Table]:
        folder = base_of(trained, base, adapter_dir, state)
        answerer = _Answerer(settings, task, encoding, wavelength, folder, adapter_dir, trained.get("frame"))
        questions = _questions(qa_files, obsids[np.concatenate(parts)])
        for part in parts:
            yield answerer.predict([next(questions) for _ in part], bar)

    size = block_size(_BLOCK, settings.decoding.batch)
    answered = answer_in_blocks(workplace(state, ingredients), len(obsids), size, answer, _answered(task))
    return _with_truth(answered, truth, task, seen_stars)


def _ingredients(
    settings: Llm,
    task: Task,
    encoding: Encoding,
    wavelength: Wavelength,
    base: Mapping[str, Any] | str,
    adapter_dir: str | Path,
    recorded: Mapping[str, list[int]] | None,
    qa_files: Sequence[str | Path],
    obsids: np.ndarray,
    code_hash: str,
) -> dict[str, Any]:
    """What a block's bytes depend on."""
    model = [Path(adapter_dir) / name for name in base_files(Path(adapter_dir))]
    return {
        "decoding": settings.decoding.model_dump(),
        "quantisation": settings.quantisation,
        "question": [task.question.form, task.labels, task.question.decimals],
        "encoding": encoding.model_dump(),
        "wavelength": wavelength.model_dump(),
        # By its files: built anew with the same bytes, it is the same base.
        "base": base["files"] if isinstance(base, Mapping) else base,
        "model": {path.name: file_digest(path) for path in model},
        "frame": recorded,
        "questions": sorted(file_digest(path) for path in qa_files),
        "obsids": digest_of(obsids.tolist()),
        "block": _BLOCK,
        "code": code_hash,
    }


def _questions(qa_files: Sequence[str | Path], wanted: np.ndarray) -> Iterator[tuple[int, str]]:
    """(obsid, question) of the ``wanted`` (ascending) spectra in their order, reading all files once, abreast."""
    merged = heapq.merge(*map(read_qa, qa_files), key=lambda row: row["obsid"])
    by_obsid = groupby(merged, key=lambda row: row["obsid"])
    for obsid in wanted.tolist():
        found = next((rows for key, rows in by_obsid if key >= obsid), None)
        row = None if found is None else next(found)
        if row is None or row["obsid"] != obsid:
            raise StarglotError(
                f"the spectrum {obsid} has no question in {len(qa_files)} files",
                where=Path(qa_files[0]).parent if qa_files else None,
                todo="rebuild the questions: snakemake qa",
            )
        yield obsid, row["question"]


class _Answerer:
    """A loaded model, asked a block of questions at a time."""

    def __init__(
        self,
        settings: Llm,
        task: Task,
        encoding: Encoding,
        wavelength: Wavelength,
        base: str | Path,
        adapter_dir: str | Path,
        recorded: Mapping[str, list[int]] | None = None,
    ):
        """recorded: the frame of the training; without one, the tokenizer's."""
        model, tokenizer = load_for_inference(base, adapter_dir, settings.quantisation)
        self._task, self._digits, self._decoding = task, encoding.labels, settings.decoding
        self._tokens = PromptTokens(tokenizer, task, encoding, wavelength)
        around = frame(tokenizer) if recorded is None else [recorded[key] for key in ("before", "between", "after")]
        self._before, self._between, after = around
        answers = [self._tokens.answer(text)[0] for text in self._long_answers()]
        self._longest_answer = max(map(len, answers)) + _SLACK
        self._config, self._base = model.config, base
        self._decoder = Decoder(
            model,
            tokenizer,
            stop=_stop_tokens(model, tokenizer, after, {token for ids in answers for token in ids}),
            max_tokens=self._longest_answer,
            prune=settings.decoding.prune,
            decimals=plain_decimals(task, self._digits) if form_of(task).plain else None,
            choice=self._class_token() if form_of(task).asks_class else None,
        )

    def _long_answers(self) -> list[str]:
        """Right answers of the greatest length."""
        noise = 0.0 if self._digits == "rounded" else -1.2345678e-4  # float32 digits: some of the longest there are
        ends = [{name: end for name in self._task.labels} for end in ("low", "high")]
        values = [{name: getattr(LABELS[name], end) + noise for name, end in each.items()} for each in ends]
        return [render(self._task, CLASSES[0], each, self._task.labels, self._digits) for each in values]

    def _class_token(self) -> Choice | None:
        """Where the class's letter stands in an answer, and its tokens; None where they are not one token each."""
        empty: dict[str, float | None] = {}
        texts = [render(self._task, letter, empty, self._task.labels, self._digits) for letter in CLASSES]
        each = [self._tokens.answer(text)[0] for text in texts]
        if len({len(ids) for ids in each}) > 1:
            return None
        differ = [place for place, tokens in enumerate(zip(*each, strict=True)) if len(set(tokens)) > 1]
        if len(differ) != 1:
            return None
        return Choice(differ[0], tuple(ids[differ[0]] for ids in each))

    def predict(self, block: Sequence[tuple[int, str]], bar: Any) -> pa.Table:
        """The answers to a block of (obsid, question), as a table of ``_ANSWERED``."""
        rows: list[dict[str, Any]] = []
        problems: list[str] = []
        size = self._decoding.batch
        for first in range(0, len(block), size):
            batch = block[first : first + size]
            with memory_explained(size):
                for (obsid, _), (decoded, answer) in zip(batch, self._answer(batch), strict=True):
                    rows.extend(self._rows(obsid, decoded, answer))
                    if answer.problem is not None:
                        problems.append(f"{obsid}: {answer.problem}")
            bar.update(len(batch))
        if problems:
            log.warning("%d of %d answers have a fault; the first: %s", len(problems), len(block), problems[0])
        return pa.Table.from_pylist(rows, schema=_answered(self._task))

    def _answer(self, batch: Sequence[tuple[int, str]]) -> list[tuple[Decoded, Answer]]:
        labels = [parse_question(self._task, text)[0] for _, text in batch]
        prompts = [[*self._before, *self._tokens.question(text), *self._between] for _, text in batch]
        check_length(max(map(len, prompts)), self._longest_answer, self._tokens, self._config, self._base)
        answers: dict[int, Answer] = {}

        def find_numbers(row: int, text: str) -> list[Any]:
            answers[row] = parse(self._task, labels[row], text)
            return number_fields(self._task, labels[row], answers[row], text, self._digits)

        decoded = self._decoder.answer(prompts, find_numbers)
        return [(each, answers[row]) for row, each in enumerate(decoded)]

    def _rows(self, obsid: int, decoded: Decoded, answer: Answer) -> Iterator[dict[str, Any]]:
        for label in self._task.labels:
            expected = self._decoding.value == "expected"
            number = decoded.numbers.get(label)
            value, sigma, status = reading(answer, label, number, expected)
            doubt = _doubt_of(number, value) if _has_doubt(self._task) and label == REDSHIFT.name else {}
            yield {
                **doubt,
                "obsid": obsid,
                "class_pred": answer.class_letter,
                "class_log_odds": decoded.chosen if answer.class_letter else None,
                "label": label,
                "value": value,
                "sigma_raw": sigma,
                "status": status,
            }


def _doubt_of(number: Distribution | None, value: float | None) -> dict[str, Any]:
    """What the distribution of a redshift says against it, by the columns of ``tables.DOUBT``."""
    if number is None or value is None:
        return {}
    step = min(leaf.width for leaf in number.leaves)
    places = np.round([leaf.value / step for leaf in (number.leaves)])
    # A range beyond the answers, as nothing ends with them.
    room = (1 + value) * 2 * APART / LIGHT / step
    trial = step * np.arange(np.floor(places.min() - room), np.ceil(places.max() + room) + 1)
    chances = number.chances(np.append(trial - step / 2, trial[-1] + step / 2))
    doubt = doubt_of_chances(trial, chances[None], np.array([value]))
    return {name: each[0].item() for name, each in vars(doubt).items()}


def _stop_tokens(model: Any, tokenizer: Any, after: list[int], within: Collection[int]) -> set[int]:
    """Tokens that end an answer: the special one that follows it in training, and the model's own.

    An end in plain text stops by its first token, if that is none of those ``within`` answers.
    """
    special = special_tokens(tokenizer)
    ends = [token for token in after if token in special] or [t for t in after[:1] if t not in within]
    own = model.generation_config.eos_token_id
    stop = {*ends[:1], tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])}
    return {token for token in stop if token is not None}


def _with_truth(answered: pa.Table, truth: pa.Table, task: Task, seen_stars: Stars) -> pa.Table:
    """Add what the catalogue knows; rows by obsid, labels in the task's order."""
    if answered["obsid"].to_numpy().tolist() != np.repeat(truth["obsid"].to_numpy(), len(task.labels)).tolist():
        raise StarglotError(
            "finished blocks do not hold the spectra asked for",
            where=f"{len(answered)} rows, {len(truth)} spectra",
            todo="remove the state folder",
        )
    predicted, seen = as_predicted(answered, task), are_seen(truth, seen_stars)
    return prediction_table(truth, task.labels, label_values(truth, task.labels), predicted, seen)


def as_predicted(answered: pa.Table, task: Task) -> Predicted:
    """A block's answers as rows of the prediction table."""
    doubt = None
    if _has_doubt(task):
        mine = answered.filter(pc.equal(answered["label"], REDSHIFT.name))
        doubt = Doubt(*(mine[name].to_numpy(zero_copy_only=False).astype(float) for name in DOUBT.names))
    odds = answered["class_log_odds"].to_numpy(zero_copy_only=False)
    return Predicted(
        answered["value"], answered["sigma_raw"], answered["status"], answered["class_pred"], odds, doubt
    )


def answer_questions(
    settings: Llm, task: Task, encoding: Encoding, wavelength: Wavelength, base: Path, adapter_dir: Path
) -> Callable[[Sequence[tuple[int, str]]], pa.Table]:
    """A loaded model: (obsid, question) in batches -> raw predictions without truth, by obsid and label.

    The answers are those of :func:`predict_llm` to the same questions.  base: the folder of the base that the adapter
    was trained on; that it is this one is the caller's to check.
    """
    recorded = check_model(adapter_dir).get("frame")
    answerer = _Answerer(settings, task, encoding, wavelength, base, adapter_dir, recorded)
    return lambda questions: answerer.predict(questions, tqdm(disable=True))
