"""Every external input of a configuration: is it there, how large, where does it come from, who may have it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starglot.config.bases.outside import is_hub_id
from starglot.config.language_bases import hub_or_folder_bases
from starglot.config.patches import Patches
from starglot.config.queries import language_models, made_by_mock
from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.surveys.common import SpectrumSurvey, Survey
from starglot.errors import StarglotError
from starglot.formats import file_kind
from starglot.language.chat import frame
from starglot.language.length import check_length
from starglot.language.patch_prompt import Prompt
from starglot.language.question_sets import read_set
from starglot.language.tokens import PromptTokens
from starglot.models.bases import local_folder, missing_files
from starglot.models.llm import load_config, load_tokenizer

State = Literal["present", "missing", "broken", "made"]


_YOURS = "a file or folder of yours"


@dataclass(frozen=True)
class Input:
    """One external input.

    path: as the configuration names it; needed_by: what of `run:` needs it ('' when nothing does);
    state: 'made' is written by the workflow itself (mock release); size: readable, '' when unknown;
    remark: why it is broken.
    """

    name: str
    path: str
    needed_by: str
    source: str
    account: str
    state: State
    size: str = ""
    remark: str = ""


def external_inputs(config: Config) -> list[Input]:
    """Every external input that ``config`` names, in the order of the workflow."""
    return [*_surveys(config), *_bases(config), *_texts(config)]


def lacking(inputs: Iterable[Input]) -> list[Input]:
    """The inputs without which `run:` cannot be built."""
    return [item for item in inputs if item.needed_by and item.state in ("missing", "broken")]


def require(inputs: Iterable[Input]) -> None:
    """Raise one StarglotError that names every needed input that is not there."""
    absent = lacking(inputs)
    if absent:
        raise StarglotError(
            f"{len(absent)} input{'s' if len(absent) > 1 else ''} that the run needs "
            f"{'are' if len(absent) > 1 else 'is'} not there:\n"
            + "\n".join(f"  - {item.name}: {item.path} ({item.remark or item.state})" for item in absent),
            where="; ".join(dict.fromkeys(item.needed_by for item in absent)),
            todo="get them from the sources above, correct the paths in your config, or leave out of `run:` what "
            "needs them. Without any data: make demo",
        )


def render(inputs: Iterable[Input]) -> str:
    """The inputs as text for a terminal: a line for what the run makes itself, a block for the others."""
    lines = []
    for item in inputs:
        if item.state == "made":
            lines.append(f"[made by the run] {item.name}: {item.path}")
            continue
        state = item.state if item.needed_by or item.state == "present" else f"{item.state}, not needed"
        lines.append(f"[{state}] {item.name}{f' ({item.size})' if item.size else ''}")
        lines.append(f"    at       {item.path}")
        if item.remark:
            lines.append(f"    problem  {item.remark}")
        lines.append(f"    from     {item.source}")
        lines.append(f"    account  {item.account}")
        lines.append(f"    needed   {'for ' + item.needed_by if item.needed_by else 'by nothing in `run:`'}")
    return "\n".join(lines)


def _surveys(config: Config) -> Iterator[Input]:
    for name, survey in config.surveys.named().items():
        made, users = made_by_mock(config, name), _users(config, name)
        for key, path in survey.catalogs.items():
            yield _file(f"{survey.title}, surveys.{name}.{key}", path, users, survey, made)
        if isinstance(survey, SpectrumSurvey):
            users = _users(config, name, spectra=True)
            yield _folder(f"{survey.title} spectra, surveys.{name}.spectra", survey.spectra, users, survey, made)


def _users(config: Config, survey: str, *, spectra: bool = False) -> str:
    """What of `run:` uses a survey: tasks that ask about its spectra or learn from it, and validation.

    spectra: what uses its spectra.
    """
    samples = {name: config.tasks[name].sample for name in config.seen_tasks}
    users = [
        f"task {name}"
        for name, sample in samples.items()
        if View(sample.view).survey == survey or (sample.source == survey and not spectra)
    ]
    if survey in config.run.validation and not spectra:
        users.append("validation")
    return ", ".join(users)


def _file(name: str, path: str, needed_by: str, survey: Survey, made: bool) -> Input:
    state: State
    size = remark = ""
    try:
        size, state = readable_size(os.stat(path).st_size), "present"
        start = file_kind.start_of(Path(path))
        other = file_kind.other_kind(start)
        if other is not None and not start.startswith(survey.first_bytes):
            state, remark = "broken", f"this is {other[0]}, not a table: {other[1]}"
    except FileNotFoundError:
        state = "missing"
    except file_kind.DAMAGED as error:
        state, remark = "broken", f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if made and state != "present":
        state, remark = "made", ""
    return Input(name, path, needed_by, *_archive(survey), state, size, remark)


def _archive(survey: Survey) -> tuple[str, str]:
    """Where a survey's files are had from, and with which account; for files not its own, what the user says."""
    source = survey.source if isinstance(survey, SpectrumSurvey) else None
    return (survey.download, survey.account) if source is None else (source, "none of the survey's")


