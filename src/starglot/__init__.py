"""Starglot: language models that read stellar spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from starglot.inference.load import Model

__version__ = "0.1.0"


def load(source: str | Path) -> Model:
    """A trained model, ready to answer (docs/use-a-model.md).

    source: its folder, a zip file of the folder, or 'hf:OWNER/NAME' on the Hugging Face hub; 'hf:OWNER/NAME@REVISION'
    stays at a commit or a tag.
    Raises :class:`starglot.errors.StarglotError` for a folder that is none of a model, of another format, or changed.
    """
    from starglot.inference.load import Model

    return Model(source)
