"""The lines of a run: counts, times that are guessed only when something is known, and what failed jobs said."""

import io
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_interface_logger_plugins.common import LogEvent

import snakemake_logger_plugin_starglot as plugin
from starglot.workflow.progress import Progress, complaint, described, in_words, read_expected


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def run(progress, clock, jobs):
    """Jobs one after the other: (rule, seconds, threads); the lines."""
    lines = []
    for number, (rule, seconds, threads) in enumerate(jobs):
        progress.start(number, rule, rule, threads)
        clock.now += seconds
        lines.append(progress.finish(number))
    return lines


def test_no_time_is_named_before_something_is_known():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.plan({"clean": 8, "train": 2})
    lines = run(progress, clock, [("clean", 2, 1)] * 8)
    assert lines == [f"[{i:>2}/10] clean" for i in range(1, 9)], "nothing is known of what a training takes"
    assert progress.seconds_left() is None


def test_what_an_earlier_run_took_is_scaled_to_this_machine():
    """Half as fast as the machine of the table, on one core: 4 cleanings of 2 s and 2 trainings of 120 s are left."""
    clock = Clock()
    progress = Progress({"clean": 1.0, "train": 60.0}, clock)
    progress.plan({"clean": 10, "train": 2})
    lines = run(progress, clock, [("clean", 2, 1)] * 6)
    assert progress.seconds_left() == pytest.approx(4 * 2 + 2 * 120)
    assert lines[3] == "[ 4/12] clean" and lines[5] == "[ 6/12, ~4 min] clean"


def test_its_own_mean_and_cores_count_once_a_rule_has_run():
    """Two cores: a training that took 50 s on both is 100 core-seconds, whatever the table says."""
    clock = Clock()
    progress = Progress({"train": 1.0, "clean": 1.0}, clock)
    progress.plan({"train": 9})
    run(progress, clock, [("train", 50, 2)] * 5)
    assert progress.seconds_left() == pytest.approx(4 * 50)
    progress.start(5, "train", "train", 2)
    clock.now += 20
    assert progress.seconds_left() == pytest.approx(4 * 50 - 20), "what runs is done in part"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1e4), st.integers(1, 8)), min_size=1, max_size=30))
def test_the_last_line_counts_all_and_names_no_time(jobs):
    clock = Clock()
    progress = Progress({"a": 1.0, "b": 0.0}, clock)
    progress.plan({rule: sum(job[0] == rule for job in jobs) for rule in "abc"})
    lines = run(progress, clock, jobs)
    assert lines[-1].startswith(f"[{len(jobs)}/{len(jobs)}] ")
    assert progress.seconds_left() in (None, 0.0)


def test_jobs_that_a_checkpoint_adds_are_counted():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.plan({"inventory": 1, "report": 1})
    (line,) = run(progress, clock, [("inventory", 2, 1)])
    progress.total = 1000
    progress.start(7, "clean", "clean shard x")
    assert line == "[1/2] inventory" and progress.finish(7) == "[   2/1000] clean shard x"


@pytest.mark.parametrize(
    ("rule", "wildcards", "words"),
    [
        (
            "train_llm",
            {"task": "atmosphere", "model": "llm-demo", "size": "1e5"},
            "train llm-demo, atmosphere, size 1e5",
        ),
        ("clean_shard", {"shard": "60000-X"}, "clean shard 60000-X"),
        ("tabulate_paper", {"number": "3"}, "tabulate paper 3"),
        ("inventory", {}, "inventory"),
    ],
)
def test_jobs_in_words(rule, wildcards, words):
    assert described(rule, wildcards) == words


def test_times_in_words():
    assert [in_words(s) for s in (3.2, 89, 540, 5399, 5400, 9000)] == [
        "3 s",
        "89 s",
        "9 min",
        "90 min",
        "1.5 h",
        "2.5 h",
    ]


def test_a_failed_job_is_quoted_without_its_traceback(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("noise\n12:00:00 clean: error: no column teff\n  where:   x.fits\n  to do:   get another\n")
    assert complaint(log) == ["12:00:00 clean: error: no column teff", "  where:   x.fits", "  to do:   get another"]
    log.write_text("noise\nTraceback (most recent call last):\n  File a\n    x()\nValueError: no\nand more\n")
    assert complaint(log) == ["ValueError: no", "and more"]
    log.write_text("\n".join(f"line {i}" for i in range(100)))
    assert complaint(log)[-1] == "line 99" and len(complaint(log)) < 20
    assert complaint(tmp_path / "absent.log") == []


def test_the_table_of_the_demo_knows_the_rules_of_the_workflow():
    """A rule that was renamed would count as unknown, and the demo would name no time."""
    root = Path(__file__).parents[3]
    text = "".join(path.read_text() for path in (root / "rules").glob("*.smk"))
    rules = set(re.findall(r"^ *(?:rule|checkpoint) (\w+):|^ *use rule \w+ as (\w+)", text, re.M))
    table = read_expected(root / "benchmarks/demo_jobs.tsv")
    assert len(table) > 30 and set(table) <= {one or other for one, other in rules}
    assert read_expected(root / "nowhere.tsv") == {}


def handler(terminal):
    """The plugin, writing into a stream."""
    made = plugin.LogHandler(SimpleNamespace(dryrun=False), None)
    made._stream, made._redraws = io.StringIO(), terminal
    return made


def tell(made, event=None, text="", level=logging.INFO, **about):
    record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    record.__dict__.update(about, event=event)
    made.emit(record)


def job(made, number, rule, log=(), **wildcards):
    about = {"jobid": number, "rule_name": rule, "rule_msg": None, "wildcards": wildcards, "threads": 1, "log": log}
    tell(made, LogEvent.JOB_INFO, **about)


def test_a_run_in_plain_lines(tmp_path):
    """What a file or a pipe gets of a run with a failure: lines, and nothing that a terminal would act on."""
    log = tmp_path / "b.log"
    log.write_text("12:00:00 clean_shard: error: the disk is full\n  to do:   make room\n")
    made = handler(terminal=False)
    tell(made, LogEvent.RUN_INFO, stats={"inventory": 1, "clean_shard": 2, "total": 3})
    tell(made, text="Select jobs to execute...")
    job(made, 1, "inventory")
    tell(made, LogEvent.JOB_FINISHED, job_id=1)
    job(made, 2, "clean_shard", shard="60000-A")
    job(made, 3, "clean_shard", (str(log),), shard="60000-B")
    tell(made, LogEvent.JOB_ERROR, level=logging.ERROR, jobid=3)
    tell(
        made,
        LogEvent.ERROR,
        "RuleException:\nCalledProcessError in file 'x.smk', line 3:\nCommand ...",
        logging.ERROR,
    )
    tell(made, LogEvent.JOB_FINISHED, job_id=2)
    tell(made, text="something odd", level=logging.WARNING)
    made.close()
    assert made._stream.getvalue().splitlines() == [
        "3 jobs",
        "[1/3] inventory",
        "FAILED: clean shard 60000-B",
        "    12:00:00 clean_shard: error: the disk is full",
        "      to do:   make room",
        f"    log: {log}",
        "[2/3] clean shard 60000-A",
        "something odd",
        "2 of 3 jobs done, 1 failed, in 0 s",
    ]


def test_a_stopped_run_says_so_once_and_blames_no_job():
    made = handler(terminal=False)
    tell(made, LogEvent.RUN_INFO, stats={"make_mock": 1, "total": 1})
    job(made, 0, "make_mock")
    for _ in range(3):
        tell(made, text="Terminating processes on user request, this might take some time.")
    tell(made, LogEvent.JOB_ERROR, level=logging.ERROR, jobid=0)
    made.close()
    assert made._stream.getvalue().splitlines() == [
        "1 job",
        "Stopping: no further job begins.",
        "stopped: make mock",
        "0 of 1 job done, in 0 s",
    ]


def test_a_terminal_has_a_last_line_with_what_runs(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    made = handler(terminal=True)
    tell(made, LogEvent.RUN_INFO, stats={"train_llm": 1, "clean_shard": 1, "total": 2})
    job(made, 1, "train_llm", model="llm-demo", task="atmosphere")
    job(made, 2, "clean_shard", shard="60000-HD022800N0500B01")
    last = made._stream.getvalue().split(plugin._CLEAR)[-1]
    assert last.startswith("running: train llm-demo, atmosphere, cl") and len(last) < 40 and "\n" not in last
    tell(made, LogEvent.JOB_FINISHED, job_id=1)
    tell(made, LogEvent.JOB_FINISHED, job_id=2)
    made.close()
    assert made._stream.getvalue().split(plugin._CLEAR)[-1] == "2 of 2 jobs done, in 0 s\n"
