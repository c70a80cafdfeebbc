"""The text around question and answer: a chat template, if the tokenizer has one.

A template is a program.  What it writes around the turns is found by having it write conversations of which the texts
are known; what it writes must not depend on the texts, on the day, or on whether the answer is there already.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starglot.errors import StarglotError

#: Token ids before the question, between question and answer, and after the answer.
Frame = tuple[list[int], list[int], list[int]]

#: Questions and answers with the characters of ours, one long: a template may escape, lower, wrap or cut texts.
_TRIED = (
    ("Given ['class', 'Teff', '[Fe/H]']. <flux>0.303, -0.307</flux>", "[ 'K', ' 4 8 2 8 ', ' - 0 . 3 6 ']"),
    ('Predict "C_FE" & more. <flux>' + "317309" * 5000 + "</flux>", "[C_FE:' 0 . 1 5 ', MG_FE:' null ']"),
)
_NEXT = "And C_FE? <flux>302</flux>"
#: The day that templates with a date are told (Llama 3.1's own default).
_DAY = datetime(2024, 7, 26)
#: What templates are told: no thinking, by the names that they know it by, and that day.
_OPTIONS = {"enable_thinking": False, "thinking": False, "date_string": _DAY.strftime("%d %b %Y")}


def _stopped_clock() -> str:
    """A template's beginning that puts that day in the place of its clock, which no argument can."""
    directives = [f"%{flag}{letter}" for letter in "aAbBcdDeFgGhHIjklmMpPrRSTuUVwWxXyY" for flag in ("", "-")]
    replaced = "".join(f" | replace({each!r}, {_DAY.strftime(each)!r})" for each in directives)
    return "{%- macro strftime_now(format) -%}{{ format" + replaced + " }}{%- endmacro -%}"


_CLOCK = _stopped_clock()


class _Fault(Exception):
    """What is wrong with a template."""


def frame(tokenizer: Any) -> Frame:
    """The ids around question and answer, the same on every day.

    With a chat template: one user turn and one assistant turn after an empty system prompt (ours; the paper does
    not say); templates that cannot have a system turn get none.  Thinking is switched off where a template knows how;
    an empty think block that it writes before the answer belongs to the frame, and a block that only its generation
    prompt opens does not.  The answer is followed by the end of the turn, up to the first special token; where the
    template writes none, by the end token.
    Without a template: the start token, a line break, the end token.
    Training and prediction join these ids with those of question and answer; nothing is tokenised across a joint.

    Raises StarglotError for a template that changes or leaves out what it is given, or of which the words around it
    cannot be told for certain.
    """
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if not tokenizer.chat_template:
        return [] if bos is None else [bos], _ids(tokenizer, "\n"), [] if eos is None else [eos]
    before, between, after = _texts(tokenizer)
    ends = _ids(tokenizer, after) if after.strip() else [] if eos is None else [eos]
    return _ids(tokenizer, before), _ids(tokenizer, between), ends


def special_tokens(tokenizer: Any) -> dict[int, str]:
    """Id and text of the tokens that no ordinary text has."""
    added = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))


def _texts(tokenizer: Any) -> tuple[str, str, str]:
    """What the template writes before, between and after the turns."""
    fault = _Fault()
    for system in (True, False):
        try:
            found = {_around(tokenizer, question, answer, system) for question, answer in _TRIED}
        except _Fault as error:
            fault = error
            continue
        if len(found) == 1:
            return found.pop()
        fault = _Fault("what it writes around the turns depends on what is in them")
    raise StarglotError(
        f"the base's chat template cannot be used: {fault}",
        where=getattr(tokenizer, "name_or_path", None) or None,
        allowed="a template that writes a user turn and an assistant turn as they are given, one after the other",
        todo="copy the base to a folder, mend its template there (chat_template.jinja, or chat_template in "
        "tokenizer_config.json) and name the folder in models.<name>.base; with the template removed, question and "
        "answer stand between the start and the end token",
    )


def _around(tokenizer: Any, question: str, answer: str, system: bool) -> tuple[str, str, str]:
    """The same for one question and answer, with an empty system turn or none; raises _Fault."""
    turns = [{"role": "system", "content": ""}] if system else []
    turns = [*turns, {"role": "user", "content": question}]
    before, prompt = _split(_render(tokenizer, turns, True), question, "the question")
    turns = [*turns, {"role": "assistant", "content": answer}]
    again, rest = _split(_render(tokenizer, turns, False), question, "the question")
    between, after = _split(rest, answer, "the answer behind the question")
    if again != before:
        raise _Fault(f"it begins with {before!r} while the answer is to come, and with {again!r} once it is there")
    if not (between.startswith(prompt) or prompt.startswith(between)):
        raise _Fault(f"it asks for an answer with {prompt!r}, and writes one behind {between!r}")
    after = _end_of_turn(tokenizer, after)
    try:
        longer = _render(tokenizer, [*turns, {"role": "user", "content": _NEXT}], False)
        goes_on = _split(_split(longer, answer, "the answer")[1], _NEXT, "a second question")[0]
    except _Fault:  # a template for one question
        return before, between, after
    if not goes_on.startswith(after):
        raise _Fault(f"the end of an answer is {after!r} when it is the last, and {goes_on!r} when it is not")
    return before, between, after


def _split(text: str, part: str, name: str) -> tuple[str, str]:
    """The ids before and after ``part``."""
    count = text.count(part)
    if count != 1:
        raise _Fault(f"it writes {name} {count} times" if count else f"it leaves out or changes {name}")
    before, _, after = text.partition(part)
    return before, after


def _end_of_turn(tokenizer: Any, text: str) -> str:
    """``text`` up to the end of its first special token: what follows belongs to no turn, or to the next."""
    ends = [
        (text.index(token), -len(token)) for token in special_tokens(tokenizer).values() if token and token in text
    ]
    if not ends:
        return text
    start, length = min(ends)
    return text[: start - length]


def _render(tokenizer: Any, turns: list[dict[str, str]], asks: bool) -> str:
    try:
        template = _CLOCK + tokenizer.get_chat_template()
        text = tokenizer.apply_chat_template(
            turns, chat_template=template, tokenize=False, add_generation_prompt=asks, **_OPTIONS
        )
    except Exception as error:  # whatever a program of somebody else's may raise
        raise _Fault(f"it fails ({type(error).__name__}: {error})") from error
    return str(text)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
