"""Predictions of a language model, from question files to the raw prediction table."""

import gzip
import json

import pyarrow as pa
import pytest

from refusals import refused
from starglot.config.bases.tiny import TinyBase
from starglot.config.kinds.llm import Decoding, Llm, Lora
from starglot.config.root import Encoding, Wavelength
from starglot.inference import predict as module
from starglot.inference.decode import Decoded
from starglot.inference.digits import SYMBOLS, expand
from starglot.inference.fields import number_fields
from starglot.inference.predict import predict_llm
from starglot.labels import CLASSES
from starglot.language.answers import parse, render
from starglot.language.chat import frame
from starglot.language.prompts import question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.tables import PREDICTION
from tasks import task_of

torch = pytest.importorskip("torch")

WAVELENGTH = Wavelength(start=3800, stop=3809)
ENCODING = Encoding(form="packed", bin=5)
TASK = task_of("atmosphere", ["teff", "feh"], source="lamost", balanced=True, sizes={"s": 4})
OBSIDS = [40, 11, 35, 22, 58]


def settings(**decoding):
    return Llm(
        kind="llm", base="x", encoding="e", quantisation="none", lora=Lora(rank=2), decoding=Decoding(**decoding)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A base that has memorised an answer in doubt, an empty adapter, and question files."""
    from starglot.models.llm import attach_adapter
    from starglot.models.tiny import build_tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    tokenizer = build_tokenizer()
    small = TinyBase(kind="tiny", task="t", size="s", encoding="e", hidden=32, layers=2, heads=4)
    model = build_tiny(small, tokenizer)
    before, between, after = frame(tokenizer)
    asked = question(TASK, WAVELENGTH, TASK.labels, "303307")
    prompt = [*before, *tokenizer(asked, add_special_tokens=False).input_ids, *between]
    texts = [render(TASK, "K", {"teff": t, "feh": f}, TASK.labels, "rounded") for t, f in [(4987, -0.1), (5013, 0.2)]]
    rows = [[*prompt, *tokenizer(text, add_special_tokens=False).input_ids, *after] for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
    labels = torch.tensor([[-100] * len(prompt) + r[len(prompt) :] + [-100] * (width - len(r)) for r in rows])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    attach_adapter(model, Lora(rank=2), seed=0).save_pretrained(folder / "adapter")
    tokenizer.save_pretrained(folder / "adapter")
    files = [folder / "test-0000.jsonl.gz", folder / "test-0001.jsonl.gz"]
    for n, path in enumerate(files):
        with gzip.open(path, "wt") as out:
            for obsid in sorted([*OBSIDS, 99])[n::2]:
                out.write(json.dumps({"obsid": obsid, "question": asked, "answer": "secret"}) + "\n")
    return folder, files


def truth():
    return pa.table(
        {
            "obsid": pa.array(OBSIDS, pa.int64()),
            "star_id": [f"gaia:{obsid // 10}" for obsid in OBSIDS],
            "class": ["K", "G", "K", "M", "A"],
            "teff": [5000.0, None, 5100.0, 4900.0, 7000.0],
        }
    )


def predict(trained, state, **decoding):
    folder, files = trained
    return predict_llm(
        settings(**{"batch": 2, **decoding}),
        TASK,
        ENCODING,
        WAVELENGTH,
        folder / "base",
        folder / "adapter",
        files,
        truth(),
        {"gaia:4"},
        state,
    )


def _of_class(folder):
    """The base's own log-odds of K among all classes, behind the question and an answer's beginning."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (kind.from_pretrained(folder / "base") for kind in (AutoTokenizer, AutoModelForCausalLM))
    before, between, _ = frame(tokenizer)
    asked = question(TASK, WAVELENGTH, TASK.labels, "303307")
    ids = [*before, *tokenizer(asked, add_special_tokens=False).input_ids, *between]
    letters = [tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in CLASSES]
    answer = tokenizer(render(TASK, "K", {}, TASK.labels, "rounded"), add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids + answer[: answer.index(letters[3])]])).logits[0, -1]
    return float(torch.softmax(logits.double()[letters], -1)[3].logit())


