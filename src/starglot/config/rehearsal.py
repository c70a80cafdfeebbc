"""Settings of rehearsal: ordinary text among the spectra of a training."""

from __future__ import annotations

from pydantic import Field

from starglot.config.strict import PathText, Strict


class Rehearsal(Strict):
    """Ordinary text or questions among a training's spectra, so that a language model keeps its language (ours)."""

    file: PathText = Field(
        description='JSON lines of {"question": ..., "answer": ...} or {"text": ...}; or plain text (.txt), a text '
        "in each paragraph."
    )
    share: float = Field(0.2, gt=0, lt=1, description="Share of the steps that learn from it; `epochs` counts both.")
    length: int = Field(256, ge=8, description="Most tokens of a question with its answer, or of a text; cut there.")
