"""What an error must give its reader: the place, what was allowed and the next step, whatever its sentences are.

A test names paths, keys, commands, numbers and names, which a reader needs; a reworded sentence breaks none.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from starglot.errors import StarglotError


def holds(text: object, *values: object) -> bool:
    """Whether ``text`` names every one of ``values``, as whole words: 7 is not in 17, nor a folder in its file.

    A value that ends with a slash is a folder with something in it.
    """
    ends = {value: "" if str(value).endswith("/") else r"(?![\w/]|\.\d)" for value in values}
    return all(re.search(rf"(?<!\w){re.escape(str(value))}{end}", str(text)) for value, end in ends.items())


def at(faults: Iterable[str], key: str, *values: object) -> bool:
    """Whether one of the configuration's ``faults`` ("key: sentence") is of ``key`` and names the ``values``."""
    of_key = (fault for fault in faults if re.match(rf"{re.escape(key)}( \(.*?\))?: ", fault))
    return any(holds(fault.partition(": ")[2], *values) for fault in of_key)


@contextmanager
def refused(
    *values: object, where: object = (), allowed: object = (), todo: object = ()
) -> Iterator[pytest.ExceptionInfo[StarglotError]]:
    """Expects a StarglotError whose fields name these: ``values`` are numbers and names in ``what``.

    A field is given one thing or a tuple of things. The next step, ``todo``, must always be there.
    """
    with pytest.raises(StarglotError) as caught:
        yield caught
    error = caught.value
    assert error.todo, f"it says no next step:\n{error}"
    for field, wanted in (("what", values), ("where", where), ("allowed", allowed), ("todo", todo)):
        for value in wanted if isinstance(wanted, tuple) else (wanted,):
            assert holds(getattr(error, field), value), f"`{field}` does not name {str(value)!r}:\n{error}"
