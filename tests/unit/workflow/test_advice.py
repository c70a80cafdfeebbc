"""What is added to Snakemake's own errors: near names, and the command that frees a locked folder."""

import logging

import pytest

from starglot.workflow.advice import Advice

MODEL = "results/models/atmosphere/llm-demo/demo/manifest.json"
MADE = {MODEL, "results/report.html"}


def told(error, text):
    """The message after the advice; it always passes."""
    advice = Advice(
        ["inventory", "samples", "report", "results/report.html"], ["llm-demo", "demo"], MADE.__contains__
    )
    record = logging.LogRecord("snakemake", logging.ERROR, "", 0, text, None, None)
    record.exception = error
    assert advice.filter(record)
    return record.getMessage()


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("sampels", "samples"),
        ("invetory", "inventory"),
        ("results/report.htm", "results/report.html"),
        (
            "results/models/atmosphere/llmdemo/demo/manifest.json",
            "results/models/atmosphere/llm-demo/demo/manifest.json",
        ),
    ],
)
def test_a_mistyped_target_gets_near_names(asked, near):
    said = told("MissingRuleException", f"MissingRuleException:\nNo rule to produce {asked} (if you use ...).")
    assert said.endswith(f"Did you mean {near}?")


def test_nothing_near_is_nothing_said():
    text = "MissingRuleException:\nNo rule to produce results/other/x.txt (if you use ...)."
    assert told("MissingRuleException", text) == text
    assert told("WorkflowError", "No rule to produce sampels") == "No rule to produce sampels"
    assert told(None, "Nothing to be done") == "Nothing to be done"


def test_a_lock_names_recovery():
    assert told("LockException", "Error: Directory cannot be locked.").endswith("make recover")
