"""An encoder beside the patches: one token of the same spectrum, in training and in answering."""

import shutil

import numpy as np
import pytest
import torch
from baseline_spectra import GRID, TASK
from patch_models import ESTIMATING, WAVE, ask, settings
from safetensors.torch import load_file

from refusals import refused
from starglot.config.bases.random import RandomBase
from starglot.models.baselines.files import ENCODER
from starglot.models.baselines.rows import rows_of
from starglot.models.encoders.autoencoder import Autoencoder
from starglot.models.encoders.files import Embedder, save_encoder
from starglot.models.patch_llm import PROJECTOR_FILE, load_projector
from starglot.spectra.pixels import pixels
from starglot.spectra.resample import wavelength_grid
from starglot.tables import read_json, read_spectra, write_json
from starglot.training import patch_draws
from starglot.training.patch_encoder import Beside, Encoder
from starglot.training.patches import Spectra, train_patches
from starglot.training.random_base import make_random_base

WIDTH = 6
CPU = torch.device("cpu")
#: What is drawn of a training's course does not matter here: few steps, and estimates that are soon taught.
BRIEF = {"epochs": 0.5, "estimates": {"passes": 10, "copies": 0}, "augment": {"velocity": 0.0}}


def make_encoder(folder, seed=5, pixels=GRID):
    torch.manual_seed(seed)
    folder.mkdir()
    save_encoder(Autoencoder(pixels, WIDTH, 16), {"kind": "autoencoder", "width": WIDTH, "hidden": 16}, folder)
    write_json({"kind": "autoencoder"}, folder / "manifest.json")
    return folder


def train(folder, name, survey, base, encoder, how=None, start=None):
    spectra = Spectra(survey.sample, survey.labels, survey.shard_path, {"sample": "s"})
    out, state, about = folder / name, folder / f"state-{name}", {"n": name, **encoder.digests}
    how = how or settings(**BRIEF)
    return train_patches(
        how, TASK, ESTIMATING, WAVE, "s", str(base), start, spectra, out, state, about, encoder=encoder
    )


