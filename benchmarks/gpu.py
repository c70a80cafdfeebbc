"""Training steps of a language model with random weights on this machine's GPU: rates, memory, share of the peak.

Random weights train as fast as real ones, so no base has to be at hand.  A spectrum is so many tokens: 200 for
patches, which a projector makes of 4,901 pixels, 5,000 packed, 24,600 in the paper's form.  NF4 and bfloat16 stand
side by side, with LoRA r64 on all linear layers and gradient checkpointing as in the workflow.  Each case ends
after --seconds and two steps; one that does not fit says so, and the next runs.  All of it is meant to end within ten
minutes on one GPU; --shape tiny tries the script on a CPU.

    python benchmarks/gpu.py --out gpu.json [--mock results/calibration --task atmosphere --size demo]

--mock: the results of a finished run, such as the 20,000 spectra of benchmarks/calibration.yaml, of which a model of
SmolLM2's shape is then trained for one pass, by the workflow's own code, and asked about the test spectra.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from starglot.config.kinds.llm import Lora
from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task, form_task
from starglot.inference.patches import predict_patches
from starglot.language.number_answers import NumberScale
from starglot.language.patch_prompt import Prompt
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models.llm import attach_adapter, compute_dtype
from starglot.models.patch_llm import SpectrumLlm, token_size, width_of
from starglot.models.projector import Projector, statistics_of
from starglot.tables import read_json
from starglot.training.answer_loss import AnswerLoss, WithLoss
from starglot.training.data import IGNORED
from starglot.training.delivery import versions
from starglot.training.patches import Spectra, train_patches

#: Hidden size, layers, heads, key-value heads, inner size, vocabulary.
SHAPES = {
    "tiny": (64, 2, 4, 4, 128, 1400),
    "smollm2-135m": (576, 30, 9, 3, 1536, 49152),
    "llama-3.1-8b": (4096, 32, 32, 8, 14336, 128256),
}
#: Tokens of a question with its answer, and how many spectra a step takes.
FORMS = {"patches": (200, 32), "packed": (5000, 2), "paper": (24600, 1)}
#: Matrix rate in bfloat16 without sparsity (FLOP/s, the makers' data sheets), for the share of the peak.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


ENCODING = Patches.model_validate({"form": "patches"})
TASK = form_task("atmosphere", ["teff", "logg", "feh"])


def config_of(shape: str) -> LlamaConfig:
    """A Llama of that shape."""
    hidden, layers, heads, kv, inner, vocabulary = SHAPES[shape]
    return LlamaConfig(
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


def built(shape: str, quantisation: str, device: torch.device) -> LlamaForCausalLM:
    """A frozen model of that shape on the device, with an adapter to train."""
    from peft import prepare_model_for_kbit_training

    set_seed(0)
    config = config_of(shape)
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


#: A step's loss, of the number of spectra.
Step = Callable[[int], Tensor]


def text_step(model: Any, tokens: int, device: torch.device) -> Step:
    """Flux as text: so many tokens, of which the answer's are taught."""
    generator = torch.Generator().manual_seed(0)

    def loss(batch: int) -> Tensor:
        ids = torch.randint(model.config.vocab_size, (batch, tokens), generator=generator).to(device)
        labels = torch.full_like(ids, -100)
        labels[:, -16:] = ids[:, -16:]
        found: Tensor = model(input_ids=ids, labels=labels).loss
        return found

    return loss


def patch_step(model: Any, tokens: int, device: torch.device) -> tuple[nn.Module, Step]:
    """Patch tokens: projector, model and loss as in training; the question is made as long as Llama 3's."""
    wave, rng = Wavelength(), np.random.default_rng(0)
    fine, coarse = rng.standard_normal((64, wave.size)).astype(np.float32), rng.standard_normal((64, 10))
    projector = Projector(ENCODING, wave.size, width_of(model), token_size(model), statistics_of(fine, coarse, 60))
    prompt = Prompt(build_tokenizer(), TASK, wave)
    missing = tokens - prompt.length(projector.tokens) - len(prompt.answer)
    prompt.before = [*(prompt.before * 10)[: max(0, missing)], *prompt.before]
    scales = [NumberScale(3000, 9000, 60, 5500), NumberScale(0, 5, 0.1, 4), NumberScale(-3, 1, 0.05, -0.2)]
    answer = prompt.answer
    whole = WithLoss(SpectrumLlm(projector, model, prompt), AnswerLoss(answer, scales, 1.0, 1.0, 1.0)).to(device)

    def loss(batch: int) -> Tensor:
        numbers = rng.uniform(0, 999, (batch, len(TASK.labels)))
        ids = torch.from_numpy(answer.tokens(numbers, rng.integers(0, 5, batch)))
        labels = ids.clone()
        labels[:, answer.slots] = IGNORED
        given = {
            "fine": torch.from_numpy(rng.standard_normal((batch, wave.size)).astype(np.float32)),
            "coarse": torch.from_numpy(rng.standard_normal((batch, 10)).astype(np.float32)),
            "answer": ids,
            "labels": labels,
            "target": torch.from_numpy(numbers.astype(np.float32)),
            "fed": torch.from_numpy(answer.parts(numbers)),
        }
        found: Tensor = whole(**{name: each.to(device) for name, each in given.items()})["loss"]
        return found

    return whole, loss


