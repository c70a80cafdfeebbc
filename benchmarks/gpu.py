"""Training steps of a language model with random weights on this machine's GPU: rates, memory, share of the peak.

Random weights train as fast as real ones, so no base has to be at hand.  A spectrum is so many tokens: 200 for
patches, 5,000 packed, 24,600 in the paper's form.  NF4 and bfloat16 stand side by side, with LoRA r64 on all linear
layers and gradient checkpointing as in the workflow.  Each case ends after --seconds; one that does not fit says so,
and the next runs.  All of it is meant to end within ten minutes on one GPU; --shape tiny tries the script on a CPU.

    python benchmarks/gpu.py --out gpu.json
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from starglot.config.llm import Lora
from starglot.models.llm import attach_adapter, compute_dtype
from starglot.training.delivery import versions

#: Hidden size, layers, heads, key-value heads, inner size, vocabulary.
SHAPES = {
    "tiny": (64, 2, 4, 4, 128, 1000),
    "smollm2-135m": (576, 30, 9, 3, 1536, 49152),
    "llama-3.1-8b": (4096, 32, 32, 8, 14336, 128256),
}
#: Tokens of a question with its answer, and how many spectra a step takes.
FORMS = {"patches": (200, 32), "packed": (5000, 2), "paper": (24600, 1)}
#: Matrix rate in bfloat16 without sparsity (FLOP/s, the makers' data sheets), for the share of the peak.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def built(shape: str, quantisation: str, device: torch.device) -> LlamaForCausalLM:
    """A frozen model of that shape on the device, with an adapter to train."""
    from peft import prepare_model_for_kbit_training

    hidden, layers, heads, kv, inner, vocabulary = SHAPES[shape]
    set_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=32768,
        attn_implementation="sdpa",
        use_cache=False,
    )
    dtype = compute_dtype(device.type == "cuda")
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.requires_grad_(False)
    if quantisation == "nf4":
        quantise(model, dtype, device)
        prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    adapted = attach_adapter(model, Lora(rank=64, alpha=128, dropout=0.1), seed=0)
    return adapted.train()  # type: ignore[return-value]


def quantise(model: LlamaForCausalLM, dtype: torch.dtype, device: torch.device) -> None:
    """Replace the linear layers but the last by NF4 ones of the same weights, as loading a base does."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    linear = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    for name, layer in linear:
        if name == "lm_head":
            continue
        other = Linear4bit(
            layer.in_features, layer.out_features, bias=False, compute_dtype=dtype, quant_type="nf4", device="meta"
        )
        weight = Params4bit(layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4")
        other.weight = weight.to(device)
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, other)
    model.is_loaded_in_4bit = True


def flops(shape: str, tokens: int) -> float:
    """Needed for a token of a training step: a frozen base has forward and gradients of activations, 4 a weight.

    Attention is counted with them (causal, so half of all pairs); the recomputation of checkpointing is not needed.
    """
    hidden, layers, heads, kv, inner, vocabulary = SHAPES[shape]
    each = hidden * hidden * 2 + 2 * hidden * hidden * kv // heads + 3 * hidden * inner
    return 4.0 * (layers * each + hidden * vocabulary) + 3 * 2 * layers * hidden * tokens


def steps(model: Any, tokens: int, batch: int, seconds: float, device: torch.device) -> Iterator[float]:
    """Seconds of each training step, the first one (which warms up) left out."""
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-4)
    generator = torch.Generator().manual_seed(0)
    until = time.perf_counter() + seconds
    first = True
    while first or time.perf_counter() < until:
        ids = torch.randint(model.config.vocab_size, (batch, tokens), generator=generator).to(device)
        labels = torch.full_like(ids, -100)
        labels[:, -16:] = ids[:, -16:]  # the answer alone is taught
        started = time.perf_counter()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        if not first:
            yield time.perf_counter() - started
        first = False


def measured(shape: str, form: str, quantisation: str, seconds: float, device: torch.device) -> dict[str, Any]:
    """One case: rates and memory, or why there are none."""
    tokens, batch = FORMS[form]
    case: dict[str, Any] = {
        "shape": shape,
        "form": form,
        "quantisation": quantisation,
        "tokens": tokens,
        "batch": batch,
    }
    on_gpu = device.type == "cuda"
    try:
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        taken = sorted(steps(built(shape, quantisation, device), tokens, batch, seconds, device))
    except torch.OutOfMemoryError:
        return {**case, "failed": "does not fit into the memory of this GPU"}
    finally:
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
    if not taken:
        return {**case, "failed": f"no second step within {seconds:g} s"}
    rate = batch * tokens / taken[len(taken) // 2]
    case |= {"steps": len(taken), "tokens_per_s": round(rate, 1), "spectra_per_s": round(rate / tokens, 3)}
    if on_gpu:
        case["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        card = torch.cuda.get_device_name()
        peak = next((rate for name, rate in PEAKS.items() if name in card), None)
        case["mfu"] = round(rate * flops(shape, tokens) / peak, 3) if peak else None
    return case


def main() -> None:
    """Run all cases, cheap ones first, and write each one down as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=["smollm2-135m", "llama-3.1-8b"])
    parser.add_argument("--form", choices=FORMS, nargs="+", default=list(FORMS))
    parser.add_argument("--quantisation", choices=("nf4", "none"), nargs="+", default=["nf4", "none"])
    parser.add_argument("--seconds", type=float, default=20, help="of steps, for each case")
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{card}, computing in {compute_dtype(device.type == 'cuda')}", flush=True)
    cases = []
    for shape in args.shape:
        for form in args.form:
            for quantisation in args.quantisation:
                case = measured(shape, form, quantisation, args.seconds, device)
                print(json.dumps(case), flush=True)
                cases.append(case)
                args.out.write_text(json.dumps({"device": card, "versions": versions(), "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
