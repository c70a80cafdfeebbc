"""Rehearsal: ordinary text or questions among the spectra of a training, so that a model keeps its language.

A step learns either spectra or text: a mean over the tokens of both would be one of text, which has many more of
them, and a model of patch tokens reads the two in different forms.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from starglot.config.rehearsal import Rehearsal
from starglot.errors import StarglotError
from starglot.hashing import file_digest
from starglot.language.chat import frame
from starglot.training.data import Collate
from starglot.training.replay import Replayed

log = logging.getLogger(__name__)

#: What tells the draw of texts from other draws of the same seed.
_DRAW = 2003


def rehearsed(
    spectra: Dataset[dict[str, Any]], tokenizer: Any, settings: Rehearsal, seed: int, effective: int
) -> tuple[Replayed, dict[str, Any]]:
    """The examples of a training with ``settings.share`` of its steps of text, and what is said of these.

    spectra: the examples as they are without; effective: examples of a step.  Raises StarglotError where the file
    cannot be read or holds something else.
    """
    texts, about = read_texts(Path(settings.file), tokenizer, settings.length)
    drawn = _Texts(texts, len(spectra), seed)  # type: ignore[arg-type]
    examples = Replayed(spectra, drawn, settings.share, seed, together=effective)
    steps = int(examples.is_earlier.sum()) // effective
    log.info("rehearsal: %d of the steps learn from %d texts", steps, len(texts))
    return examples, {**about, "steps": steps}


def read_texts(path: Path, tokenizer: Any, length: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The texts of a file as examples, tokenised, and what is said of them: the file's digest, how many there are,
    how many are cut at ``length`` tokens, and how many left out, as their question is as long as that.

    A question stands in the same frame as one about a spectrum, and its answer alone is learnt; of a plain text, all
    is.  Raises StarglotError where the file cannot be read or holds something else.
    """
    before, between, after = frame(tokenizer)
    examples, counts = [], {"texts": 0, "cut": 0, "left_out": 0}
    for question, answer in _parts(path):
        said = tokenizer(answer, add_special_tokens=False)["input_ids"] + list(after)
        if question is None:
            start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
            prompt, said = (start, said) if start else (said[:1], said[1:])
        else:
            prompt = [*before, *tokenizer(question, add_special_tokens=False)["input_ids"], *between]
        room = length - len(prompt)
        if room < 1 or not said:
            counts["left_out"] += 1
            continue
        counts["texts"] += 1
        counts["cut"] += len(said) > room
        answer_ids = said[:room]
        examples.append({"prompt": prompt, "answer": answer_ids, "counts": [True] * len(answer_ids)})
    if not examples:
        raise StarglotError(
            f"there is no text to rehearse: {counts['left_out']} left out as too long or empty",
            where=path,
            allowed=f"texts, and questions of less than {length} tokens",
            todo="raise training.rehearsal.length, or name another file",
        )
    if counts["left_out"]:
        log.warning("%s: %d texts are left out: empty, or their question is too long", path, counts["left_out"])
    return examples, {"file": file_digest(path), **counts}


@dataclass(frozen=True)
class EitherCollate:
    """Joins the examples of a step to a batch: of spectra, or of text."""

    spectra: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
    texts: Collate

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As of the one that the examples are for; text has a prompt."""
        return self.texts(examples) if "prompt" in examples[0] else self.spectra(examples)


class _Texts(Dataset[dict[str, Any]]):
    """Texts pass after pass, each in an order of its own, continued to ``length`` items."""

    def __init__(self, texts: Sequence[dict[str, Any]], length: int, seed: int):
        self.texts, self.length, self.seed = texts, length, seed
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        """{'prompt': ids, 'answer': ids, 'counts'} as of :class:`starglot.training.data.Draws`."""
        epoch, place = divmod(int(number), len(self.texts))
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.seed, _DRAW, epoch]).permutation(len(self.texts))
            self._order = epoch, order
        return self.texts[int(self._order[1][place])]


def _parts(path: Path) -> Iterator[tuple[str | None, str]]:
    """(question, answer) of each entry of a file; (None, text) for plain text."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
        raise StarglotError(
            f"text to rehearse cannot be read: {reason}",
            where=path,
            allowed="a file of JSON lines, or a .txt of paragraphs, in UTF-8",
            todo="correct training.rehearsal.file",
        ) from error
    if path.suffix == ".txt":
        yield from ((None, each.strip()) for each in re.split(r"\n\s*\n", text) if each.strip())
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _entry(path, number, line)


def _entry(path: Path, number: int, line: str) -> tuple[str | None, str]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if isinstance(said, Mapping):
        question, reply = said.get("question"), said.get("answer")
        if isinstance(question, str) and isinstance(reply, str):
            return question, reply
        if isinstance(said.get("text"), str):
            return None, said["text"]
    raise StarglotError(
        f"line {number} is no question with an answer and no text",
        where=path,
        allowed='{"question": "...", "answer": "..."} or {"text": "..."}, all in words: a choice is written out, '
        "not numbered",
        todo="correct the line",
    )