@pytest.mark.slow
def test_a_row_for_each_spectrum_and_label(trained, tmp_path):
    table = predict(trained, tmp_path)
    assert table.schema == PREDICTION
    assert table["obsid"].to_pylist() == [o for o in sorted(OBSIDS) for _ in TASK.labels]
    assert table["label"].to_pylist() == TASK.labels * len(OBSIDS)
    rows = {(r["obsid"], r["label"]): r for r in table.to_pylist()}
    assert {r["status"] for r in rows.values()} == {"ok"}
    assert {r["class_pred"] for r in rows.values()} == {"K"}
    odds = [r["class_log_odds"] for r in rows.values()]
    assert odds == pytest.approx([_of_class(trained[0])] * len(odds), rel=1e-3)
    assert rows[40, "teff"]["truth"] == 5000 and rows[11, "teff"]["truth"] is None
    assert all(rows[obsid, "feh"]["truth"] is None for obsid in OBSIDS)  # no such column
    assert {o for o in OBSIDS if rows[o, "teff"]["seen"]} == {40}
    assert table["sigma"].null_count == len(table)
    # The model is in doubt between 4987 and 5013, -0.10 and 0.20: across a leading digit and a sign.
    assert 4900 < rows[40, "teff"]["value"] < 5100 and rows[40, "teff"]["value"] not in (4987, 5013)
    assert rows[40, "teff"]["sigma_raw"] > 5
    assert 0.01 < rows[40, "feh"]["sigma_raw"] < 0.5
    greedy = predict(trained, tmp_path, value="greedy").to_pylist()
    assert all(float(row["value"]) == round(row["value"], 2) for row in greedy)
    assert greedy[0]["sigma_raw"] == pytest.approx(rows[11, "teff"]["sigma_raw"], rel=1e-4)


@pytest.mark.slow
def test_a_killed_prediction_goes_on_and_gives_the_same(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2)
    whole = predict(trained, tmp_path / "a")
    answer, calls = module._Answerer.predict, []

    def die_in_the_second_block(self, block, bar):
        calls.append([obsid for obsid, _ in block])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return answer(self, block, bar)

    monkeypatch.setattr(module._Answerer, "predict", die_in_the_second_block)
    with pytest.raises(KeyboardInterrupt):
        predict(trained, tmp_path / "b")
    assert predict(trained, tmp_path / "b").equals(whole)
    assert calls == [[11, 22], [35, 40], [35, 40], [58]]
    monkeypatch.setattr(module, "load_for_inference", None)  # all is there: nothing needs the model
    assert predict(trained, tmp_path / "b").equals(whole)


@pytest.mark.slow
def test_other_settings_do_not_take_old_blocks(trained, tmp_path):
    predict(trained, tmp_path)
    predict(trained, tmp_path, prune=0.05)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_a_spectrum_without_a_question_is_an_error(trained, tmp_path):
    folder, files = trained
    with refused(todo="snakemake qa"):
        predict_llm(
            settings(),
            TASK,
            ENCODING,
            WAVELENGTH,
            folder / "base",
            folder / "adapter",
            files[:1],
            truth(),
            [],
            tmp_path,
        )


@pytest.mark.slow
def test_an_untrained_model_is_counted_not_crashed(tmp_path, trained):
    from starglot.models.tiny import build_tiny

    folder, files = trained
    tokenizer = build_tokenizer()
    small = TinyBase(kind="tiny", task="t", size="s", encoding="e", hidden=32, layers=2, heads=4)
    build_tiny(small, tokenizer).save_pretrained(tmp_path / "raw")
    table = predict_llm(
        settings(),
        TASK,
        ENCODING,
        WAVELENGTH,
        tmp_path / "raw",
        folder / "adapter",
        files,
        truth(),
        [],
        tmp_path / "s",
    )
    assert set(table["status"].to_pylist()) <= {"unparsable", "not_answered", "out_of_range"}
    assert table["value"].null_count == len(table)


