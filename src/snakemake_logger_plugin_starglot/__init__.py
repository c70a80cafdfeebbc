"""Snakemake's messages in one line a job: ``snakemake --logger starglot``.

Snakemake finds logger plugins by the name of their package.  Every run of Snakemake imports this: it stays light.
"""

import logging
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from starglot.workflow.progress import Progress, described, in_words, read_expected

# Some of what Snakemake (9) logs is no event, and known by its words alone: tests/contract/test_private_interfaces.py
# looks for them in the Snakemake that is installed.
#: Its plain messages that a reader should see; the others tell how it works.
_TOLD = ("Nothing to be done", "Trying to restart")

#: How it says that it was told to stop, once or again and again.
_STOPPING = ("Terminating processes", "Will exit after finishing")

#: Errors after the one that names the job, its rule and its log.
_REPEATED = ("CalledProcessError in file", "At least one job did not complete successfully")

_CLEAR = "\r\x1b[K"


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the command line, as ``--logger-starglot-...``."""

    # Snakemake makes an option of the annotation itself, and does not know `Path | None`.
    expected: Optional[Path] = field(  # noqa: UP045
        default=None,
        metadata={"help": "Table of what jobs took in an earlier run (rule, core_seconds), to guess the time left"},
    )


class LogHandler(LogHandlerBase):
    """Writes a line for each job that is done, and what failed; in a terminal, a last line with what is running."""

    def __post_init__(self) -> None:
        expected = self.settings.expected if isinstance(self.settings, LogHandlerSettings) else None
        self._progress = Progress(read_expected(Path(expected)) if expected else {})
        self._stream = sys.stderr
        self._redraws = self._stream.isatty()
        self._stopping = False

    @property
    def writes_to_stream(self) -> bool:
        """Whether this replaces Snakemake's own lines: not in a dry run, which is read job by job."""
        return not self.common_settings.dryrun

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's log file stays Snakemake's."""
        return False

    @property
    def has_filter(self) -> bool:
        """What is shown is chosen here."""
        return True

    @property
    def has_formatter(self) -> bool:
        """So is how."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a message of Snakemake tells, if anything."""
        if not self.writes_to_stream:
            return
        try:
            lines = self._lines(record)
            self._write(lines)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how it ended."""
        run = self._progress
        if self.writes_to_stream and run.total:
            failed = f", {run.failed} failed" if run.failed else ""
            run.running.clear()
            self._write([f"{run.done} of {_jobs(run.total)} done{failed}, in {in_words(run.elapsed())}"])
        run.total = 0  # Snakemake closes its handlers more than once
        super().close()

    def _lines(self, record: logging.LogRecord) -> list[str]:
        event: LogEvent | None = getattr(record, "event", None)
        run, about = self._progress, record.__dict__
        if event == LogEvent.RUN_INFO:
            run.plan({rule: count for rule, count in about["stats"].items() if rule != "total"})
            return [_jobs(run.total)]
        if event == LogEvent.JOB_INFO:
            what = about["rule_msg"] or described(about["rule_name"], about["wildcards"] or {})
            run.start(about["jobid"], about["rule_name"], what, about["threads"], about["log"])
        elif event == LogEvent.JOB_FINISHED:
            return [run.finish(about["job_id"])]
        elif event == LogEvent.PROGRESS:
            run.total = about["total"]
        elif event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            return self._failed(about)
        elif event == LogEvent.ERROR or record.levelno >= logging.WARNING:
            return _error(record.getMessage())
        elif event is None and record.getMessage().startswith(_STOPPING):
            before, self._stopping = self._stopping, True
            return [] if before else ["Stopping: no further job begins."]
        elif event is None and record.getMessage().startswith(_TOLD):
            return record.getMessage().splitlines()
        return []

    def _failed(self, about: dict[str, Any]) -> list[str]:
        """What went wrong in a job, or in the jobs of a group; one line for a job that was stopped with the run."""
        jobs = about["job_error_info"] if "job_error_info" in about else [about]
        numbers = [job["jobid"] for job in jobs]
        if self._stopping:
            return [self._progress.stop(number) for number in numbers]
        return [line for number in numbers for line in self._progress.fail(number)]

    def _write(self, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if self._redraws:
            running = ", ".join(job.what for job in self._progress.running.values())
            width = shutil.get_terminal_size().columns - 1
            text = f"{_CLEAR}{text}{f'running: {running}'[:width] if running else ''}"
        if text:
            self._stream.write(text)
            self._stream.flush()


def _jobs(number: int) -> str:
    return f"{number:,} job{'' if number == 1 else 's'}"


def _error(text: str) -> list[str]:
    """Lines of an error of Snakemake's; none for those that repeat which job has failed, and with what command."""
    if any(words in text for words in _REPEATED):
        return []
    return text.strip().splitlines()
