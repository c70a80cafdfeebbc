"""What a language model costs on a GPU: operations, seconds, memory.  Plain arithmetic; nothing is loaded.

Operations are those that a device executes for a token of a sequence of T tokens, with W weights in the linear layers
of a base of L layers of width h.  The base is frozen and the answer alone is taught, so that the output layer counts
for nothing: forward 2 W, gradients of activations 2 W, and where activations are recomputed 2 W more.  Attention is
causal, and its backward pass recomputes its scores (FlashAttention): 2 L h T forward, 5 L h T backward, 2 L h T
recomputed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starglot.errors import StarglotError

#: Operations a second that are assumed where nothing is said or measured: of one H100 (989e12 at most), sustained.
ASSUMED = 400e12
#: Matrix rate in bfloat16 without sparsity (operations a second, the makers' data sheets).
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
#: Bytes of a weight: NF4 with double quantisation (QLoRA, arXiv:2305.14314: 4.127 bits), bfloat16.
BYTES = {"nf4": 4.127 / 8, "none": 2.0}
#: Bytes of a trained parameter: itself, its gradient and AdamW's two moments, in float32.
_TRAINED = 16


@dataclass(frozen=True)
class Shape:
    """A Llama-like base: width, layers, heads, key-value heads, inner width, vocabulary."""

    hidden: int
    layers: int
    heads: int
    kv: int
    inner: int
    vocabulary: int

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """(in, out) of the linear layers of one block, by their names in Llama."""
        kv = self.hidden * self.kv // self.heads
        return {
            "q_proj": (self.hidden, self.hidden),
            "k_proj": (self.hidden, kv),
            "v_proj": (self.hidden, kv),
            "o_proj": (self.hidden, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }

    @property
    def weights(self) -> int:
        """Weights of the linear layers of all blocks."""
        return self.layers * sum(a * b for a, b in self.linear.values())

    @property
    def parameters(self) -> int:
        """Weights with input and output embeddings."""
        return self.weights + 2 * self.hidden * self.vocabulary

    def adapter(self, rank: int, adapted: Collection[str] | None = None) -> int:
        """Trained parameters of low-rank adapters on the layers called ``adapted``; None: on all linear ones."""
        return self.layers * rank * sum(a + b for name, (a, b) in self.linear.items() if name in (adapted or [name]))


#: Bases by Hugging Face id, so that a plan needs none of them on the disk (from their config.json).
SHAPES = {
    "meta-llama/Llama-3.1-8B-Instruct": Shape(4096, 32, 32, 8, 14336, 128256),
    "meta-llama/Llama-3.1-8B": Shape(4096, 32, 32, 8, 14336, 128256),
    "meta-llama/Llama-3.2-1B-Instruct": Shape(2048, 16, 32, 8, 8192, 128256),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Shape(576, 30, 9, 3, 1536, 49152),
}
#: Names of shapes in the output of benchmarks/gpu.py.
_BENCHMARKED = {
    "llama-3.1-8b": SHAPES["meta-llama/Llama-3.1-8B"],
    "smollm2-135m": SHAPES["HuggingFaceTB/SmolLM2-135M-Instruct"],
}


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a base's config.json tells; None where it is not one of a Llama's kind."""
    try:
        heads = int(config["num_attention_heads"])
        return Shape(
            int(config["hidden_size"]),
            int(config["num_hidden_layers"]),
            heads,
            int(config.get("num_key_value_heads") or heads),
            int(config["intermediate_size"]),
            int(config["vocab_size"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def training_operations(shape: Shape, tokens: int, recompute: bool) -> float:
    """Executed for a token of a training step on sequences of ``tokens``."""
    attention = shape.layers * shape.hidden * tokens
    return (6.0 if recompute else 4.0) * shape.weights + (9.0 if recompute else 7.0) * attention


def needed_operations(shape: Shape, tokens: int) -> float:
    """Needed for a token of a training step, as model FLOP utilisation counts them: nothing recomputed."""
    return 4.0 * (shape.weights + shape.hidden * shape.vocabulary) + 6.0 * shape.layers * shape.hidden * tokens


def answering_operations(shape: Shape, tokens: int) -> float:
    """Executed for a token of a prompt of ``tokens`` that is read once."""
    return 2.0 * shape.weights + 2.0 * shape.layers * shape.hidden * tokens


def training_memory(shape: Shape, tokens: int, batch: int, adapter: int, quantisation: str, recompute: bool) -> float:
    """Bytes on each GPU, about: weights, embeddings, adapter with its optimiser, activations.

    adapter: its parameters.

    Recomputing keeps the input of each block (bfloat16) and the work of one; otherwise the work of all is held.
    """
    block = batch * tokens * (6 * shape.hidden + 3 * shape.inner) * 2
    activations = batch * tokens * shape.hidden * shape.layers * 2 + block if recompute else block * shape.layers
    embeddings = 2 * shape.hidden * shape.vocabulary * 2
    return shape.weights * BYTES[quantisation] + embeddings + adapter * _TRAINED + activations


@dataclass(frozen=True)
class Device:
    """How fast a GPU is: operations a second that it executes.

    rate: sustained; said: where the number comes from; mfu: share of ``peak`` that is spent on needed operations
    (then ``rate`` does not count); cases: measured ones of benchmarks/gpu.py.
    """

    rate: float = ASSUMED
    said: str = "400 TFLOP/s sustained, assumed (an H100 or H200; --tflops, --mfu or --measured say it better)"
    mfu: float | None = None
    peak: float = PEAKS["H100"]
    cases: tuple[dict[str, Any], ...] = ()

    def training_seconds(self, shape: Shape, tokens: int, recompute: bool, quantisation: str) -> float:
        """For a token of a training step."""
        if self.mfu is not None:
            return needed_operations(shape, tokens) / (self.mfu * self.peak)
        return training_operations(shape, tokens, recompute) / self._rate(shape, tokens, quantisation)

    def answering_seconds(self, shape: Shape, tokens: int, quantisation: str) -> float:
        """For a token of a prompt."""
        rate = self.mfu * self.peak if self.mfu is not None else self._rate(shape, tokens, quantisation)
        return answering_operations(shape, tokens) / rate

    def _rate(self, shape: Shape, tokens: int, quantisation: str) -> float:
        """Executed operations a second, measured at the most similar case where any was measured."""
        if not self.cases:
            return self.rate

        def unlike(case: Mapping[str, Any]) -> tuple[bool, float, float]:
            sizes = sorted((_BENCHMARKED[case["shape"]].weights, shape.weights))
            lengths = sorted((case["tokens"], tokens))
            return case["quantisation"] != quantisation, sizes[1] / sizes[0], lengths[1] / lengths[0]

        case = min(self.cases, key=unlike)
        operations = training_operations(_BENCHMARKED[case["shape"]], case["tokens"], recompute=True)
        return float(case["tokens_per_s"] * operations)


def measured_device(path: Path) -> Device:
    """The device of an output of benchmarks/gpu.py.  Raises StarglotError where the file holds no measured case."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        cases = tuple(one for one in found["cases"] if "tokens_per_s" in one and one["shape"] in _BENCHMARKED)
        card = str(found["device"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StarglotError(
            f"the measured rates cannot be read: {error}",
            where=path,
            allowed="what `python benchmarks/gpu.py --out FILE` wrote",
            todo="measure on the GPU that is to train, or give --tflops",
        ) from error
    if not cases:
        raise StarglotError(
            "no case was measured",
            where=path,
            allowed=f"a shape of {', '.join(_BENCHMARKED)} that fits into the GPU's memory",
            todo="measure again, or give --tflops",
        )
    return Device(said=f"{len(cases)} cases measured on {card} ({path})", cases=cases)


def given_device(tflops: float | None, mfu: float | None, card: str, measured: Path | None) -> Device:
    """The device that a command's options tell of: at most one of tflops, mfu, measured."""
    if measured is not None:
        return measured_device(measured)
    if tflops is not None:
        return Device(rate=tflops * 1e12, said=f"{tflops:g} TFLOP/s sustained, as given")
    if mfu is not None:
        return Device(
            mfu=mfu, peak=PEAKS[card], said=f"{mfu:.0%} of {PEAKS[card] / 1e12:g} TFLOP/s ({card}), as given"
        )
    return Device()
