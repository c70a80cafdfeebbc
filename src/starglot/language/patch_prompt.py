"""What stands around the tokens of a spectrum: the question before them, and the answer behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.language.chat import frame
from starglot.language.number_answers import AnswerTokens
from starglot.language.prompts import CLOSE, OPEN, head


class Prompt:
    """Token ids before and behind the spectrum, and the answer's; all spectra of a task have the same question."""

    def __init__(
        self, tokenizer: Any, task: Task, wavelength: Wavelength, recorded: Mapping[str, list[int]] | None = None
    ):
        """recorded: the frame of the training; without one, the tokenizer's."""
        around = frame(tokenizer) if recorded is None else [recorded[key] for key in ("before", "between", "after")]
        self.frame = dict(zip(("before", "between", "after"), map(list, around), strict=True))

        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids

        opening = encode(head(task, wavelength, task.labels) + OPEN)
        self.before = [*self.frame["before"], *opening]
        self.behind = [*encode(CLOSE), *self.frame["between"]]
        self.answer = AnswerTokens(tokenizer, task, self.frame["after"])

    def length(self, spectrum: int) -> int:
        """Tokens of the prompt with a spectrum of so many."""
        return len(self.before) + spectrum + len(self.behind)
