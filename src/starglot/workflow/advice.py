"""What Snakemake's own errors leave out: the target that was meant, and what frees a locked folder."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Collection

_LOCKED = "To end what the last run left, keep what it finished, and unlock: make recover"
#: Snakemake (9) says in words alone which file it was; tests/contract/test_private_interfaces.py looks for these.
_NO_RULE = re.compile(r"No rule to produce (\S+)")


class Advice(logging.Filter):
    """Adds a sentence to errors of Snakemake's that a reader can do something about; lets every message pass.

    targets: names of rules and files that can be asked for; words: what paths are made of (models, sizes, ...);
    makes: whether some rule makes the file of that path.
    """

    def __init__(self, targets: Collection[str], words: Collection[str], makes: Callable[[str], bool]) -> None:
        super().__init__()
        self._targets, self._words, self._makes = targets, words, makes

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known to ``record``."""
        error = getattr(record, "exception", None)
        if error == "LockException":
            record.msg = f"{record.msg}\n{_LOCKED}"
        elif error == "MissingRuleException" and (wanted := _NO_RULE.search(str(record.msg))):
            near = self.near(wanted[1])
            if near:
                record.msg = f"{record.msg}\nDid you mean {' or '.join(near)}?"
        return True

    def near(self, wanted: str) -> list[str]:
        """Targets that may have been meant, the nearest first; for a path also those with another word in it."""
        found = difflib.get_close_matches(wanted, self._targets, n=3, cutoff=0.75)
        parts = wanted.split("/")
        for i, part in enumerate(parts if len(parts) > 1 else []):
            for word in difflib.get_close_matches(part, self._words, n=3, cutoff=0.6):
                path = "/".join([*parts[:i], word, *parts[i + 1 :]])
                if path != wanted and path not in found and self._makes(path):
                    found.append(path)
        return found[:3]
