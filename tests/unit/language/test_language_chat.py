# ruff: noqa: E501 (templates are easier to read by the line)
"""Chat templates, as bases have them: what is taught around question and answer, and what is refused."""

import itertools
import pickle
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from refusals import refused
from starglot.language.chat import frame

#: Every family's special tokens; the tokenizer writes all else byte by byte.
SPECIAL = (
    "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|im_start|> <|im_end|> <s> </s> [INST] "
    "[/INST] <start_of_turn> <end_of_turn> <bos> <|user|> <|assistant|> <|system|> <|end|> <|endoftext|> <|start_of_role|> "
    "<|end_of_role|> <|end_of_text|> <｜User｜> <｜Assistant｜> <｜end▁of▁sentence｜>"
).split()


@pytest.fixture(scope="module")
def bytewise():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")


def around(tokenizer, template, **tokens):
    """Before, between and after, as text."""
    chatty = pickle.loads(pickle.dumps(tokenizer))
    chatty.chat_template = template
    for name, token in tokens.items():
        setattr(chatty, name, token)
    return tuple(chatty.decode(ids) for ids in frame(chatty))


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content | trim %}{% set messages = messages[1:] %}"
    "{% else %}{% set system = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: ' }}"
    "{{ date_string + '\n\n' + system + '<|eot_id|>' }}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + (m.content | trim) }}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    + CHATML
)
QWEN3 = (
    "{% set last = namespace(query=0) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set last.query = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m.role == 'assistant' %}{% set said = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% if loop.index0 > last.query %}{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' + said }}"
    "{% else %}{{ '<|im_start|>assistant\n' + said }}{% endif %}{{ '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
ALTERNATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% endfor %}"
)
MISTRAL = (
    ALTERNATE + "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + eos_token }}{% endif %}"
    "{% endfor %}"
)
LLAMA_2 = (
    ALTERNATE
    + "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + ALTERNATE
    + "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI_3 = (
    "{% for m in messages %}{% if m.role == 'system' and m.content %}{{ '<|system|>\n' + m.content + '<|end|>\n' }}"
    "{% elif m.role != 'system' %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
GRANITE = (
    "{% if messages[0].role == 'system' and messages[0].content %}{% set system = messages[0].content %}"
    "{% else %}{% set system = 'Knowledge Cutoff Date: April 2024.\nToday\\'s Date: ' + strftime_now('%B %d, %Y') + '.' %}"
    "{% endif %}{{ '<|start_of_role|>system<|end_of_role|>' + system + '<|end_of_text|>\n' }}"
    "{% for m in messages if m.role != 'system' %}"
    "{{ '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
    "{% elif m.role == 'assistant' %}{{ '<｜Assistant｜>' + m.content.split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + '\n' }}"
    "{% elif m.role == 'assistant' %}{{ 'ASSISTANT: ' + m.content + eos_token + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "tokens", "expected"),
    [
        (
            LLAMA,
            {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
            (
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
                "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
                "<|eot_id|>",
            ),
        ),
        (
            CHATML,
            {"eos_token": "<|im_end|>"},
            (
                "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n",
                "<|im_end|>\n<|im_start|>assistant\n",
                "<|im_end|>",
            ),
        ),
        (
            DEFAULT_SYSTEM,  # an empty system prompt is one
            {"eos_token": "<|im_end|>"},
            (
                "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n",
                "<|im_end|>\n<|im_start|>assistant\n",
                "<|im_end|>",
            ),
        ),
        (
            QWEN3,
            {"eos_token": "<|im_end|>"},
            (
                "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n",
                "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
                "<|im_end|>",
            ),
        ),
        (MISTRAL, {}, ("<s>[INST] ", " [/INST] ", "</s>")),
        (LLAMA_2, {}, ("<s>[INST] ", " [/INST] ", " </s>")),
        (
            GEMMA,
            {"bos_token": "<bos>"},
            ("<bos><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>"),
        ),
        (PHI_3, {"eos_token": "<|endoftext|>"}, ("<|user|>\n", "<|end|>\n<|assistant|>\n", "<|end|>")),
        (
            GRANITE,
            {"eos_token": "<|end_of_text|>"},
            (
                "<|start_of_role|>system<|end_of_role|>Knowledge Cutoff Date: April 2024.\nToday's Date: July 26, 2024."
                "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>",
                "<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
                "<|end_of_text|>",
            ),
        ),
        (
            R1,  # the block that its generation prompt opens is no part of a conversation that it writes
            {"eos_token": "<｜end▁of▁sentence｜>"},
            ("<s><｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
        ),
        (VICUNA, {}, ("USER: ", "\nASSISTANT: ", "</s>")),
        # No generation prompt, and a turn that has no end of its own: the end token is one.
        ("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}", {}, None),
        # A generation prompt whether asked for or not: it is not taught.
        (CHATML.replace("{% if add_generation_prompt %}", "{% if true %}"), {"eos_token": "<|im_end|>"}, "ChatML"),
    ],
    ids=(
        "llama-3 chatml default-system qwen-3 mistral llama-2 gemma phi-3 granite r1 vicuna no-end always-asks".split()
    ),
)
def test_the_frame_of_a_family(bytewise, template, tokens, expected):
    if expected is None:
        expected = ("system: \nuser: ", "\nassistant: ", "</s>")
    elif expected == "ChatML":
        expected = around(bytewise, CHATML, **tokens)
    assert around(bytewise, template, **tokens) == expected


SIMPLE = "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '</' + m.role + '>' }}{% endfor %}"
ASKING = SIMPLE + "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"


def changed(what):
    return ASKING.replace("m.content", what)


REFUSED = {
    "lower": changed("m.content | lower"),
    "capitalises": changed("m.content | capitalize"),
    "escapes": changed("(m.content | e)"),
    "json": changed("(m.content | tojson)"),
    "cuts": changed("m.content[:4096]"),
    "wraps": changed("(m.content | wordwrap(100))"),
    "no-blanks": changed("m.content.replace(' ', '')"),
    "twice": changed("m.content + m.content"),
    "counts": changed("(m.content | length | string) + m.content"),
    "answer-first": "{% for m in messages | reverse %}{{ '<' + m.role + '>' + m.content }}{% endfor %}",
    "user-only": ASKING.replace("messages %}", "messages if m.role == 'user' %}"),
    "no-user": ASKING.replace("messages %}", "messages if m.role == 'assistant' %}"),
    "parts": "{% for m in messages %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endfor %}",
    "raises": "{{ raise_exception('no chat here') }}" + ASKING,
    "syntax": ASKING + "{% if",
    "needs-tools": "{{ tools[0].name }}" + ASKING,
    "another-beginning": "{{ 'asked' if add_generation_prompt else 'told' }}" + ASKING,
    "another-prompt": SIMPLE + "{% if add_generation_prompt %}{{ '<bot>' }}{% endif %}",
    "asks-on-in-plain-text": SIMPLE + "{{ '<assistant>' }}",
    "last-words": ASKING + "{% if not add_generation_prompt %}{{ 'Goodbye.' }}{% endif %}",
}


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_a_template_that_is_not_sure_is_refused(bytewise, template):
    with refused(where="bases/mine", todo=("chat_template", "models.<name>.base")):
        around(bytewise, template, name_or_path="bases/mine")


def test_templates_by_name_need_a_default(bytewise):
    assert around(bytewise, {"default": ASKING, "tool_use": "x"}) == around(bytewise, ASKING)
    with refused(todo=("chat_template", "models.<name>.base")):
        around(bytewise, {"tool_use": ASKING, "rag": ASKING})


@pytest.mark.parametrize("asks", ["strftime_now('%d %b %Y %H:%M:%S')", "strftime_now('%c')"])
def test_the_day_is_the_same_every_day(bytewise, monkeypatch, asks):
    clock = itertools.count(1)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2030, 1, next(clock))

    monkeypatch.setattr(chat_template_utils, "datetime", Later)
    template = "{{ 'Today: ' + " + asks + " + ' ' }}" + ASKING
    first, second = around(bytewise, template), around(bytewise, template)
    assert first == second
    assert "2024" in first[0]


PIECES = st.text("<>/|[]\n aAbB:#", max_size=6)


@settings(max_examples=40)
@given(
    opens=st.fixed_dictionaries({"user": PIECES, "assistant": PIECES, "system": PIECES}),
    closes=st.fixed_dictionaries({"user": PIECES, "assistant": st.sampled_from(["</s>", "\n</s>", "<|im_end|>\n"])}),
    prompts=st.booleans(),
    think=st.sampled_from(["", "<think>\n\n</think>\n\n"]),
)
def test_any_turns_are_taken_apart(bytewise, opens, closes, prompts, think):
    """Turns between marks of any kind: what stood before, between and after is found, to the letter."""
    chatty = pickle.loads(pickle.dumps(bytewise))
    chatty.chat_template = (
        "{% set opens = "
        + repr(opens)
        + " %}{% set closes = "
        + repr({**closes, "system": ""})
        + " %}{% for m in messages %}{{ opens[m.role] + ("
        + repr(think)
        + " if m.role == 'assistant' else '') + m.content + closes[m.role] }}{% endfor %}"
        + ("{% if add_generation_prompt %}{{ opens.assistant }}{% endif %}" if prompts else "")
    )
    before, between, after = (chatty.decode(ids) for ids in frame(chatty))
    assert before == opens["system"] + opens["user"]
    assert between == closes["user"] + opens["assistant"] + think
    assert after == closes["assistant"].rstrip("\n")  # what follows a special token belongs to no turn