NAMED = task_of("abundances", ["c_fe", "mg_fe", "ti_fe"], source="apogee", balanced=False, sizes={"all": None})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[C_FE:' 0 . 1 5 ', MG_FE:' - 0 . 3 0 ', TI_FE:' null ']", {"c_fe": "0.15", "mg_fe": "-0.30"}),
        (
            "[MG_FE:' 0 . 3 0 ', C_FE:'0.15', TI_FE:' 9 . 9 9 ']",
            {"mg_fe": "0.30", "ti_fe": "9.99"},
        ),  # one is not spaced, one out of range
        ("[C_FE:' 0 . . ', MG_FE:'', TI_FE:' 0 . 1 0 ']", {"c_fe": None, "mg_fe": None, "ti_fe": "0.10"}),
        (
            "[C_FE:' 0 . 1 5 ' MG_FE:' 0 . 3 0 ']",
            {"c_fe": "0.15"},
        ),  # what comes behind a missing comma is anyone's guess
        ("[C_FE:' 0 . 1 5 ', C_FE:' 0 . 2 5 '", {"c_fe": "0.15"}),
        ("C_FE 0.15", {}),
    ],
)
def test_numbers_are_found_by_name(text, expected):
    fields = number_fields(NAMED, NAMED.labels, parse(NAMED, NAMED.labels, text), text, "rounded")
    assert {f.key: f.like for f in fields} == expected
    assert all(text[f.start - 1] == "'" and text[f.start :].replace(" ", "").startswith(f.like or "") for f in fields)


def test_numbers_are_found_by_place_behind_the_class():
    text = "[ 'K', ' null ', ' - 0 . 3 6 ']"
    (found,) = number_fields(TASK, TASK.labels, parse(TASK, TASK.labels, text), text, "float32")
    assert (found.key, found.like, found.decimals, found.resolution) == ("feh", "-0.36", None, 0.01)


class Known:
    """In the place of the decoder: a greedy answer, and for Teff a distribution that is known.

    teff: what stands between the quotes, as the likeliest symbols make it; beliefs: numbers and their probabilities.
    """

    def __init__(self, teff, beliefs):
        self.text = f"[ 'K', '{teff}', ' - 0 . 3 6 ']"
        self.mass = {}
        for number, probability in beliefs.items():
            for n in range(len(number) + 1):
                self.mass[number[:n]] = self.mass.get(number[:n], 0.0) + probability
            self.mass[number + "'"] = probability

    def next_symbols(self, prefixes):
        return [
            [self.mass.get(p + (s or "'"), 0.0) / (self.mass[p] if p else 1.0) for s in SYMBOLS] for p in prefixes
        ]

    def answer(self, prompts, find_numbers):
        numbers = {}
        for number in find_numbers(0, self.text):
            if number.key == "teff":
                found = expand(
                    self.next_symbols, 0.001, decimals=0, like=number.like, resolution=1.0, limits=number.limits
                )
                numbers |= {} if found is None else {"teff": found}
        return [Decoded(self.text, [], numbers)]


@pytest.mark.parametrize(
    ("teff", "beliefs", "value", "expected", "greedy"),
    [
        # The likeliest first digit, 9, leads out of range; most numbers are within it.
        (" 9 9 9 9 9 9 ", {"999999": 0.4, "4900": 0.3, "5100": 0.3}, 5000.0, "ok", "out_of_range"),
        # Nearly all the probability is out of range: the rest is no answer.
        (" 9 9 9 9 9 9 ", {"999999": 0.95, "4900": 0.03, "5100": 0.02}, None, "out_of_range", "out_of_range"),
        (" 9 9 9 9 9 9 ", {"999999": 1.0}, None, "out_of_range", "out_of_range"),
        # Unreadable, and likeliest so by a little.
        (" 4 . . ", {"4900": 0.3, "5100": 0.3}, 5000.0, "ok", "unparsable"),
        (" 4 . . ", {"4900": 0.02}, None, "unparsable", "unparsable"),
        # Null is an answer, whatever else was likely.
        (" null ", {"4900": 0.25, "5100": 0.2}, None, "not_answered", "not_answered"),
        # In range: the mean is over what is in range.
        (" 5 1 0 0 ", {"5100": 0.5, "4900": 0.25, "999999": 0.25}, 15100 / 3, "ok", "ok"),
        # Not a number anywhere (a model whose weights overflow).
        (" 9 9 9 9 9 9 ", {"4900": float("nan")}, None, "out_of_range", "out_of_range"),
        (" 5 1 0 0 ", {"4900": float("nan")}, 5100.0, "ok", "ok"),
    ],
)
def test_the_mean_is_not_lost_with_the_greedy_value(monkeypatch, teff, beliefs, value, expected, greedy):
    from types import SimpleNamespace

    monkeypatch.setattr(module, "load_for_inference", lambda *_: (_no_model(), build_tokenizer()))
    monkeypatch.setattr(module, "Decoder", lambda *_, **__: Known(teff, beliefs))
    asked = [(1, question(TASK, WAVELENGTH, TASK.labels, "303307"))]

    def answered(kind):
        answerer = module._Answerer(settings(value=kind), TASK, ENCODING, WAVELENGTH, "base", "adapter")
        row, other = answerer.predict(asked, SimpleNamespace(update=lambda n: None)).to_pylist()
        assert (other["label"], other["value"], other["status"]) == ("feh", -0.36, "ok")
        return row

    row = answered("expected")
    assert row["status"] == expected
    assert row["value"] == (None if value is None else pytest.approx(value))
    assert value is not None or row["sigma_raw"] is None
    row = answered("greedy")
    assert row["status"] == greedy
    assert row["value"] == (float(teff.replace(" ", "")) if greedy == "ok" else None)
    assert greedy == "ok" or row["sigma_raw"] is None


