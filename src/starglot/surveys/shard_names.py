"""Names of shards: a file's name, a wildcard of the workflow and a word for the shell, whatever a plate is called.

A shard of LAMOST is ``{lmjd}-{planid}``, with every byte of the planid but ASCII letters, digits, '_' and '-' written
as '+' and two hexadecimal digits: the plate 'A B' of day 60000 is shard ``60000-A+20B``.  Different plates have
different names.
The planid itself is read from the catalogue wherever a spectrum's file is looked for.
"""

from __future__ import annotations

import hashlib
import re

import pyarrow as pa
import pyarrow.compute as pc

#: Pattern of the names of shards, of any survey; has no groups, so that it can stand in a wildcard.
SHARD_NAME = r"[A-Za-z0-9][A-Za-z0-9_+-]*"
#: Pattern of those of LAMOST.
PLATE = r"[0-9]{5}-[A-Za-z0-9_+-]+"

_ESCAPED = re.compile(rb"[^A-Za-z0-9_-]")
#: The longest name of a plate that is written out: file systems take 255 bytes, and endings follow.
_LONGEST = 120
_KEPT = 60


def shard_name(lmjd: int, planid: str) -> str:
    """The name of a plate's shard.

    (56619, 'HD001') -> '56619-HD001'; (60000, 'P;id#') -> '60000-P+3Bid+23'.  Of a very long name the beginning
    is kept, then '++', which stands in no other, and a digest of the whole.
    """
    return f"{lmjd}-{_safe(planid)}"


def shard_names(lmjd: pa.ChunkedArray, planid: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """:func:`shard_name` of every row; null where lmjd or planid is."""
    plates = pc.dictionary_encode(planid.cast(pa.string())).combine_chunks()
    if isinstance(plates, pa.ChunkedArray):  # no rows
        return pa.nulls(len(planid), pa.string())
    safe = pa.array([None if plate is None else _safe(plate) for plate in plates.dictionary.to_pylist()], pa.string())
    return pc.binary_join_element_wise(pc.cast(lmjd, pa.string()), safe.take(plates.indices), "-")


def no_folder(planid: str) -> bool:
    """Whether a planid can be no folder below the root of the spectra: '', '.', '..', or with '/' or a zero byte."""
    return planid in ("", ".", "..") or "/" in planid or "\0" in planid


def _safe(planid: str) -> str:
    raw = planid.encode("utf-8")
    written = _ESCAPED.sub(lambda found: b"+%02X" % found[0][0], raw).decode("ascii")
    if len(written) <= _LONGEST:
        return written
    return f"{written[:_KEPT]}++{hashlib.sha256(raw).hexdigest()[:32]}"