def _folder(name: str, path: str, needed_by: str, survey: SpectrumSurvey, made: bool) -> Input:
    """A folder of spectra, looked at one level deep: a release holds millions of files."""
    state: State
    size = remark = ""
    try:
        found = [entry.name for entry in os.scandir(path) if not survey.in_folders or entry.is_dir()]
        size, state = f"{len(found)} {'folders' if survey.in_folders else 'files and folders'}", "present"
        if not found:
            state, size, remark = "broken", "", f"it holds no {survey.in_folders or 'files'}"
    except FileNotFoundError:
        state = "missing"
    except OSError as error:
        state, remark = "broken", f"cannot be read: {error.strerror}"
    if made and state != "present":
        state, remark = "made", ""
    return Input(name, path, needed_by, *_archive(survey), state, size, remark)


def _bases(config: Config) -> Iterator[Input]:
    for (base, revision), users in hub_or_folder_bases(config).items():
        folder = local_folder(base, revision)
        missing = missing_files(folder) if folder else []
        remark = f"lacks {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}" if missing else ""
        if folder and not missing:
            remark = _unfit(config, folder, users)
        state: State = "missing" if folder is None else "broken" if remark else "present"
        if is_hub_id(base):
            source = f"https://huggingface.co/{base}, by `HF_TOKEN=... make fetch-base`"
            account = "Hugging Face, with the model's licence accepted (Llama is gated)"
        else:
            source, account = _YOURS, "none"
        yield Input(
            name="base model",
            path=f"{base} -> {folder}" if folder and is_hub_id(base) else base,
            needed_by=", ".join(users),
            source=source,
            account=account,
            state=state,
            size=readable_size(sum(f.stat().st_size for f in folder.iterdir() if f.is_file())) if folder else "",
            remark=remark,
        )


def _unfit(config: Config, folder: Path, users: Iterable[str]) -> str:
    """Why models of `run:` cannot be trained on the base in ``folder``, as far as its tokenizer tells; else ''.

    Its chat template, and the length of a question as the values of a spectrum mostly are.
    """
    for name in users:
        model = language_models(config)[name]
        try:
            tokenizer, settings = load_tokenizer(folder), load_config(folder)
        except Exception:  # of several libraries; the job that loads it all says what is wrong with a file
            return ""
        try:
            around = sum(map(len, frame(tokenizer)))
            for task in (config.tasks[each] for each in config.run.tasks if name in config.models_of(each)):
                grid = config.recipe_of(task.view).wavelength
                encoding = config.encodings[model.encoding]
                if isinstance(encoding, Patches):
                    Prompt(tokenizer, task, grid)
                else:
                    tokens = PromptTokens(tokenizer, task, encoding, grid)
                    check_length(around + tokens.typical(), 0, tokens, settings, folder)
        except StarglotError as error:
            return f"{name}: {error.what}"
    return ""


def _texts(config: Config) -> Iterator[Input]:
    """Ordinary text that trainings rehearse, and question sets for language retention, which `run:` does without."""
    rehearsed: dict[str, list[str]] = {}
    for name, model in language_models(config).items():
        for plan in (model.training, *model.by_size.values()):
            if plan.rehearsal is not None:
                rehearsed.setdefault(plan.rehearsal.file, []).extend([name] if name in config.run.models else [])
    for path, users in rehearsed.items():
        state: State = "present" if Path(path).is_file() else "missing"
        size = readable_size(os.stat(path).st_size) if state == "present" else ""
        yield Input("text to rehearse", path, ", ".join(dict.fromkeys(users)), _YOURS, "none", state, size)
    for name, path in config.retention.sets.items():
        try:
            files, remark = read_set(path).files, ""
        except StarglotError as error:
            files, remark = [], error.what
        state = "present" if files else "broken" if Path(path).is_file() else "missing"
        size = readable_size(sum(file.stat().st_size for file in files)) if files else ""
        yield Input(f"question set, retention.sets.{name}", path, "", _YOURS, "none", state, size, remark)


def readable_size(length: int) -> str:
    """A number of bytes as '812 B', '3.4 GB' (powers of 1000)."""
    value, units = float(length), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
