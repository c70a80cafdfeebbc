"""The exception for a spectrum that cannot be cleaned, with its reason."""

from __future__ import annotations

from starglot.rejections import Rejection


class SpectrumRejected(Exception):
    """One spectrum cannot be cleaned; the rest of its shard is processed.

    reason: a code of ``rejections.Rejection``; detail: what was found, in words, for a person who looks into it.
    """

    def __init__(self, reason: Rejection, detail: str = ""):
        # Both go to args, so that the exception survives pickling between processes.
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason
