"""What the tutorial shows below its commands is what they print: of a finished demo all, of the mini the first line.

A block ``text`` holds what the block before it prints; a line ``...`` in it stands for any lines.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial.md"
NUMBER = re.compile(r"(-?\d+\.\d+)")
ANY_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)")
#: Numbers with decimals depend on the processor: that far, absolute and relative.
LAST_DIGITS = (0.03, 0.1)


def shown() -> list[tuple[str, str, list[str]]]:
    """(language, program, lines that it is said to print) of each step of the page that can be run."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    pairs = itertools.pairwise(blocks)
    steps = [(one[0], one[1], other[1].splitlines()) for one, other in pairs if other[0] == "text"]
    return [step for step in steps if step[1].strip() != "make demo"]


STEPS = shown()


def printed(folder: Path, scratch: Path, language: str, program: str) -> list[str]:
    """What a step prints in a project's folder; the overlay that it writes is not written there."""
    program = program.replace("my.yaml", str(scratch / "my.yaml"))
    command = ["bash", "-eu", "-c", program] if language == "sh" else [sys.executable, "-c", program]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert not done.returncode, done.stdout[-3000:]
    return [line for line in done.stdout.splitlines() if line.strip()]


def same_line(said: str, got: str, number: re.Pattern[str] = NUMBER) -> bool:
    """Equal but for blanks, and for the last digits of numbers, by default of those with decimals."""
    one, other = (number.split(" ".join(line.split())) for line in (said, got))
    if len(one) != len(other):
        return False
    close = (abs(float(a) - float(b)) <= LAST_DIGITS[0] + LAST_DIGITS[1] * abs(float(a))
             for a, b in zip(one[1::2], other[1::2], strict=True))  # fmt: skip
    words = (a.replace("*", "").strip() == b.replace("*", "").strip()
             for a, b in zip(one[::2], other[::2], strict=True))  # fmt: skip
    return all(words) and all(close)


def first_difference(said: list[str], got: list[str]) -> str | None:
    """A line that is shown and not printed in its place; None where all of them are."""
    at, gap = 0, False
    for line in (line for line in said if line.strip()):
        if line.strip() == "...":
            gap = True
            continue
        while gap and at < len(got) and not same_line(line, got[at]):
            at += 1
        if at >= len(got) or not same_line(line, got[at]):
            return line
        at, gap = at + 1, False
    return None if gap or at == len(got) else got[at]


def test_a_line_that_is_not_printed_is_found() -> None:
    assert first_difference(["a", "...", "c 1.50"], ["a", "b", "c  1.51"]) is None
    assert first_difference(["a", "...", "c 1.50"], ["a", "b", "c 2.51"]) == "c 1.50"
    assert first_difference(["a"], ["a", "b"]) == "b"
    assert first_difference(["a 7"], ["a 8"]) == "a 7"


@pytest.fixture(scope="module")
def demo() -> Path:
    """A folder with a finished demo: this one, or the one that STARGLOT_DEMO names."""
    folder = Path(os.environ.get("STARGLOT_DEMO", ROOT))
    if not (folder / "results/demo/report.html").exists():
        pytest.skip("no finished demo: `make demo` makes one, or STARGLOT_DEMO names the folder of one")
    return folder


@pytest.mark.parametrize(("language", "program", "lines"), STEPS, ids=lambda part: str(part)[:40])
def test_the_demo_prints_what_the_page_shows(demo, tmp_path, language, program, lines) -> None:
    got = printed(demo, tmp_path, language, program)
    assert first_difference(lines, got) is None, got


def test_readme_has_the_scores_of_the_demo(demo) -> None:
    scores = pd.read_csv(demo / "results/demo/tables/headline_atmosphere.csv")
    rows = re.findall(r"^\| ([\w-]+) \| ([-\d. |]+) \|$", (ROOT / "README.md").read_text(), re.M)
    assert [name for name, _ in rows] == list(dict.fromkeys(scores["model"]))
    for name, cells in rows:
        mine = scores[scores["model"] == name][["r2", "skill", "std"]].to_numpy().ravel()
        assert [float(cell) for cell in cells.split("|")] == pytest.approx(
            mine, abs=LAST_DIGITS[0], rel=LAST_DIGITS[1]
        )


def test_the_first_command_of_readme_prints_its_answer(demo, tmp_path) -> None:
    """A language model's answer, whose last digits depend on the processor, whole numbers' too."""
    text = (ROOT / "README.md").read_text()
    command, answer = re.search(
        r"^\.venv/bin/(starglot predict .*)\n```\n\n```\n(.*?)^```$", text, re.M | re.S
    ).groups()
    got = printed(demo, tmp_path, "sh", command.replace("docs/", f"{ROOT}/docs/"))
    said = [line.replace("docs/", f"{ROOT}/docs/") for line in answer.splitlines() if line.strip()]
    assert len(said) == len(got) and all(
        same_line(one, other, ANY_NUMBER) for one, other in zip(said, got, strict=True)
    ), got


def test_the_demo_begins_with_as_many_jobs_as_the_page_says(fresh) -> None:
    """Within a tenth: the page shows the order of size."""
    said = int(re.search(r"^(\d+) jobs$", PAGE.read_text(), re.M)[1])
    command = ["snakemake", "-n", "--quiet", "rules", "--cores", "2", "--configfile", "config/demo.yaml"]
    done = subprocess.run([sys.executable, "-m", *command], cwd=fresh.folder, capture_output=True, text=True)
    planned = int(re.search(r"^total\s+(\d+)$", done.stdout + done.stderr, re.M)[1])
    assert planned == pytest.approx(said, rel=0.1)


@pytest.mark.parametrize(("language", "program", "lines"), STEPS, ids=lambda part: str(part)[:40])
def test_the_mini_begins_as_the_page_shows(mini, tmp_path, language, program, lines) -> None:
    """The same commands where other spectra are: the same columns, words and layout at first."""
    for ours, there in (("config/demo.yaml", "mini.yaml"), ("results/demo", "results"), ("demo/demo", "mini/mini")):
        program = program.replace(ours, there)
    got = printed(mini.folder, tmp_path, language, program)
    begins = next(line for line in lines if line.strip() != "...").replace("demo", "mini")
    assert re.sub(r"\d+", "0", begins).split() in [re.sub(r"\d+", "0", line).split() for line in got]
