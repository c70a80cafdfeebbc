"""Spectra that a survey holds out: what trained models are judged by, and no task learns."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from starglot.errors import StarglotError
from starglot.surveys.common_columns import HELD_OUT_PREFIX


def held_out(catalog: pa.Table, survey: str) -> pa.Table:
    """obsid, star_id and the labels of the spectra that are held out, as a match with another survey has them.

    catalog: a survey's rows with star_id, and columns of labels that begin with ``HELD_OUT_PREFIX``.

    Sorted by obsid.

    Raises StarglotError where none of its spectra is held out with a label.
    """
    names = [name for name in catalog.column_names if name.startswith(HELD_OUT_PREFIX)]
    labels = [catalog[name] for name in names]
    found = catalog.filter(pc.is_valid(pc.coalesce(*labels))) if labels else catalog.slice(0, 0)
    if not len(found):
        raise StarglotError(
            f"no spectrum of {survey} is held out with a label that counts",
            where=f"{len(catalog)} rows of its catalogue",
            allowed="held-out spectra with a label that the survey's cuts leave",
            todo=f"check surveys.{survey}.held_out, or take held_out out of run.sets",
        )
    table = found.select(["obsid", "star_id", *names]).sort_by("obsid").combine_chunks()
    return table.rename_columns([name.removeprefix(HELD_OUT_PREFIX) for name in table.column_names])
