"""Question sets and files of answers, for the tests of language retention."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

#: Multiple choice, each choice scored as a continuation of the question.
TASK = {
    "task": "colours",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "colours.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}],
}
#: Choices of as many tokens each: an untrained model would prefer the shortest.
ROWS: Sequence[Mapping[str, Any]] = [
    {
        "question": f"What is colour {number}?",
        "choices": [str(100 + 211 * number % 887 + 7 * choice) for choice in range(2 + number % 3)],
        "answer": number % 2,
    }
    for number in range(12)
]


def write_set(folder: Path, rows: Sequence[Mapping[str, Any]] = ROWS, **changes: Any) -> Path:
    """A task file and its data; a key that is changed to None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {name: value for name, value in {**TASK, **changes}.items() if value is not None}
    path = folder / "colours.yaml"
    path.write_text(yaml.safe_dump(task), encoding="utf-8")
    return path


def answers(right: Sequence[float], **asked: Any) -> dict[str, Any]:
    """What a model answered, as starglot.inference.retention.ask_set says it: four choices, the first ones true."""
    how = {"output": "multiple_choice", "shots": 0, "batch": 8, "template": "none", "quantisation": "nf4"}
    told = [
        {"question": number, "truth": number % 4, "answer": 0, "right": float(one)}
        for number, one in enumerate(right)
    ]
    return {"conditions": {**how, "n": len(told), **asked}, "chance": 0.25, "adapter": None, "answers": told}
