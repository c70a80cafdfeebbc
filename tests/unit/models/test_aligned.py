"""An aligned pair of encoders: its sizes are SpecCLIP's, and its loss is CLIP's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from refusals import refused
from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import EncoderTransfer
from starglot.models.encoders.aligned import (
    ALIGNED,
    Aligned,
    Heads,
    contrast,
    in_batches,
    load_aligned,
    save_aligned,
    save_one_side,
)
from starglot.models.encoders.files import ENCODERS, load_encoder
from starglot.models.encoders.heads import AttentionHead, DenseHead, cross_decoder
from starglot.training.transfer import Updated

KINDS = ("masked_encoder", "autoencoder")
SMALL = (
    {"kind": "masked_encoder", "width": 12, "blocks": 1, "heads": 2},
    {"kind": "autoencoder", "width": 10, "hidden": 16},
)
PIXELS = (120, 37)


def settings(**given) -> AlignedBase:
    said = {"kind": "aligned", "pairs": "p", "encoders": ("a", "b"), "gpus": 0, "shared": 8, "heads": 2, "hidden": 14}
    return AlignedBase.model_validate(said | given)


def full(**given) -> AlignedBase:
    return AlignedBase.model_validate({"kind": "aligned", "pairs": "p", "encoders": ("a", "b")} | given)


def small(**given) -> Aligned:
    torch.manual_seed(3)
    encoders = [ENCODERS[each["kind"]](each, pixels) for each, pixels in zip(SMALL, PIXELS, strict=True)]
    return Aligned(settings(**given), KINDS, encoders).eval()


def flux(n: int, place: int) -> np.ndarray:
    return np.random.default_rng(place).integers(300, 1100, (n, PIXELS[place])).astype(np.int16)


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_full_size_heads_have_the_parameters_of_the_papers() -> None:
    with torch.device("meta"):
        heads = Heads(full(), KINDS, (768, 768), (1462, 343))
    assert [parameters(head) for head in heads.shared] == [7_087_104, 7_100_568]
    assert parameters(heads) == 7_087_104 + 7_100_568


def test_updates_of_a_head_have_the_papers_count() -> None:
    """LoRA of rank 16 of the attention's output and the two dense layers behind it: "LoRA3"."""
    transfer = EncoderTransfer(strategy="lora", rank=16, alpha=32, layers=["attention.out_proj", "residual.*"])
    learner = Updated(AttentionHead(768, 768, 4, 0.1), transfer, ())
    assert sum(weight.numel() for weight in learner.parameters() if weight.requires_grad) == 147_456


def test_a_head_attends_as_torch_does() -> None:
    for inside in (8, 6):  # as wide as the head, and another width
        head = AttentionHead(inside, 8, 2, 0.0).eval()
        tokens = torch.randn(3, 9, inside)
        looked, _ = head.attention(head.query.expand(3, -1, -1), tokens, tokens)
        assert torch.allclose(head(tokens), head.residual(head.norm(looked[:, 0])), atol=1e-5)


def test_the_split_variant_has_the_parts_of_the_public_code() -> None:
    """Counted by hand: a dense layer from a to b has (a + 1) b numbers, a normalisation of b has 2 b."""

    def dense(*widths: int) -> int:
        return sum((a + 1) * b for a, b in pairwise(widths))

    def attention(width: int) -> int:
        into = width * (width + 768 + 768) + 3 * width
        return width + into + dense(width, width) + 2 * width + dense(width, 4 * width, width)

    def on_latent(width: int) -> int:
        return dense(768, width, 1160, width) + 2 * 1160 + 2 * width + dense(width, 4 * width, width)

    def own(pixels: int) -> int:
        return dense(512, pixels) + dense(256, pixels) + dense(2 * pixels, 2 * pixels, pixels)

    with torch.device("meta"):
        heads = Heads(full(shared=512, own=256), KINDS, (768, 768), (1462, 343))
    assert [parameters(head) for head in heads.shared] == [attention(512), on_latent(512)]
    assert [parameters(head) for head in heads.own] == [attention(256), on_latent(256)]
    assert [parameters(each) for each in heads.decoders] == [own(1462), own(343)]
    wide, narrow = dense(512, 2048, 2048, 2048, 1462) + 6 * 2048, dense(512, 2048, 1024, 512, 343) + 2 * 3584
    assert [parameters(each) for each in heads.cross] == [wide, narrow]
    assert heads.shared[0].attention.num_heads == 4 and heads.own[0].attention.num_heads == 2