def steps(model: nn.Module, loss: Step, batch: int, seconds: float, device: torch.device) -> Iterator[float]:
    """Seconds of each training step, the first one (which warms up) left out; at least one, however long it takes."""
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-4)
    until = time.perf_counter() + seconds
    for step in itertools.count():
        started = time.perf_counter()
        loss(batch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        ended = time.perf_counter()
        if step:
            yield ended - started
            if ended > until:
                return


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
        adapted: Any = built(shape, quantisation, device)
        if form == "patches":
            model, loss = patch_step(adapted, tokens, device)
        else:
            model, loss = adapted, text_step(adapted, tokens, device)
        taken = sorted(steps(model, loss, batch, seconds, device))
    except torch.OutOfMemoryError:
        return {**case, "failed": "does not fit into the memory of this GPU"}
    finally:
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
    rate = batch * tokens / taken[len(taken) // 2]
    case |= {"steps": len(taken), "tokens_per_s": round(rate, 1), "spectra_per_s": round(rate / tokens, 3)}
    if on_gpu:
        case["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        card = torch.cuda.get_device_name()
        peak = next((rate for name, rate in PEAKS.items() if name in card), None)
        case["mfu"] = round(rate * flops(shape, tokens) / peak, 3) if peak else None
    return case


def on_mock(shape: str, results: Path, task_name: str, size: str, view: str, device: torch.device) -> dict[str, Any]:
    """One pass over the spectra of a finished run, and answers to its test spectra: rates and R2."""
    sample = pq.read_table(results / f"samples/{task_name}/{size}.parquet")
    labels = pq.read_table(results / f"labels/{task_name}.parquet")
    folder, tokenizer = results / "spectra" / view, build_tokenizer()
    training = {"epochs": 1.0, "batch": 64, "accumulate": 1, "warmup": 0.05, "gradient_checkpointing": False}
    training |= {"gpus": int(device.type == "cuda"), "learning_rate": 1e-3, "checkpoints": 1}
    given = {"kind": "patch_llm", "base": "b", "encoding": "e", "quantisation": "none", "training": training}
    settings = PatchLlm.model_validate(given)
    task = Task.model_validate(read_json(results / f"models/{task_name}/class-mean/{size}/manifest.json")["task"])
    wave = Wavelength()
    with tempfile.TemporaryDirectory() as place:
        base, out, state = (Path(place) / name for name in ("base", "model", "state"))
        set_seed(0)
        LlamaForCausalLM(config_of(shape)).save_pretrained(base)
        tokenizer.save_pretrained(base)

        def shard(name: str) -> Path:
            return folder / f"{name}.parquet"

        spectra = Spectra(sample, labels, shard, {})
        manifest = train_patches(settings, task, ENCODING, wave, size, str(base), None, spectra, out, state, {})
        test = sample.filter(pc.equal(sample["split"], "test"))
        started = time.perf_counter()
        lines = predict_patches(settings, task, ENCODING, wave, base, out, test, labels, shard, {}, [], state)
        seconds = time.perf_counter() - started
        run = read_json(out / "run.json")
    frame = lines.to_pandas().dropna(subset=["truth", "value"])
    r2 = {
        name: round(1 - float(((rows.value - rows.truth) ** 2).mean() / rows.truth.var(ddof=0)), 4)
        for name, rows in frame.groupby("label")
    }
    return {
        "shape": shape,
        "mock": str(results),
        "train": manifest["counts"]["train"],
        "trained_per_s": round(run["examples_per_second"], 1),
        "train_seconds": run["seconds"],
        "test": len(test),
        "answered_per_s": round(len(test) / seconds, 1),
        "r2": r2,
    }


def main() -> None:
    """Run all cases, cheap ones first, and write each one down as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=["smollm2-135m", "llama-3.1-8b"])
    parser.add_argument("--form", choices=FORMS, nargs="+", default=list(FORMS))
    parser.add_argument("--quantisation", choices=("nf4", "none"), nargs="+", default=["nf4", "none"])
    parser.add_argument("--seconds", type=float, default=20, help="of steps, for each case")
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    parser.add_argument("--mock", type=Path, help="results of a finished run")
    parser.add_argument("--task", default="atmosphere")
    parser.add_argument("--size", default="demo")
    parser.add_argument("--view", default="lamost/paper")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    card = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{card}, computing in {compute_dtype(device.type == 'cuda')}", flush=True)
    cases = []

    def note(case: dict[str, Any]) -> None:
        print(json.dumps(case), flush=True)
        cases.append(case)
        args.out.write_text(json.dumps({"device": card, "versions": versions(), "cases": cases}, indent=1))

    if args.mock:
        note(on_mock(args.shape[0], args.mock, args.task, args.size, args.view, device))
    for shape in args.shape:
        for form in args.form:
            for quantisation in args.quantisation:
                note(measured(shape, form, quantisation, args.seconds, device))


if __name__ == "__main__":
    main()
