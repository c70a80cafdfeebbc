"""Base models and adapters: quantised loading, new adapters, saved adapters (paper 3.3)."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starglot.config.kinds.llm import Lora
from starglot.errors import StarglotError
from starglot.models.bases import ADAPTER_FILES, find_base
from starglot.tables import read_json, write_json

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)


def compute_dtype(on_gpu: bool) -> torch.dtype:
    """What the matrices are multiplied in: bfloat16 on a GPU that has units for it, else float32.

    GPUs before Ampere (V100, T4, RTX 20) only emulate bfloat16, slower than float32 and less exact; float16, which
    they have, overflows in bases that were trained in bfloat16.  On the CPU float32 is the faster of the two unless
    the processor has bfloat16 units, and it is the exact one.
    """
    import torch

    if not on_gpu:
        return torch.float32
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    _say_float32(torch.cuda.get_device_name())
    return torch.float32


@cache
def _say_float32(gpu: str) -> None:
    """Cached, so logged once per process: several places need the precision."""
    log.warning("%s has no bfloat16 units (Ampere and later have): computing in float32, slower and larger", gpu)


def load_tokenizer(base: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model or of a trained model's folder, with a padding token.

    Raises StarglotError when it is neither a folder nor a model in the local Hugging Face cache.
    """
    from transformers import AutoTokenizer

    folder = Path(base) if (Path(base) / "tokenizer_config.json").is_file() else find_base(base)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    if tokenizer.pad_token_id is None:
        reserved = "<|finetune_right_pad_id|>"  # Llama 3.1's own padding token, which its config does not name
        known = reserved in tokenizer.get_vocab()
        tokenizer.pad_token = reserved if known else tokenizer.eos_token
    return tokenizer


def load_config(base: str | Path) -> PretrainedConfig:
    """The configuration of a base model: its positions, among others."""
    from transformers import AutoConfig

    config: PretrainedConfig = AutoConfig.from_pretrained(str(find_base(base)), local_files_only=True)
    return config


def load_base(
    base: str | Path,
    quantisation: str = "nf4",
    for_training: bool = False,
    *,
    on_gpu: bool | None = None,
    sharded: bool = False,
) -> PreTrainedModel:
    """A frozen base model from a folder or the local Hugging Face cache, never from the network.

    base: folder or Hugging Face id; quantisation: 'nf4' (double quantisation; really quantised on the CPU too) or
    'none'; for_training: prepare it to carry trainable adapters (norms and embeddings in float32); on_gpu: to the GPU
    of this process (LOCAL_RANK) or not, None where there is one; sharded: ZeRO-3 will place the weights, so that
    they are loaded without a device map and stored in the compute type.

    Raises StarglotError when the base is not there.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    folder = find_base(base)
    on_gpu = torch.cuda.is_available() if on_gpu is None else on_gpu
    dtype = compute_dtype(on_gpu)
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "attn_implementation": "sdpa"}
    if quantisation == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype if sharded else torch.uint8,
        )
    elif quantisation != "none":
        raise StarglotError(
            f"unknown quantisation '{quantisation}'",
            where="models: quantisation",
            allowed="nf4, none",
            todo="set `quantisation` of the model to one of these",
        )
    if not sharded:
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0")) if on_gpu else "cpu"}
    model = AutoModelForCausalLM.from_pretrained(str(folder), **options)
    if quantisation == "nf4" and not on_gpu:
        _same_on_every_processor(model)
    model.config.use_cache = not for_training
    if for_training:
        _prepare(model, quantisation, sharded)
    return model


def _same_on_every_processor(model: PreTrainedModel) -> None:
    """Keep bitsandbytes (0.50) from its own CPU kernel for answers, on processors that compute in bfloat16.

    It rounds the scales of the weights to bfloat16, so that such a machine answers differently from any other, and it
    takes no layer whose width is not a multiple of the block of 64 weights that share a scale.  There is no setting
    for it but this undocumented attribute (tests/contract/test_private_interfaces.py looks whether it is there).
    """
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _prepare(model: PreTrainedModel, quantisation: str, sharded: bool) -> None:
    from peft import prepare_model_for_kbit_training

    if quantisation == "nf4":
        prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    else:
        model.requires_grad_(False)
    if sharded:  # its reentrant kind of checkpointing passes no gradient on unless the input asks for one
        model.enable_input_require_grads()


def attach_adapter(model: PreTrainedModel, lora: Lora, seed: int, *, sharded: bool = False) -> PeftModel:
    """A fresh adapter on ``lora.layers``, or all linear layers but the output layer; ``seed`` decides its weights.

    Raises StarglotError where the base has no linear layer of a name that is asked for.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    if lora.layers is not None:
        _require_layers(model, lora.layers)
    set_seed(seed)  # resuming is exact only if the adapter starts from the same draw
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if lora.layers is None else sorted(lora.layers),
        bias="none",
        task_type="CAUSAL_LM",
    )
    quantised = getattr(model, "is_loaded_in_4bit", False)
    return get_peft_model(model, config, autocast_adapter_dtype=quantised or not sharded)


