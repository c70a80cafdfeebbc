"""Synthetic stars, their spectra, and writers of the surveys' real file formats."""

from starglot.mock.release import write_release

__all__ = ["write_release"]
