"""A figure of the page as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FigureFile:
    """A figure (``{stem}.png``, mostly with ``.svg`` beside it), its caption, and the section that it stands in."""

    stem: Path
    caption: str
    section: str

    def file(self, ending: str) -> Path:
        """The figure's file with that ending."""
        return self.stem.with_name(f"{self.stem.name}.{ending}")
