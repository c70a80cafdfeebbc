"""What every workflow script shares: one way to take settings, to log, to show progress and to fail."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from starglot.errors import StarglotError


class ProgressLines:
    """Wrap a text stream that is not a terminal: redrawn progress bars become lines, one in five seconds."""

    def __init__(self, stream: TextIO, every: float = 5.0):
        self._stream, self._every, self._pending, self._last = stream, every, "", time.monotonic()

    def write(self, text: str) -> int:
        """Pass finished lines on; hold a redrawn line back until it is due."""
        self._pending += text
        while True:
            cuts = [i for i in (self._pending.find("\n"), self._pending.find("\r")) if i >= 0]
            if not cuts:
                return len(text)
            line, end, self._pending = (
                self._pending[: min(cuts)],
                self._pending[min(cuts)],
                self._pending[min(cuts) + 1 :],
            )
            if end == "\n":
                self._stream.write(line + "\n")
            elif line.strip() and time.monotonic() - self._last >= self._every:
                self._stream.write(line.rstrip() + "\n")
                self._last = time.monotonic()
                self._stream.flush()

    def flush(self) -> None:
        """Flush the wrapped stream; a progress bar's unfinished line stays back."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Never a terminal: colours and cursor movements stay out of logs."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, log to stderr, run ``main``; a StarglotError ends with status 1 and no traceback."""
    args = parser.parse_args()
    if not sys.stderr.isatty():
        sys.stderr = ProgressLines(sys.stderr)
    name = Path(sys.argv[0]).stem
    logging.basicConfig(
        level=os.environ.get("STARGLOT_LOG", "INFO"),
        format=f"%(asctime)s {name}: %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.captureWarnings(True)
    for noisy in ("httpx", "urllib3", "matplotlib", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        main(args)
    except StarglotError as error:
        logging.error("error: %s", error)
        sys.exit(1)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser described by the script's docstring, with ``--settings`` (the config leaves it reads)."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--settings", type=json.loads, required=True, help="JSON of the config leaves it reads")
    return made


def use_threads(count: int) -> None:
    """Let torch use ``count`` threads; call before it is imported, for that is when it looks."""
    os.environ["OMP_NUM_THREADS"] = str(count)
