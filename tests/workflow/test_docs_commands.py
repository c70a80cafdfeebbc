"""Every command of README and docs: planned by Snakemake, looked through by make, or asked for its options.

Commands stand in blocks (fenced or indented) and in the text between backticks.  Those with a gap for the reader to
fill (`...`, TARGET, <rule>, a shared folder) are left out.  A block is what people paste: there, a run says how many
cores it has.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from starglot.config.load import load_config, merge

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = re.compile(r"(?:[A-Z_]+=\S+ )?(?:snakemake|starglot|make|python|printf) ")
#: What a reader may write before our programs, who has not activated the environment.
BIN = ".venv/bin/"
GAP = re.compile(r"\.\.\.|<|TARGET|/shared/|\bN\b|REAL|FOLDER|\[")
#: Ways of a run that need no cores, as they run no job.
NO_JOBS = {"-n", "--report", "--touch", "--unlock", "--profile"}


def commands() -> dict[str, bool]:
    """Command -> whether it stands in a block, for all pages."""
    found: dict[str, bool] = {}
    for page in PAGES:
        text = page.read_text()
        fenced = re.findall(r"^```(?:sh)?\n(.*?)^```$", text, re.M | re.S)
        rest = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        lines = [line for block in fenced for line in block.splitlines()]
        lines += re.findall(r"^ {4}(\S.*)$", rest, re.M)
        spans = re.findall(r"`([^`\n]+)`", rest)
        for line, block in [*((line, True) for line in lines), *((span, False) for span in spans)]:
            words = re.sub(r"\s+#.*", "", line).strip().removeprefix("$ ").removeprefix(BIN)
            if OURS.match(words) and not GAP.search(words):
                found[words] = found.get(words, False) or block
    return found


COMMANDS = commands()
RUNS = [words for words in COMMANDS if words.startswith("snakemake ")]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader has it: the project, the overlays that the pages write, and files where data should be."""
    folder = tmp_path_factory.mktemp("reader")
    for part in ("Snakefile", "Makefile", "rules", "workflow", "config", "envs", "profiles", "slurm", "benchmarks"):
        (folder / part).symlink_to(ROOT / part)
    (folder / "mine.yaml").write_text("{}\n")
    redshifts = (["demo", "redshift", name] for name in ("fors2", "real-sdss"))
    overlays = (["demo", "miles"], ["demo", "miles_transfer"], *redshifts)
    for names in (["config"], *(["config", *names] for names in overlays)):
        settings: dict[str, object] = {}
        for name in names:
            settings = merge(settings, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))
        surveys = load_config(settings).surveys.named().values()
        for path in filter(None, (path for survey in surveys for path in survey.catalogs.values())):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    lay_out_retention(folder)
    return folder


def lay_out_retention(folder: Path) -> None:
    """What benchmarks/retention.yaml names: question sets, as docs/retention.md shows one, and text to rehearse."""
    page = (ROOT / "docs/retention.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(# questions/.*?)^```$", page, re.M | re.S)
    (question,) = re.findall(r'^```json\n(\{"question".*?)^```$', page, re.M | re.S)
    settings = yaml.safe_load((ROOT / "benchmarks/retention.yaml").read_text())
    for path in map(Path, settings["retention"]["sets"].values()):
        (folder / path.parent).mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(shown.replace("astronomy", path.stem))
        (folder / path).with_suffix(".jsonl").write_text(question)
    text = settings["models"]["smol-rehearsal"]["training"]["rehearsal"]["file"]
    (folder / text).write_text('{"question": "What is a light year?", "answer": "a distance"}\n')


def test_there_are_commands() -> None:
    assert len(RUNS) > 20 and "make demo" in COMMANDS and sum(COMMANDS.values()) > 30


def asked(words: str) -> tuple[tuple[str, ...], set[str]]:
    """Settings of a run and its targets, as Snakemake reads them; where and how its jobs run is left out."""
    try:
        given = get_argument_parser().parse_args(shlex.split(words)[1:])
    except SystemExit as e:  # which would end the tests
        raise ValueError(f"snakemake has no such options: {words}") from e
    files = ["--configfile", *map(str, given.configfile)] if given.configfile else []
    rules = ["-R", *given.forcerun] if given.forcerun else []
    return (*files, *rules), set(given.targets) or {"all"}


def plans() -> dict[tuple[str, ...], set[str]]:
    """Settings -> all targets that a page asks for with them: a plan each."""
    found: dict[tuple[str, ...], set[str]] = {}
    for words in (words for words in RUNS if "--report" not in words):
        settings, targets = asked(words)
        found.setdefault(settings, set()).update(targets)
    return found


PLANS = plans()


def test_a_pasted_run_says_its_cores_and_ends_the_list_of_its_options() -> None:
    for words in (words for words in RUNS if COMMANDS[words]):
        arguments = shlex.split(words)
        assert NO_JOBS & set(arguments) or "--cores" in arguments, words
    for words in (words for words in RUNS if " -R " in words):
        assert shlex.split(words)[-2] == "--", f"{words}: the target would be one more rule of -R"


@pytest.mark.parametrize("settings", PLANS, ids=" ".join)
def test_snakemake_plans_it(reader: Path, settings: tuple[str, ...]) -> None:
    overlay = next((line for line in COMMANDS if line.startswith("printf") and "my.yaml" in line), None)
    if "my.yaml" in settings and overlay:
        subprocess.run(overlay, shell=True, cwd=reader, check=True)
    command = [sys.executable, "-m", "snakemake", "--quiet", "rules", "-n", *settings, "--", *sorted(PLANS[settings])]
    done = subprocess.run(command, cwd=reader, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]


@pytest.mark.parametrize("words", [words for words in COMMANDS if re.match(r"(?:[A-Z_]+=\S+ )?make ", words)])
def test_make_knows_it(words: str) -> None:
    done = subprocess.run(f"{words} -n", shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.startswith("starglot ")])
def test_the_command_has_the_options(words: str) -> None:
    name, *arguments = shlex.split(words)[1:]
    ours = {word for word in arguments if word.startswith("--")} - {"--configfile"}  # explain hands that to Snakemake
    said = help_of(name)
    assert all(option in said for option in ours), ours


@cache
def help_of(name: str) -> str:
    """What a subcommand of `starglot` says of itself."""
    command = [sys.executable, "-m", "starglot", name, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.startswith("python ")])
def test_a_script_has_the_options(words: str) -> None:
    script, *arguments = shlex.split(words)[1:]
    assert (ROOT / script).is_file()
    source = (ROOT / script).read_text()
    ours = {word for word in arguments if word.startswith("--")}
    assert all(f'"{option}"' in source for option in ours), ours
