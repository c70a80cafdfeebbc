"""Question sets for a language model: task files of lm_eval (EleutherAI's evaluation harness) on local files alone.

Nothing here needs lm_eval: what a set reads is known before any model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from starglot.errors import StarglotError

#: Formats of local files (`dataset_path`); anything else is the name of a data set to download.
LOCAL = ("json", "csv", "parquet", "text")
#: What is asked of a model.
OUTPUTS = ("multiple_choice", "generate_until")
_NEEDED = ("task", "dataset_path", "dataset_kwargs", "test_split", "doc_to_text", "doc_to_target", "metric_list")
_TODO = "docs/retention.md shows a file that works"


@dataclass(frozen=True)
class QuestionSet:
    """One task of lm_eval.

    path: its file; task: what that says, with the data files' paths complete; data: these files; metric: the score of
    one question that accuracy is the mean of, the first of the task's `metric_list`.
    """

    path: Path
    task: Mapping[str, Any]
    data: tuple[Path, ...]
    metric: str

    @property
    def files(self) -> list[Path]:
        """All that the set is made of."""
        return [self.path, *self.data]


def read_set(path: str | Path) -> QuestionSet:
    """The question set in a task file; data files named by a relative path lie beside it.

    Raises StarglotError for a file that is not there or no such task, one that would download data or run code of its
    own, and data files that are not there.
    """
    path = Path(path)
    task = dict(_read(path))
    for key in _NEEDED:
        if not task.get(key):
            raise _fault(path, f"it has no `{key}`", "a task of lm_eval with local data files")
    if task["dataset_path"] not in LOCAL:
        raise _fault(
            path, f"`dataset_path: {task['dataset_path']}` would be downloaded", f"dataset_path: {', '.join(LOCAL)}"
        )
    output = task.get("output_type", "generate_until")
    if output not in OUTPUTS:
        raise _fault(path, f"`output_type: {output}` has no accuracy", ", ".join(OUTPUTS))
    metric = task["metric_list"][0].get("metric") if isinstance(task["metric_list"][0], Mapping) else None
    if not isinstance(metric, str):
        raise _fault(path, "the first entry of `metric_list` names no metric", "metric: acc, acc_norm, exact_match")
    named = task["dataset_kwargs"].get("data_files") if isinstance(task["dataset_kwargs"], Mapping) else None
    if not isinstance(named, Mapping) or task["test_split"] not in named:
        raise _fault(
            path, f"it names no data files of `{task['test_split']}`", "dataset_kwargs: data_files: by split"
        )
    files = {split: [_data_file(path, name) for name in _listed(names)] for split, names in named.items()}
    task["dataset_kwargs"] = {
        **task["dataset_kwargs"],
        "data_files": {split: [str(each) for each in found] for split, found in files.items()},
    }
    return QuestionSet(path, task, tuple(dict.fromkeys(each for found in files.values() for each in found)), metric)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error}"
        raise _fault(path, reason, "the path of a task file (YAML), under retention.sets") from error
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        if "!function" in text:
            reason = "it calls functions (`!function`), and a set runs no code of its own"
        raise _fault(path, reason, "a YAML file of plain values") from error
    if not isinstance(said, Mapping):
        raise _fault(path, "it is no map of keys and values", "a task of lm_eval")
    if taken := [key for key in ("include", "group", "custom_dataset", "unsafe_code") if key in said]:
        raise _fault(path, f"it has `{taken[0]}`", "one task in one file")
    return said


def _listed(names: Any) -> Iterator[str]:
    yield from map(str, names if isinstance(names, list) else [names])


def _data_file(path: Path, name: str) -> Path:
    found = path.parent / name  # an absolute path stays what it is
    if not found.is_file():
        raise _fault(path, f"its data file {name} is not there", f"a path from {path.parent}/, or from /")
    return found


def _fault(path: Path, what: str, allowed: str) -> StarglotError:
    return StarglotError(f"the question set cannot be used: {what}", where=path, allowed=allowed, todo=_TODO)
