"""Gaia XP: the sources whose spectra are read.  A source's id says where on the sky it is, and so names its shard."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa

from starglot.config.surveys.common import Survey
from starglot.config.surveys.gaia_xp import GaiaXP
from starglot.formats.catalog import Column
from starglot.formats.catalog_file import open_catalog
from starglot.formats.columns import table_of
from starglot.formats.counts import Counts

log = logging.getLogger(__name__)

SETTINGS: type[Survey] = GaiaXP

#: A source id over 2^35 is a HEALPix pixel of level 12, nested (Gaia DR3 documentation, 20.1.1); one of a lower level
#: has two bits less for each.
_LEVEL_12 = 35

_COLUMNS = (
    Column("obsid", ("source_id", "SOURCE_ID"), "int"),
    Column("ra", ("ra",), limits=(0, 360)),
    Column("dec", ("dec",), limits=(-90, 90)),
)


def read_catalog(settings: GaiaXP, counts: Counts | None = None) -> pa.Table:
    """One row per source: obsid (its id), gaia_source_id string, shard, ra, dec (deg).

    Rows without an id, and later rows of the same, are left out and counted.
    """
    counts = counts or Counts()
    with open_catalog(Path(settings.catalog), _COLUMNS) as catalog:
        raw = table_of(catalog, _COLUMNS, counts)
    ids = np.asarray(raw["obsid"].fill_null(0).to_numpy(), np.int64)
    first = np.zeros(len(ids), bool)
    first[np.unique(ids, return_index=True)[1]] = True
    nameless, again = np.flatnonzero(ids <= 0), np.flatnonzero((ids > 0) & ~first)
    counts.leave_out("no_id", len(nameless), f"row {nameless[0] + 1}" if len(nameless) else "")
    counts.leave_out("second_entry", len(again), f"source_id {ids[again[0]]}" if len(again) else "")
    raw = raw.filter(pa.array((ids > 0) & first))
    pixels = raw["obsid"].to_numpy() >> (_LEVEL_12 + 2 * (12 - settings.level))
    counts.close(len(raw))
    log.info("Gaia XP %s: %d sources", settings.release, len(raw))
    return pa.table(
        {
            "obsid": raw["obsid"],
            "gaia_source_id": raw["obsid"].cast(pa.string()),
            "shard": pa.array([f"hp{settings.level}-{pixel:06d}" for pixel in pixels.tolist()], pa.string()),
            "ra": raw["ra"],
            "dec": raw["dec"],
        }
    )
