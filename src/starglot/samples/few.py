"""Too few stars for what is asked: said where a sample is drawn, and on top of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Training spectra below which numbers are not to be taken seriously: in all, and for each label.  A choice of ours.
FEWEST, OF_A_LABEL = 200, 20
#: Validation spectra below which no label's uncertainty has a scale of its own (starglot.evaluation.calibration).
FEWEST_VAL = 30


def too_few(splits: Mapping[str, Mapping[str, Any]], labels: int) -> list[str]:
    """Sentences on a sample that is too small for a task of so many labels; none where it is not.

    splits: ``spectra`` and ``stars`` by split, of a sample's manifest.
    """
    needed, train = max(FEWEST, OF_A_LABEL * labels), splits["train"]
    said = []
    if train["spectra"] < needed:
        said.append(
            f"{train['spectra']:,} training spectra of {train['stars']:,} stars are few for {labels} labels: below "
            f"{needed:,} a model learns little more than the mean, and its scores are chance"
        )
    if splits["val"]["spectra"] < FEWEST_VAL:
        said.append(
            f"{splits['val']['spectra']:,} validation spectra are too few to scale uncertainties by; {FEWEST_VAL} "
            "are needed"
        )
    return said
