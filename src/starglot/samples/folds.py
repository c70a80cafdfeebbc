"""Samples less one fold of stars, for cross-validation."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.tables import SAMPLE


def leave_out(sample: pa.Table, fold: int) -> pa.Table:
    """The same spectra (``tables.SAMPLE``) with the stars of ``fold`` as test split, and all others to learn from.

    Of the other folds the validation stars stay what they are, and test stars join the training stars: over all
    folds each star is tried once, by a model that learnt from as many stars as the configured split gives.

    Raises StarglotError when no star is in the fold.
    """
    held_out = pc.equal(sample["fold"], fold)
    if not pc.any(held_out).as_py():
        raise StarglotError(
            f"no star of this sample is in fold {fold}",
            where=f"{len(sample)} spectra",
            todo="take a larger sample, or fewer folds (split.folds)",
        )
    remaining = pc.if_else(pc.equal(sample["split"], "val"), "val", "train")
    split = pc.if_else(held_out, "test", remaining)
    return sample.set_column(sample.schema.get_field_index("split"), "split", split).select(SAMPLE.names).cast(SAMPLE)
