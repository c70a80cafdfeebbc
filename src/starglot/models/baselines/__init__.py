"""Baselines: conventional models to compare language models with, on the same samples and splits.

Here is what each one is and how it predicts; training and resuming are in :mod:`starglot.training`.
"""
