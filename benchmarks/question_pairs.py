"""Question sets that a small language model can answer: the right answer among the right answers of other questions.

    python benchmarks/question_pairs.py MMLU.jsonl OUT/mmlu-pairs

MMLU.jsonl: lines of {"question", "choices", "answer": number of a choice}, and "subject" where there is one; wrong
choices are then of other subjects.  Short questions and answers alone, so that a processor does.  Writes OUT.jsonl
and OUT.yaml, a task of lm_eval (docs/retention.md).

Such a set is much easier than the one that it is made of: models of a hundred million weights answer that one at
random, and could not lose anything on it.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import yaml

#: Characters of a question, and of an answer.
QUESTION, ANSWER = (25, 70), (4, 24)
#: What refers to the other choices, or leaves a blank to fill.
LEFT_OUT = ("which of the following", "_"), ("of the", "above")


def main(source: Path, out: Path) -> None:
    """Write the set."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    good = [row for row in rows if fits(row)]
    drawn = random.Random(0)
    lines = []
    for number, row in enumerate(good):
        right = said(row)
        others = {
            said(other): None
            for place, other in enumerate(good)
            if subject(other, place) != subject(row, number) and said(other).lower() != right.lower()
        }
        choices = [right, *drawn.sample(list(others), 3)]
        drawn.shuffle(choices)
        lines.append({"question": row["question"].strip(), "choices": choices, "answer": choices.index(right)})
    data = out.with_name(f"{out.name}.jsonl")
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    task = {
        "task": out.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": data.name}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc_norm"}],
    }
    out.with_name(f"{out.name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
    print(f"{len(lines)} of {len(rows)} questions -> {data}")


def said(row: dict[str, Any]) -> str:
    """The right answer."""
    return str(row["choices"][row["answer"]]).strip()


def subject(row: dict[str, Any], number: int) -> object:
    """What a question is about; itself, where nothing says so."""
    return row.get("subject", number)


def fits(row: dict[str, Any]) -> bool:
    """Whether question and answer are short and stand by themselves."""
    question, answer = row["question"], said(row)
    asks, tells = (
        any(part in text.lower() for part in parts) for text, parts in zip((question, answer), LEFT_OUT, strict=True)
    )
    short = QUESTION[0] <= len(question) <= QUESTION[1] and ANSWER[0] <= len(answer) <= ANSWER[1]
    return short and not asks and not tells and not answer[0].isdigit()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
