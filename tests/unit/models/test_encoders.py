"""Encoders that are pre-trained without labels: their shapes are the papers', and what is hidden is learnt."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from starglot.config.bases.encoders import EncoderTransfer
from starglot.models.encoders.autoencoder import Autoencoder, described
from starglot.models.encoders.masked import Attention, MaskedEncoder, draw_hidden, hidden_error, tokens_of
from starglot.training.transfer import Updated


def _parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _spectra(n: int, pixels: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).normal(0.9, 0.1, (n, pixels)).astype(np.float32))


def test_full_size_encoders_have_the_parameters_of_the_papers():
    with torch.device("meta"):
        assert _parameters(MaskedEncoder(1462)) == 42_677_013
        assert _parameters(Autoencoder(343)) == 42_846_129


def test_updates_of_the_attention_have_the_papers_count():
    """LoRA of rank 4 of query, fused key and value, and output: "LoRA1"."""
    transfer = EncoderTransfer(strategy="lora", layers=["blocks.*.attention.*"])
    learner = Updated(MaskedEncoder(1462), transfer, ())
    assert sum(weight.numel() for weight in learner.parameters() if weight.requires_grad) == 129_024


def test_tokens_hold_the_pieces_of_a_spectrum_and_its_scatter():
    flux = _spectra(3, 1462)
    tokens = tokens_of(flux).numpy()
    assert tokens.shape == (3, 146, 21)
    own = flux.numpy().astype(float)
    values = (own - own.mean(axis=1, keepdims=True)) / own.std(axis=1, keepdims=True)
    assert tokens[:, 0, 0] == pytest.approx(np.log10(own.std(axis=1)), abs=1e-4)
    assert not tokens[:, 0, 1:].any() and not tokens[:, 1:, 0].any()
    for number in (0, 1, 77, 144):
        assert tokens[:, number + 1, 1:] == pytest.approx(values[:, 10 * number : 10 * number + 20], abs=1e-3)


def test_pixels_behind_the_last_whole_piece_are_not_seen():
    flux = _spectra(2, 1462)
    assert tokens_of(flux).shape[1] == tokens_of(flux[:, :1460]).shape[1]


def test_a_constant_spectrum_gives_finite_embeddings():
    flux = torch.ones(2, 343)
    assert torch.isfinite(MaskedEncoder(343, width=12, blocks=1, heads=2).embed(flux)).all()
    assert torch.isfinite(Autoencoder(343, width=8, hidden=10).embed(flux)).all()


def test_a_run_of_ten_is_hidden_in_each_sixth():
    hidden = draw_hidden(500, 146, np.random.default_rng(1))
    edges = np.linspace(0, 146, 7).astype(int)
    for first, last in pairwise(edges):
        part = hidden[:, first:last]
        assert (part.sum(axis=1) == 10).all()
        assert (np.diff(np.pad(part, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(axis=1).max() == 1
        assert part.any(axis=0).all()  # a run may lie anywhere in its part


def test_the_loss_counts_hidden_tokens_alone():
    tokens, hidden = torch.randn(4, 30, 21), torch.zeros(4, 30, dtype=torch.bool)
    hidden[:, 3:9] = True
    wrong = tokens + 7.0 * ~hidden[..., None] + 2.0 * hidden[..., None]
    squared, count = hidden_error(wrong, tokens, hidden)
    assert float(squared / count) == pytest.approx(4.0)
    expected = nn.functional.mse_loss(wrong * hidden[..., None], tokens * hidden[..., None]) / hidden.float().mean()
    assert float(squared / count) == pytest.approx(float(expected))


def test_attention_is_that_of_torch():
    own, torchs = Attention(24, 3), nn.MultiheadAttention(24, 3, batch_first=True)
    torchs.load_state_dict(
        {
            "in_proj_weight": torch.cat([own.query.weight, own.key_value.weight]),
            "in_proj_bias": torch.cat([own.query.bias, own.key_value.bias]),
            "out_proj.weight": own.out.weight,
            "out_proj.bias": own.out.bias,
        }
    )
    at = torch.randn(2, 7, 24)
    assert torch.allclose(own(at), torchs(at, at, at)[0], atol=1e-5)


def test_embeddings_are_the_mean_over_all_tokens_and_the_latent_vector():
    masked, flux = MaskedEncoder(343, width=12, blocks=2, heads=3), _spectra(5, 343)
    assert masked.embed(flux).shape == (5, 12)
    assert torch.allclose(masked.embed(flux), masked.states(tokens_of(flux)).mean(dim=1))
    auto = Autoencoder(343, width=8, hidden=10)
    assert auto.embed(flux).shape == (5, 8)
    assert torch.allclose(auto.decoder(auto.embed(flux)), auto(described(flux)))


def test_the_flux_of_a_latent_vector_is_in_the_spectrums_own_scale():
    flux, auto = 0.02 * _spectra(64, 40) + 3.0, Autoencoder(40, width=40, hidden=40)
    again = described(flux)
    auto.decoder = nn.Identity()
    assert torch.allclose(auto.spectrum(again), flux, atol=1e-5)
