"""From JSONL files to padded batches: nothing lost, nothing dependent on workers or restarts."""

import gzip
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refused
from starglot.config.root import Encoding, Wavelength
from starglot.config.strict import Augment
from starglot.language.codec import Codec
from starglot.language.prompts import question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens
from starglot.spectra.redraw import redraw_flux
from starglot.spectra.sample_flux import SampleFlux
from starglot.training.data import IGNORED, Collate, Draws, cache_rows
from starglot.training.delivery import digests
from tasks import task_of

WAVELENGTH = Wavelength(start=4000, stop=4199, step=1)
ENCODING = Encoding(form="packed", bin=10, preparation="continuum")
TASK = task_of("atmosphere", ["teff", "logg", "feh"], balanced=True, sizes={"demo": 12})


def flux_of(obsid):
    return (600 + 300 * np.random.default_rng(obsid).random((1, 200))).astype(np.int16)


def write_questions(path, count, first=0):
    codec = Codec(ENCODING, WAVELENGTH)
    with gzip.open(path, "wt") as handle:
        for obsid in range(first, first + count):
            flux = flux_of(obsid)
            asked = question(TASK, WAVELENGTH, TASK.labels, codec.text(codec.values(flux)[0]))
            logg = " null " if obsid % 3 == 0 else " 4 . 1 2 "
            answer = f"[ 'G', ' 5 {obsid % 10} 0 0 ', '{logg}', ' - 0 . 2 5 ']"
            handle.write(json.dumps({"obsid": obsid, "question": asked, "answer": answer}) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qa")
    empty = folder / "train-0001.jsonl.gz"
    with gzip.open(empty, "wt"):
        pass
    return [
        write_questions(folder / "train-0000.jsonl.gz", 5),
        empty,
        write_questions(folder / "train-0002.jsonl.gz", 7, first=100),
    ]


@pytest.fixture(scope="module")
def tokens():
    return PromptTokens(build_tokenizer(), TASK, ENCODING, WAVELENGTH)


@pytest.fixture(scope="module")
def rows(files, tmp_path_factory):
    return cache_rows(files, digests(files), tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def flux(rows):
    """The cleaned spectra, in another order than the questions."""
    obsid = rows.obsids()[::-1]
    return SampleFlux(obsid, np.concatenate([flux_of(number) for number in obsid]))


def test_every_row_of_every_file_is_there_in_order(files, rows):
    expected = []
    for file in files:
        with gzip.open(file, "rt") as handle:
            expected += [json.loads(line) for line in handle]
    assert [rows[number] for number in range(len(rows))] == [
        (row["obsid"], row["question"], row["answer"]) for row in expected
    ]


def test_a_worker_process_maps_the_file_itself(rows):
    assert pickle.loads(pickle.dumps(rows))[7] == rows[7]


def test_the_cached_rows_are_used_again(files, rows):
    before = rows.path.stat().st_mtime_ns
    assert cache_rows(files, digests(files), rows.path.parents[1]).path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "content",
    [b"not json\n", b'{"obsid": 1, "question": "?"}\n', b'{"obsid": "x", "question": "?", "answer": "!"}\n'],
)
def test_a_file_that_is_no_question_file_is_named(tmp_path, content):
    file = tmp_path / "train-0000.jsonl.gz"
    file.write_bytes(gzip.compress(content))
    with refused(where=file, allowed=("obsid", "question", "answer"), todo="snakemake qa"):
        cache_rows([file], digests([file]), tmp_path / "state")
    assert not list((tmp_path / "state").glob("*"))


def test_a_cut_off_gzip_is_named(tmp_path, files):
    file = tmp_path / "train-0000.jsonl.gz"
    file.write_bytes(files[0].read_bytes()[:-20])
    with refused(where=file, todo="snakemake qa"):
        cache_rows([file], digests([file]), tmp_path / "state")


def test_each_pass_sees_each_row_once_and_in_another_order(rows, tokens):
    draws = Draws(rows, tokens, 3 * len(rows), seed=4)
    passes = [[draws._row(epoch, place) for place in range(len(rows))] for epoch in range(3)]
    assert all(sorted(order) == list(range(len(rows))) for order in passes)
    assert passes[0] != passes[1] != passes[2]


def test_prompt_and_answer_are_the_framed_text(rows, tokens):
    tokenizer = tokens.tokenizer
    draws = Draws(rows, tokens, len(rows), seed=0, shuffled=False)
    _, asked, answer = rows[3]
    item = draws[3]
    assert tokenizer.decode(item["prompt"]) == f"{tokenizer.bos_token}{asked}\n"
    assert tokenizer.decode(item["answer"]) == answer + tokenizer.eos_token


def test_a_missing_value_is_masked_and_nothing_else(rows, tokens):
    item = Draws(rows, tokens, len(rows), seed=0, shuffled=False)[0]  # obsid 0 has no logg
    masked = [i for i, counts in zip(item["answer"], item["counts"], strict=True) if not counts]
    assert tokens.tokenizer.decode(masked).strip() == "null"


@pytest.mark.parametrize("augment", [None, Augment(noise=0.02, tilt=0.1)])
def test_an_item_depends_on_seed_and_number_alone(rows, tokens, flux, augment):
    anew = augment and (augment, flux)
    one, other = (Draws(rows, tokens, 24, seed=1, anew=anew) for _ in range(2))
    straight = [one[number] for number in range(24)]
    assert [other[number] for number in (20, 3, 23)] == [straight[number] for number in (20, 3, 23)]
    assert [Draws(rows, tokens, 24, seed=2, anew=anew)[n] for n in range(24)] != straight


def test_augmented_flux_is_drawn_anew_each_pass_and_stays_a_question(rows, tokens, flux):
    draws = Draws(rows, tokens, 24, seed=1, anew=(Augment(noise=0.02), flux))
    plain = Draws(rows, tokens, 24, seed=1)
    length = len(plain[0]["prompt"])
    texts = {tuple(draws[number]["prompt"]) for number in range(24)}
    assert len(texts) == 24
    assert all(len(text) == length for text in texts)
    assert [draws[number]["answer"] for number in range(24)] == [plain[number]["answer"] for number in range(24)]


TEXTS = [
    Encoding(form=form, bin=width, preparation=preparation)
    for form, preparation in (("paper", "as_is"), ("packed", "as_is"), ("packed", "continuum"))
    for width in (1, 3, 10)
]


@pytest.mark.parametrize("encoding", TEXTS, ids=lambda each: f"{each.form}, {each.preparation}, {each.bin}")
def test_the_cleaned_spectrum_says_to_training_what_its_question_says(encoding):
    """Drawn anew from cleaned flux and from the numbers in the text: the same question, whatever the flux."""
    rng = np.random.default_rng(5)
    grid = Wavelength(start=4000, stop=4199, step=1)
    spread = rng.normal(500, rng.choice([30, 300, 4000], (12, 1)), (12, 200))  # beyond 0 and 1000, too
    spectra = np.clip(spread, -32768, 32767).astype(np.int16)
    tokens = PromptTokens(build_tokenizer(), TASK, encoding, grid)
    codec, augment = tokens.codec, Augment(noise=0.02, tilt=0.1)

    class One:
        """Rows of one question."""

        def __len__(self):
            return 1

        def __getitem__(self, number):
            return 7, question(TASK, grid, TASK.labels, codec.text(codec.values(row[None])[0])), "[ 'G' ]"

    for row in spectra:
        draws = Draws(One(), tokens, 1, seed=3, anew=(augment, SampleFlux(np.array([7]), row[None])), shuffled=False)
        written = codec.flux(codec.parse(codec.text(codec.values(row[None])[0]))[None])
        again = codec.values_from_binned(redraw_flux(written, augment, np.random.default_rng([3, 0, 7])))[0]
        expected = tokens.question(question(TASK, grid, TASK.labels, codec.text(again)))
        assert draws[0]["prompt"] == [*draws.before, *expected, *draws.between]


def test_redrawn_noise_has_the_level_asked_for():
    flux = np.full((2000, 50), 0.81)
    flux[:, 0] = 1.0
    out = redraw_flux(flux, Augment(noise=0.01), np.random.default_rng(0))
    ratio = out[:, 1:] / np.median(out, axis=1, keepdims=True)
    # relative noise is level / sqrt(flux); the level is log-normal about 0.01 with sigma 0.5
    assert np.isclose(np.median(ratio.std(axis=1)), 0.01 / 0.9, rtol=0.1)
    assert np.allclose(out.max(axis=1), 1.0)


def test_a_tilt_changes_the_slope_and_not_the_details():
    flux = np.random.default_rng(1).uniform(0.5, 1.0, (200, 100))
    out = redraw_flux(flux, Augment(tilt=0.1), np.random.default_rng(0))
    change = np.log(out / flux)
    smooth = np.polynomial.polynomial.polyfit(np.linspace(-1, 1, 100), change.T, 2)
    assert np.allclose(np.polynomial.polynomial.polyval(np.linspace(-1, 1, 100), smooth), change, atol=1e-9)
    assert np.isclose(smooth[1].std(), 0.1, rtol=0.2)


example = st.tuples(st.integers(1, 9), st.lists(st.booleans(), min_size=1, max_size=6))


@settings(max_examples=40)
@given(st.lists(example, min_size=1, max_size=5))
def test_prompts_start_together_and_only_counted_tokens_are_labels(shapes):
    examples = [
        {"prompt": [7] * asked, "answer": list(range(20, 20 + len(counts))), "counts": counts}
        for asked, counts in shapes
    ]
    batch = Collate(pad=0)(examples)
    kept = batch["logits_to_keep"]
    assert batch["labels"].shape == (len(examples), kept)
    for row, item in enumerate(examples):
        whole = [*item["prompt"], *item["answer"]]
        ids = batch["input_ids"][row].tolist()
        assert ids == whole + [0] * (len(ids) - len(whole))
        labels = batch["labels"][row].tolist()
        assert [label for label in labels if label != IGNORED] == [
            token for token, counts in zip(item["answer"], item["counts"], strict=True) if counts
        ]
        assert all(label in (IGNORED, token) for label, token in zip(labels, ids[-kept:], strict=True))
        assert labels[0] == IGNORED  # nothing comes before the first kept position that could predict it
