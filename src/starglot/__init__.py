"""Starglot: language models that read stellar spectra."""

__version__ = "0.1.0"
