"""Baselines: what a language model has to beat, on the same samples and splits and with the same prediction table.

What each one is and how it predicts; how they are trained, resumed and handed back is in :mod:`starglot.training`.
"""
