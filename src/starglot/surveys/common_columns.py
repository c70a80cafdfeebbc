"""The columns that the table of every survey has, whatever its own catalogue holds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from starglot.config.surveys.common import SpectrumSurvey, Survey
from starglot.errors import StarglotError
from starglot.labels import ATMOSPHERE_NAMES, LABELS

#: Of spectra: what samples, tables and figures look at where there is something to see.
_OF_SPECTRA = {
    **{name: pa.string() for name in ("obsdate", "class")},
    **{f"snr_{band}": pa.float64() for band in "ugriz"},
    **{column: pa.float64() for name in ATMOSPHERE_NAMES for column in (name, LABELS[name].error)},
}
#: How the columns begin of labels that a survey holds out: no task learns these, and models are judged by them.
HELD_OUT_PREFIX = "held_out_"
#: Of stars that another survey's are matched to, besides their positions.
_OF_STARS = {"gaia_release": pa.string(), **{name: pa.float64() for name in ("epoch", "pmra", "pmdec")}}


def with_common_columns(table: pa.Table, settings: Survey, survey: str) -> pa.Table:
    """A survey's table with a column of nulls for whatever the survey does not know and other code may look at.

    table: of the survey's ``read_catalog``; survey: its name, for messages.  Raises StarglotError where it lacks what
    no survey can do without, or a label that the settings say it brings, and where an obsid is null, stands twice or
    is no int64.
    """
    spectra = isinstance(settings, SpectrumSurvey)
    own = ("obsid", *settings.places, *settings.own_ids) if isinstance(settings, SpectrumSurvey) else (settings.star,)
    needed = [*own, "ra", "dec", "gaia_source_id", *settings.brings]
    if missing := [name for name in dict.fromkeys(needed) if name not in table.column_names]:
        raise StarglotError(
            f"the table of {survey} has no {', '.join(missing)}",
            where=f"read_catalog of {survey}",
            allowed=f"what it has: {', '.join(table.column_names)}",
            todo="let it return these columns (null for what is missing), or take labels out of `brings`",
        )
    if spectra:
        _require_obsids(table["obsid"], survey)
    absent = {LABELS[name].error: pa.float64() for name in settings.brings}
    absent |= _OF_SPECTRA if spectra else _OF_STARS
    for name, kind in absent.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), kind))
    return table


def _require_obsids(obsid: pa.ChunkedArray, survey: str) -> None:
    same = len(obsid) - pc.count_distinct(obsid).as_py()
    if obsid.type != pa.int64() or obsid.null_count or same:
        raise StarglotError(
            f"the obsids of {survey} do not name its spectra: {obsid.type}, {obsid.null_count} null, {same} repeated",
            where=f"read_catalog of {survey}",
            allowed="int64, each once",
            todo="number the spectra in the reader, in a way that a later release does not change",
        )
