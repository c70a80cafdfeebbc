"""Bases and adapters as they are loaded for prediction."""

import pytest

from refusals import refused
from starglot.config.bases.tiny import TinyBase
from starglot.config.kinds.llm import Lora
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models import llm
from starglot.models.tiny import build_tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "base"
    tokenizer = build_tokenizer()
    settings = TinyBase(kind="tiny", task="a", size="b", encoding="c", hidden=64, layers=2, heads=4)
    build_tiny(settings, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base):
    import torch

    adapted = llm.attach_adapter(llm.load_base(base, "nf4", for_training=True), Lora(rank=4, alpha=8), seed=1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    folder = base.parent / "adapter"
    adapted.save_pretrained(folder)
    llm.load_tokenizer(base).save_pretrained(folder)
    return folder, adapted


def test_what_predicts_is_what_was_trained(base, adapter):
    import torch

    folder, adapted = adapter
    loaded, tokenizer = llm.load_for_inference(base, folder, "nf4")
    ids = torch.tensor([tokenizer("K 4 8 2 8").input_ids])
    adapted.eval()
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, adapted(ids).logits)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not loaded.training
    bare, _ = llm.load_for_inference(base, None, "nf4")
    with torch.no_grad():
        assert not torch.allclose(bare(ids).logits, adapted(ids).logits)


def test_the_same_seed_gives_the_same_adapter(base):
    def start(seed):
        adapted = llm.attach_adapter(llm.load_base(base, "none", for_training=True), Lora(rank=4, alpha=8), seed)
        return next(value for name, value in adapted.state_dict().items() if "lora_A" in name)

    assert start(1).equal(start(1))
    assert not start(1).equal(start(2))


def test_only_the_adapter_is_trainable_and_the_output_layer_has_none(adapter):
    names = [name for name, parameter in adapter[1].named_parameters() if parameter.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert not any("lm_head" in name for name in names)


def test_a_folder_without_an_adapter_is_named(base, tmp_path):
    with refused("adapter_model.safetensors", where=tmp_path, todo="snakemake train"):
        llm.load_adapter(llm.load_base(base), tmp_path, trainable=False)


@pytest.mark.parametrize("load", [llm.load_base, llm.load_tokenizer])
def test_a_model_that_was_never_fetched_is_named_without_asking_the_network(load, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with refused(where="example/absent-8B", todo="make fetch-base"):
        load("example/absent-8B")


def test_a_base_folder_that_is_not_built_yet_says_so(tmp_path):
    with refused(where=tmp_path / "bases" / "tiny", allowed="config.json"):
        llm.load_base(tmp_path / "bases" / "tiny")


def test_an_unknown_quantisation_is_refused(base):
    with refused("'int3'", where="quantisation", allowed=("nf4", "none")):
        llm.load_base(base, "int3")


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 0), "float32"), ((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_bfloat16_is_for_gpus_that_have_it_not_for_those_that_emulate_it(monkeypatch, capability, dtype):
    import torch

    class Properties:
        major, minor = capability

    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *device: Properties)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *device: "a card")
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)  # emulation works on all
    assert llm.compute_dtype(on_gpu=True) == getattr(torch, dtype)
    assert llm.compute_dtype(on_gpu=False) == torch.float32


@pytest.mark.parametrize(("rank", "parameters"), [(4, 1_703_936), (8, 3_407_872), (16, 6_815_744)])
def test_adapters_on_two_layers_of_llama_8b_have_the_papers_number_of_parameters(rank, parameters):
    """3.4M at rank 8 ("Teaching LLMs to Speak Spectroscopy", section 3.2); the shapes alone, without memory."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=128256,
                hidden_size=4096,
                intermediate_size=14336,
                num_hidden_layers=32,
                num_attention_heads=32,
                num_key_value_heads=8,
            )
        )
        adapted = llm.attach_adapter(model, Lora(rank=rank, alpha=16, layers=["q_proj", "v_proj"]), seed=0)
    trained = [each for each in adapted.parameters() if each.requires_grad]
    assert sum(each.numel() for each in trained) == parameters and len(trained) == 32 * 2 * 2


def test_layers_that_the_base_lacks_are_refused_with_those_that_it_has(base):
    with refused("query", where="layers", allowed="q_proj"):
        llm.attach_adapter(llm.load_base(base, "nf4", for_training=True), Lora(rank=2, layers=["query"]), seed=0)


def test_an_adapter_on_other_layers_is_no_start(base, adapter):
    with refused("q_proj", where=str(adapter[0])):
        llm.check_adapter(adapter[0], Lora(rank=4, alpha=8, layers=["q_proj"]))
    llm.check_adapter(adapter[0], Lora(rank=4, alpha=8))


def test_a_training_that_names_no_layers_depends_on_no_such_setting():
    assert "layers" not in Lora().model_dump() and Lora(layers=["q_proj"]).model_dump()["layers"] == ["q_proj"]