def test_a_blank_before_the_end_of_a_turn_does_not_end_an_answer():
    from types import SimpleNamespace

    tokenizer = build_tokenizer()
    blank, bracket = (tokenizer(text, add_special_tokens=False).input_ids[0] for text in (" ", "]"))
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=[7]))
    ends = {7, tokenizer.eos_token_id}
    bos = tokenizer.bos_token_id
    assert module._stop_tokens(model, tokenizer, [blank, bos], {blank}) == {*ends, bos}
    assert module._stop_tokens(model, tokenizer, [blank], {blank}) == ends
    assert module._stop_tokens(model, tokenizer, [bracket], {blank}) == {*ends, bracket}
    assert module._stop_tokens(model, tokenizer, [], {blank}) == ends


def with_manifest(trained, folder):
    """The adapter with a manifest, as training leaves it."""
    import shutil

    from starglot.models.bases import describe
    from starglot.tables import write_json
    from starglot.training.delivery import digests

    shutil.copytree(trained[0], folder)
    files = digests(sorted((folder / "adapter").iterdir()))
    base = describe(folder / "base", folder / "known.json")
    write_json({"files": files, "base": base}, folder / "adapter/manifest.json")
    return folder, trained[1]


def test_an_adapter_is_not_put_on_another_base(trained, tmp_path):
    from starglot.models.tiny import build_tiny

    mine = with_manifest(trained, tmp_path / "mine")
    table = predict(mine, tmp_path / "state" / "a")
    small = TinyBase(kind="tiny", task="t", size="s", encoding="e", hidden=32, layers=2, heads=4, seed=1)
    build_tiny(small, build_tokenizer()).save_pretrained(mine[0] / "base")
    assert predict(mine, tmp_path / "state" / "a").equals(table)  # finished on the old base: it is not asked again
    with refused(where=mine[0] / "adapter", todo=("models.<name>.revision", "snakemake train")):
        predict(mine, tmp_path / "state" / "b")


def test_an_edited_adapter_does_not_answer(trained, tmp_path):
    folder, files = with_manifest(trained, tmp_path / "mine")
    path = folder / "adapter/adapter_config.json"
    path.write_text(path.read_text().replace('"lora_alpha": 128', '"lora_alpha": 64'))
    with refused("adapter_config.json", where=folder / "adapter", allowed="manifest.json"):
        predict((folder, files), tmp_path / "state")


def test_the_frame_of_the_training_is_used_whatever_the_template_says_now(trained, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "load_for_inference", lambda *_: (_no_model(), build_tokenizer()))
    monkeypatch.setattr(module, "Decoder", lambda *_, stop, **__: asked.append(stop))
    recorded = {"before": [3], "between": [4, 5], "after": [6]}
    answerer = module._Answerer(settings(), TASK, ENCODING, WAVELENGTH, "base", "adapter", recorded)
    assert (answerer._before, answerer._between) == ([3], [4, 5])
    assert 6 in asked[0]


def _no_model():
    from types import SimpleNamespace

    from transformers import LlamaConfig

    return SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=None), config=LlamaConfig())
