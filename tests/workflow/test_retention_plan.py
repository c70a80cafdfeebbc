"""Language retention, planned: who is asked, what a set that cannot be used says, and what rehearsed text decides."""

import json
import re

import pytest
import yaml

pytestmark = pytest.mark.workflow

OVER = "over.yaml"
TASK = {
    "task": "small",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "small.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}],
}


@pytest.fixture
def asking(fresh):
    """The mini's configuration with one question set."""
    (fresh.folder / "small.yaml").write_text(yaml.safe_dump(TASK))
    (fresh.folder / "small.jsonl").write_text('{"question": "1 + 1?", "choices": ["2", "3"], "answer": 0}\n')
    write(fresh, {"retention": {"sets": {"small": "small.yaml"}}})
    return fresh


def write(project, over):
    (project.folder / OVER).write_text(yaml.safe_dump(over))


def planned(project, *targets):
    """Rule -> number of jobs that would run, and all that was said."""
    done = project.snakemake(*targets, "-n", overlays=("mini.yaml", OVER), check=False)
    said = done.stdout + done.stderr
    return {
        name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", said.split("Job stats:")[-1], re.M)
    }, said


def test_a_base_is_asked_once_and_every_tuned_model(asking):
    jobs, said = planned(asking, "retention")
    assert jobs["ask_base"] == 1 and jobs["tabulate_retention"] == 2, said
    assert jobs["ask_tuned"] == jobs["train_llm"] == 2, said
    assert "ask_base" not in planned(asking, "all")[0], "it is made on request"


def test_a_set_whose_data_are_not_there_is_told_before_anything_runs(asking):
    (asking.folder / "small.jsonl").unlink()
    jobs, said = planned(asking, "retention")
    assert not jobs and "small.yaml" in said and "small.jsonl" in said and "docs/retention.md" in said


def test_rehearsed_text_decides_by_its_content(fresh):
    def settings(text):
        (fresh.folder / "texts.txt").write_text(text)
        return [
            json.loads(one)["rehearsed"]
            for one in re.findall(r"train_llm\.py --settings '(\{.*?\})'", planned(fresh, "train", "-p")[1])
        ]

    rehearsal = {"file": "texts.txt", "share": 0.5}
    write(fresh, {"models": {"llm-mini": {"training": {"rehearsal": rehearsal}}}})
    first = settings("One.\n")
    assert len(first) == 2 and len(set(first)) == 1
    assert settings("One.\n") == first != settings("Another.\n")