def _require_layers(model: PreTrainedModel, layers: list[str]) -> None:
    """Raise StarglotError for a name that no linear layer of the base has."""
    from torch.nn import Linear

    output = model.get_output_embeddings()
    linear = [name for name, each in model.named_modules() if isinstance(each, Linear) and each is not output]
    names = {name.rpartition(".")[2] for name in linear}
    unknown = sorted(set(layers) - names)
    if unknown:
        raise StarglotError(
            f"the base has no linear layer called {', '.join(unknown)}",
            where="models: lora: layers",
            allowed=", ".join(sorted(names)),
            todo="name some of these, or set `layers` to null, which adapts all",
        )


def load_adapter(model: PreTrainedModel, folder: str | Path, trainable: bool) -> PeftModel:
    """``model`` with the adapter saved in ``folder``; ``trainable`` to train on from it.

    Raises StarglotError when the folder has no adapter.
    """
    from peft import PeftModel

    folder = Path(folder)
    missing = [name for name in ADAPTER_FILES if not (folder / name).is_file()]
    if missing:
        raise StarglotError(
            f"no adapter here: {', '.join(missing)} missing",
            where=folder,
            todo="train it first: snakemake train",
        )
    return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)


def order_adapter_config(folder: str | Path) -> None:
    """Sort the layers that a saved adapter names: PEFT writes a set, in another order each time.

    The same training would have other bytes, and what depends on them would be made again.
    """
    path = Path(folder) / ADAPTER_FILES[0]
    config = read_json(path)
    write_json({**config, "target_modules": sorted(config["target_modules"])}, path)


def check_adapter(folder: str | Path, lora: Lora) -> None:
    """Raise StarglotError when the adapter in ``folder`` is not as ``lora`` asks: rank, alpha, layers where named."""
    saved = read_json(Path(folder) / ADAPTER_FILES[0])
    if lora.layers is not None and sorted(saved["target_modules"]) != sorted(lora.layers):
        raise StarglotError(
            f"the adapter to start from is on {', '.join(sorted(saved['target_modules']))}; this model's is to be on "
            f"{', '.join(sorted(lora.layers))}",
            where=folder,
            todo="give both the same `lora`, or set the model's `init` to null",
        )
    if (saved["r"], saved["lora_alpha"]) != (lora.rank, lora.alpha):
        raise StarglotError(
            f"the adapter to start from has rank {saved['r']}, alpha {saved['lora_alpha']}; "
            f"this model has rank {lora.rank}, alpha {lora.alpha}",
            where=folder,
            todo="give both stages the same `lora`, or set the model's `init` to null",
        )


def load_for_inference(
    base: str | Path, adapter: str | Path | None, quantisation: str = "nf4"
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """(model, tokenizer) ready to answer: the base as it was in training, with the adapter of a trained model.

    The adapter is not merged: folding it into 4-bit weights costs accuracy, and what is judged should be what was
    trained.  ``adapter`` null gives the bare base.
    """
    model: PreTrainedModel | PeftModel = load_base(base, quantisation)
    if adapter is not None:
        model = load_adapter(model, adapter, trainable=False)  # type: ignore[arg-type]
    model.eval()
    tokenizer = load_tokenizer(base if adapter is None else adapter)
    return model, tokenizer