def test_the_loss_is_the_symmetric_cross_entropy_of_cosines_times_the_scale() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(7, 5)), rng.normal(size=(7, 5))
    cosine = (one / np.linalg.norm(one, axis=1)[:, None]) @ (other / np.linalg.norm(other, axis=1)[:, None]).T
    by_hand = -(np.diag(log_softmax(15.5 * cosine, axis=1)) + np.diag(log_softmax(15.5 * cosine, axis=0))).sum() / 2
    assert contrast(torch.tensor(one), torch.tensor(other), 15.5).item() == pytest.approx(by_hand, rel=1e-9)
    assert contrast(torch.tensor(3 * one), torch.tensor(other), 15.5).item() == pytest.approx(by_hand, rel=1e-9)


def test_a_head_on_tokens_does_not_care_for_their_order_and_one_query_looks_at_all() -> None:
    torch.manual_seed(1)
    head = AttentionHead(6, 8, 2, 0.1).eval()
    tokens = torch.randn(3, 9, 6)
    assert torch.allclose(head(tokens), head(tokens.flip(1)), atol=1e-6)
    changed = tokens.clone()
    changed[:, 4] += 1
    assert (head(tokens) - head(changed)).abs().max() > 1e-4
    assert DenseHead(6, 8, 5, 0.1)(tokens[:, 0]).shape == (3, 8)


def test_frozen_encoders_learn_nothing() -> None:
    network = small(own=4)
    assert {name.split(".")[0] for name, weight in network.named_parameters() if weight.requires_grad} == {"heads"}
    for place in (0, 1):
        shared = in_batches(lambda at, place=place: network.embed(place, at), flux(600, place), torch.device("cpu"))
        assert shared.shape == (600, 8)
        assert network.translate(place, torch.from_numpy(shared)).shape == (600, PIXELS[1 - place])


def test_a_saved_pair_is_the_same_pair(tmp_path) -> None:
    network = small(own=4)
    save_aligned(network, SMALL, tmp_path)
    again = load_aligned(tmp_path)
    at = torch.rand(4, PIXELS[1])
    shared = network.embed(1, at)
    assert torch.equal(again.embed(1, at), shared)
    assert torch.equal(again.translate(1, shared), network.translate(1, shared))
    assert not any(weight.requires_grad for weight in again.parameters())
    (tmp_path / ALIGNED).write_bytes((tmp_path / ALIGNED).read_bytes()[:500])
    with refused(where=tmp_path / ALIGNED):
        load_aligned(tmp_path)


def test_a_side_without_an_own_part_embeds_as_the_pair_does(tmp_path) -> None:
    network = small()
    save_aligned(network, SMALL, tmp_path)
    (tmp_path / "model").mkdir()
    save_one_side(tmp_path, 1, tmp_path / "model")
    at = torch.rand(4, PIXELS[1])
    assert torch.equal(load_encoder(tmp_path / "model").embed(at), network.embed(1, at))


def test_without_an_own_part_there_is_no_other_spectrum() -> None:
    with refused(where=("aligned", "0"), allowed="1"):
        small().translate(0, torch.rand(2, 8))


def test_decoders_of_short_spectra_narrow_and_of_long_ones_do_not() -> None:
    wide, narrow = cross_decoder(8, 9, 0.1), cross_decoder(8, 8, 0.1)
    of = [[layer.out_features for layer in each if isinstance(layer, nn.Linear)] for each in (wide, narrow)]
    assert of == [[32, 32, 32, 9], [32, 16, 8, 8]]
