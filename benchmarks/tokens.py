"""What a spectrum costs in tokens, and how fast its token ids are found.

    python benchmarks/tokens.py [--tokenizer FOLDER_OR_MODEL_FILE] [--spectra 50]

The table of ids per value is compared with the tokenizer itself on the same questions in the same run, and the ids
are checked to be equal.  Spectra are synthetic: 4901 values with noise, every one different.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import form_task
from starglot.language.prompts import question
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.language.tokens import PromptTokens

LLAMA = Path(__file__).resolve().parents[2] / "shared" / "tokenizer" / "llama3" / "tokenizer.model"
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GRID = Wavelength()
TASK = form_task("atmosphere", ["teff", "logg", "feh"])
ENCODINGS = {
    "paper  '0.303, 0.307'": Encoding(form="paper"),
    "packed '303307'": Encoding(form="packed"),
    "packed, 10 A bins": Encoding(form="packed", bin=10),
    "packed, 40 A bins, continuum": Encoding(form="packed", bin=40, preparation="continuum"),
}


def load(path: Path | None) -> tuple[str, Any]:
    """Name and tokenizer: Llama 3's from its model file or a folder, else the demo's."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter

    if path is None or not path.exists():
        return "the demo's tiny tokenizer (no Llama 3 tokenizer given or found)", build_tokenizer()
    if path.is_dir() and (path / "tokenizer.json").exists():
        return str(path), AutoTokenizer.from_pretrained(path)
    file = path / "tokenizer.model" if path.is_dir() else path
    return str(file), PreTrainedTokenizerFast(
        tokenizer_object=TikTokenConverter(str(file), pattern=SPLIT).converted()
    )


def spectra(count: int) -> np.ndarray:
    """(count, 4901) stored flux: a slope, lines and 3 % noise, the maximum at 1000."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, GRID.size)
    flux = np.exp(rng.uniform(-0.5, 0.5, (count, 1)) * x) * (1 - 0.3 * np.exp(-(((x + 0.4) / 0.01) ** 2)))
    flux = flux + 0.03 * rng.standard_normal(flux.shape)
    return np.rint(1000 * flux / flux.max(axis=1, keepdims=True)).astype(np.int16)


def rate(work: Callable[[Any], list[int]], items: list[Any]) -> tuple[float, list[list[int]]]:
    """Items a second of CPU time, and what came out."""
    start = time.process_time()
    ids = [work(item) for item in items]
    return len(items) / (time.process_time() - start), ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, default=LLAMA)
    parser.add_argument("--spectra", type=int, default=50)
    options = parser.parse_args()
    name, tokenizer = load(options.tokenizer)
    flux = spectra(options.spectra)
    print(f"tokenizer: {name}\nspectra:   {len(flux)} of {GRID.size} values, one core, CPU time\n")
    columns = ("encoding", "values", "flux tokens", "a value", "tokenizer/s", "text/s", "values/s", "speed-up")
    print("{:<30}{:>8}{:>13}{:>9}{:>13}{:>9}{:>10}{:>10}".format(*columns))
    for title, encoding in ENCODINGS.items():
        fast = PromptTokens(tokenizer, TASK, encoding, GRID)
        values = list(fast.codec.values(flux))
        texts = [question(TASK, GRID, TASK.labels, fast.codec.text(row)) for row in values]
        fast.question(texts[0]), fast.prompt(TASK.labels, values[0])  # both tables are filled before the clock starts
        slow_rate, slow = rate(lambda text: tokenizer(text, add_special_tokens=False)["input_ids"], texts)
        text_rate, by_text = rate(fast.question, texts)
        values_rate, by_values = rate(partial(fast.prompt, TASK.labels), values)
        if not slow == by_text == by_values:
            raise SystemExit(f"{title}: the ids differ from the tokenizer's")
        tokens = float(
            np.mean(
                [len(tokenizer(fast.codec.text(row), add_special_tokens=False)["input_ids"]) for row in values[:5]]
            )
        )
        print(
            f"{title:<30}{fast.codec.n_values:>8}{tokens:>13,.0f}{tokens / fast.codec.n_values:>9.2f}"
            f"{slow_rate:>13,.0f}{text_rate:>9,.0f}{values_rate:>10,.0f}{text_rate / slow_rate:>9.0f}x"
        )


if __name__ == "__main__":
    main()
