"""What stands around question and answer: a chat template where the tokenizer has one."""

from __future__ import annotations

from typing import Any

#: Stands for the text of a turn while the template is taken apart.
_QUESTION, _ANSWER = "QQQQ", "AAAA"


def frame(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """Token ids before the question, between question and answer, and after the answer.

    With a chat template: one user turn and one assistant turn after an empty system prompt (ours; the paper does
    not say), with a fixed date where the template writes one, so that the same ids come out on every day.
    Templates that know no system turn get none.  Without a template: the start token, a line break, the end token.
    Training and prediction join these ids with those of question and answer; nothing is tokenised across a joint.
    """
    if not tokenizer.chat_template:
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        return [] if bos is None else [bos], _ids(tokenizer, "\n"), [] if eos is None else [eos]
    asked = _template(tokenizer, answered=False)
    before, between = asked.split(_QUESTION)
    after = _template(tokenizer, answered=True)[len(asked) :].removeprefix(_ANSWER)
    return _ids(tokenizer, before), _ids(tokenizer, between), _ids(tokenizer, after)


def _template(tokenizer: Any, answered: bool) -> str:
    from jinja2.exceptions import TemplateError

    system = {"role": "system", "content": ""}
    turns = [{"role": "user", "content": _QUESTION}]
    if answered:
        turns.append({"role": "assistant", "content": _ANSWER})
    options = {"tokenize": False, "add_generation_prompt": not answered, "date_string": "26 Jul 2024"}
    try:
        return tokenizer.apply_chat_template([system, *turns], **options)
    except TemplateError:
        return tokenizer.apply_chat_template(turns, **options)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
