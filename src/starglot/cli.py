"""What every workflow script shares: one way to take settings, to log, to show progress and to fail."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from starglot.errors import StarglotError

#: Signals that end a job, and seconds that it has to clean up.
_ENDING = (signal.SIGINT, signal.SIGTERM)
_GRACE = 5.0


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


class Stopped(BaseException):
    """The job was stopped by SIGINT or SIGTERM; like KeyboardInterrupt, not a subclass of Exception."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number  # as shells count the end by a signal


def end_when_told() -> None:
    """From now on SIGINT and SIGTERM raise :class:`Stopped`; if nothing comes of it, the process ends after a grace.

    Python hears a signal between two of its own steps only, and a step may be one long call of a library.  So a
    thread listens, too: the interpreter's C part writes the signal's number into a pipe at once.
    """

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    reader, tell = os.pipe()
    os.set_blocking(tell, False)

    def listen() -> None:
        while True:
            number = os.read(reader, 1)[0]
            if number in _ENDING:
                time.sleep(_GRACE)
                os._exit(128 + number)

    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=listen, daemon=True).start()
    for number in _ENDING:
        signal.signal(number, stop)


def _hush_libraries() -> None:
    """Leave out of the log what libraries say of themselves and no reader can act on."""
    logging.captureWarnings(True)
    # What transformers will rename in a later version.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a bar for each loading of weights
    # bitsandbytes: that a faster kernel for CPUs is not installed; lm_eval: its steps and defaults.
    levels = {"httpx": "WARNING", "urllib3": "WARNING", "matplotlib": "WARNING", "fontTools": "WARNING"}
    for name, level in {**levels, "bitsandbytes": "ERROR", "lm_eval": "ERROR"}.items():
        logging.getLogger(name).setLevel(level)


def compile_nothing() -> None:
    """Spare this process, which does not compile with torch, the seconds in which bitsandbytes gets ready to."""
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, log to stderr, run ``main``; a StarglotError ends with status 1 and no traceback.

    Told to stop (Ctrl-C, SIGTERM), it says so in one line and ends within seconds, with status 128 + the signal.
    """
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
    _hush_libraries()
    compile_nothing()
    end_when_told()
    try:
        main(args)
    except StarglotError as error:
        logging.error("error: %s", error)
        sys.exit(1)
    except Stopped as stopped:
        logging.error("stopped by %s", stopped)
        sys.exit(stopped.status)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser described by the script's docstring, with ``--settings`` (the config leaves it reads)."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--settings", type=json.loads, required=True, help="JSON of the config leaves it reads")
    return made


def train_language_model_with(command: argparse.ArgumentParser) -> None:
    """Add what the trainings of language models of both kinds are given."""
    command.add_argument("--size", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--index", required=True, help="index of the cleaned spectra, in their folder")
    command.add_argument("--found", nargs="?", help="what was found of the base (its revision), as JSON")
    command.add_argument("--continues", nargs="?", help="manifest of the model to continue from")
    command.add_argument("--manifest", required=True)
    _load_base_with(command, "folder of checkpoints and finished work")


def ask_language_model_with(command: argparse.ArgumentParser) -> None:
    """Add what the predictions of language models of both kinds are given."""
    command.add_argument("--model", required=True, help="manifest of the model")
    command.add_argument("--sample", required=True)
    command.add_argument("--split", required=True)
    command.add_argument("--labels", required=True)
    command.add_argument("--seen", nargs="+", required=True, help="samples whose training stars the model has seen")
    command.add_argument("--out", required=True)
    _load_base_with(command, "folder of finished blocks")


def _load_base_with(command: argparse.ArgumentParser, state: str) -> None:
    command.add_argument("--base", required=True, help="folder or Hugging Face id of the base model")
    command.add_argument("--code-hash", required=True, help="hash of the code, part of what names the work")
    command.add_argument("--state", required=True, help=state)
    command.add_argument("--threads", type=int, default=1)


def use_threads(count: int) -> None:
    """Let torch use ``count`` threads; call before it is imported, for that is when it looks."""
    os.environ["OMP_NUM_THREADS"] = str(count)
