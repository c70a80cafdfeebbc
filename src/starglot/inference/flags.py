"""What a scientist should know of an answer before using it: every flag, named once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: Flag -> what it means.
FLAGS: dict[str, str] = {
    "outside_training": "the spectrum is unlike those that the model was trained on",
    "low_snr": "S/N is below that of nearly all training spectra",
    "part_missing": "part of the wavelength range has no good pixel",
    "at_limit": "the value lies at the edge of the training labels, or beyond",
    "unreadable": "the model gave no value that can be read",
}

#: Flags of a spectrum; the others are of one label of its answer.
OF_SPECTRUM = ("outside_training", "low_snr", "part_missing")

#: Part of the grid without good pixels from which on a spectrum is flagged.
MISSING = 0.05


def spectrum_flags(excess: float, snr: float | None, missing: float, domain: Mapping[str, Any]) -> list[str]:
    """Flags of a spectrum.

    excess: of :meth:`starglot.models.domain.Domain.excess`; snr: None where it is not known; missing: part of the
    grid without good pixels; domain: facts of :func:`starglot.models.domain.load_domain`.
    """
    least = domain["snr"]["least"]
    raised = {
        "outside_training": not excess <= 1,
        "low_snr": snr is not None and least is not None and snr < least,
        "part_missing": missing > MISSING,
    }
    return [flag for flag, up in raised.items() if up]


def label_flags(label: str, value: float | None, status: str, domain: Mapping[str, Any]) -> list[str]:
    """Flags of one label: its value (None where there is none), its status, and the range of its training values."""
    if status != "ok" or value is None or not np.isfinite(value):
        return ["unreadable"]
    known = domain["labels"][label]
    if known["low"] is not None and not known["low"] < value < known["high"]:
        return ["at_limit"]
    return []
