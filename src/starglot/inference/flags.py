"""What a scientist should know of an answer before using it: every flag, named once, with its bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Flag -> what it means, in the order of their bits: the first is bit 0.  Files that are out hold the bits, so a new
#: flag goes to the end.
FLAGS: dict[str, str] = {
    "outside_training": "the spectrum is unlike those that the model was trained on",
    "low_snr": "S/N is below that of nearly all training spectra",
    "part_missing": "part of the wavelength range has no good pixel",
    "at_limit": "the value lies at the edge of the training labels, or beyond",
    "unreadable": "the model gave no value that can be read",
    "rejected": "the spectrum cannot be used, and was not answered",
}
#: Flag -> its value in a bit mask.
BITS: dict[str, int] = {flag: 1 << place for place, flag in enumerate(FLAGS)}

#: Flags of a spectrum that was answered; `at_limit` and `unreadable` are of one label of its answer.
OF_SPECTRUM = ("outside_training", "low_snr", "part_missing")

#: Part of the grid without good pixels from which on a spectrum is flagged.
MISSING = 0.05


def spectrum_bits(excess: np.ndarray, snr: np.ndarray, missing: np.ndarray, domain: Mapping[str, Any]) -> np.ndarray:
    """(n,) int32 flags of spectra.

    excess: (n,) of :meth:`starglot.models.domain.Domain.excess`; snr: (n,), NaN where it is not known; missing: (n,)
    part of the grid without good pixels, NaN where it is not known; domain: facts of
    :func:`starglot.models.domain.load_domain`.
    """
    least = domain["snr"]["least"]
    raised = {
        "outside_training": ~(excess <= 1),
        "low_snr": np.zeros(len(snr), bool) if least is None else snr < least,
        "part_missing": missing > MISSING,
    }
    return _bits(raised)


def label_bits(labels: Sequence[str], value: np.ndarray, status: np.ndarray, domain: Mapping[str, Any]) -> np.ndarray:
    """(n, k) int32 flags of the k labels of n answers.

    value: (n, k), NaN where there is none; status: (n, k), of ``statuses.STATUSES``; domain: as above, the range of
    the training labels.
    """
    unreadable = ~np.isfinite(value) | (status != "ok")
    at_limit = np.zeros(value.shape, bool)
    for j, label in enumerate(labels):
        known = domain["labels"][label]
        if known["low"] is not None:
            at_limit[:, j] = ~((value[:, j] > known["low"]) & (value[:, j] < known["high"]))
    return _bits({"at_limit": at_limit & ~unreadable, "unreadable": unreadable})


def named(bits: int) -> list[str]:
    """Names of the flags in a bit mask."""
    return [flag for flag, bit in BITS.items() if bits & bit]


def _bits(raised: Mapping[str, np.ndarray]) -> np.ndarray:
    total = sum(np.where(up, BITS[flag], 0) for flag, up in raised.items())
    return np.asarray(total, np.int32)
