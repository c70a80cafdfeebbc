"""What became of one label of an answer: every status, named once."""

from __future__ import annotations

#: Outcome of reading one label out of an answer.
STATUSES: tuple[str, ...] = ("ok", "unparsable", "not_answered", "out_of_range")
