"""What was found in a module, noted beside its compiled code: finding it again is half of the time of planning.

A note holds as long as the module's text, the names of the package's modules, the code that looked and Python are the
same.  Notes lie where Python puts compiled modules; where it puts none (a folder that cannot be written,
PYTHONDONTWRITEBYTECODE) there are none.
"""

from __future__ import annotations

import hashlib
import marshal
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from starglot.errors import StarglotError
from starglot.tables import atomic_path


class Notes:
    """Notes of one package's modules."""

    def __init__(self, depends: Iterable[str]):
        """depends: what notes depend on besides a module's own text."""
        self._common = "\0".join([platform.python_version(), _looks(), *depends])

    def read(self, file: Path, source: str) -> dict[str, Any] | None:
        """What was found in a module with this text; None where nothing is noted that holds."""
        try:
            key, found = marshal.loads(_place(file).read_bytes())
        except (OSError, ValueError, EOFError, TypeError):
            return None
        return dict(found) if key == self._key(source) else None

    def write(self, file: Path, source: str, found: dict[str, Any]) -> None:
        """Note what was found, in the plain types of :mod:`marshal`."""
        if sys.dont_write_bytecode:
            return
        try:
            with atomic_path(_place(file), durable=False) as partial:
                partial.write_bytes(marshal.dumps((self._key(source), found)))
        except (OSError, StarglotError):  # a full disk is said where a result is written
            return  # as Python does where it cannot keep a compiled module

    def _key(self, source: str) -> bytes:
        return hashlib.sha256(f"{self._common}\0{source}".encode()).digest()


def _place(file: Path) -> Path:
    return Path(cache_from_source(str(file), optimization="provenance"))


@cache
def _looks() -> str:
    """The code that finds what is noted."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