@pytest.fixture(scope="module")
def random(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    make_random_base(RandomBase(kind="random", hidden=64, layers=2, heads=2), folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return Encoder(make_encoder(tmp_path_factory.mktemp("bases") / "encoder"))


@pytest.fixture(scope="module")
def trained(survey, random, encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder / "model", train(folder, "model", survey, random, encoder)


def projector_of(folder):
    return load_projector(ESTIMATING, GRID, 64, folder, read_json(folder / "manifest.json"))


def test_its_embedding_is_one_token_more_by_a_linear_map_of_its_own(survey, encoder, trained):
    folder, manifest = trained
    projector = projector_of(folder)
    assert manifest["embedding"] == {**encoder.digests, "numbers": WIDTH}
    assert projector.tokens == manifest["counts"]["spectrum_tokens"] == 4 + 1 + 3 + 1
    order = np.argsort(survey.obsid)
    embedded = Embedder(encoder.folder, CPU)(survey.flux[order])
    learnt = embedded[survey.split[order] == "train"]
    fine, coarse = (torch.from_numpy(each) for each in pixels(survey.flux[:5], 4, wavelength_grid(WAVE)))
    given = Embedder(encoder.folder, CPU)(survey.flux[:5])
    state = load_file(folder / PROJECTOR_FILE)
    weight, bias = (state[f"embedding.map.{name}"].numpy() for name in ("weight", "bias"))
    with torch.no_grad():
        tokens = projector(fine, coarse, embedded=torch.from_numpy(given)).numpy()
    standard = (given - learnt.mean(axis=0)) / learnt.std(axis=0)
    expected = (standard @ weight.T + bias) * float(state["out_size"])
    assert tokens[:, -1] == pytest.approx(expected, rel=0.01, abs=1e-3 * float(np.abs(expected).max()))


def test_the_map_is_trained_and_the_encoder_is_not(survey, random, encoder, trained, tmp_path):
    folder, _ = trained
    assert (folder / ENCODER).read_bytes() == (encoder.folder / ENCODER).read_bytes()
    still = settings(**{**BRIEF, "epochs": 0.02, "projector_learning_rate": 1e-9})
    train(tmp_path, "still", survey, random, encoder, still)
    before, after = (load_file(each / PROJECTOR_FILE) for each in (tmp_path / "still", folder))
    assert (before["embedding.map.weight"] - after["embedding.map.weight"]).abs().max() > 1e-3
    assert torch.equal(before["embedding.mean"], after["embedding.mean"])


def test_answers_are_read_with_the_embedding_of_the_same_spectrum(survey, random, trained, tmp_path):
    """In batches of any size, by the encoder that it was trained with and no other."""
    folder, _ = trained
    answers = ask(folder, survey, random, tmp_path, encoding=ESTIMATING)
    assert len(answers) == 80 * 3 and np.isfinite(answers["value"].to_numpy()).all()
    by_batches = ask(folder, survey, random, tmp_path, encoding=ESTIMATING, batch=7, state="batches")
    value, again = (np.array(each["value"]) for each in (answers, by_batches))
    assert again == pytest.approx(value, rel=1e-4)
    other = shutil.copytree(folder, tmp_path / "other")
    shutil.copyfile(make_encoder(tmp_path / "encoder", seed=6) / ENCODER, other / ENCODER)
    with refused(where=other / ENCODER):
        ask(other, survey, random, tmp_path, encoding=ESTIMATING, state="changed")


def test_a_model_that_goes_on_keeps_how_it_reads_embeddings(survey, random, encoder, trained, tmp_path):
    folder, _ = trained
    still = settings(**{**BRIEF, "epochs": 0.02, "projector_learning_rate": 1e-9})
    train(tmp_path, "next", survey, random, encoder, still, start=folder)
    before, after = (load_file(each / PROJECTOR_FILE) for each in (folder, tmp_path / "next"))
    for name in (name for name in before if name.startswith("embedding.")):
        assert after[name].numpy() == pytest.approx(before[name].numpy(), abs=1e-6), name


def test_killed_and_started_again_it_gives_the_same_bytes(survey, random, encoder, trained, tmp_path, monkeypatch):
    folder, _ = trained
    drawn = patch_draws.PatchDraws.__getitem__

    def dying(self, number):
        if number >= 120:
            raise KeyboardInterrupt
        return drawn(self, number)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(patch_draws.PatchDraws, "__getitem__", dying)
        train(tmp_path, "model", survey, random, encoder)
    assert list((tmp_path / "state-model").rglob("checkpoint-*"))
    train(tmp_path, "model", survey, random, encoder)
    for name in (PROJECTOR_FILE, "adapter_model.safetensors", ENCODER):
        assert (tmp_path / "model" / name).read_bytes() == (folder / name).read_bytes(), name


def test_spectra_on_another_grid_than_the_encoders_are_refused(survey, random, tmp_path):
    other = Encoder(make_encoder(tmp_path / "encoder", pixels=620))
    with refused(GRID, 620):
        train(tmp_path, "model", survey, random, other)


def test_each_spectrum_has_its_own_embedding_among_shards_and_splits(survey, encoder, tmp_path):
    """Rows of the mapped array are the sample's, by obsid, whatever the order in the shards."""
    rows = rows_of(TASK, survey.sample.sort_by("obsid"), survey.labels)
    found = Beside(encoder, tmp_path / "place", tmp_path / "kept", 0, True).embeddings(rows, survey.shard_path, {})
    for at in (0, 17, 499):
        flux = read_spectra([survey.shard_path(rows.shard[at])], rows.obsid[at : at + 1])
        assert found[at] == pytest.approx(Embedder(encoder.folder, CPU)(flux)[0], abs=1e-5)
