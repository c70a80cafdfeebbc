"""A language model that learns to fill in hidden patches: from what it may see, to the bit, and what stands on it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from baseline_spectra import linear_survey
from patch_models import ESTIMATING, ask, train
from patch_models import WAVE as OF_MODELS
from patch_models import settings as model_settings
from safetensors.torch import load_file
from test_encoder_training import GRID, SEED, SPLIT, make_view, with_other_test_stars

from refusals import refused
from starglot.config.bases.masked_patches import MaskedPatchesBase, PatchBaseTraining
from starglot.config.bases.random import RandomBase
from starglot.config.kinds.patch_llm import PixelAugment
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.hashing import file_digest, manifest_digest
from starglot.models import llm
from starglot.models.bases import describe
from starglot.models.patch_filler import PatchFiller, draw_hidden_patches
from starglot.models.patch_llm import PROJECTOR_FILE
from starglot.models.projector import Projector, statistics_of
from starglot.spectra.pixels import pixels
from starglot.spectra.resample import wavelength_grid
from starglot.surveys.index import index_table
from starglot.tables import write_parquet, write_text
from starglot.training import epochs
from starglot.training.encoders import SPECTRA
from starglot.training.masked_patches import HiddenPatches, train_masked_patches
from starglot.training.processes import join_processes
from starglot.training.random_base import make_random_base

WAVE = Wavelength.model_validate({"start": 4000.0, "stop": 4000.0 + GRID - 1, "step": 1.0})
AT = wavelength_grid(WAVE)
PATCHES = Patches.model_validate({"form": "patches", "width": 31, "coarse": 4, "directions": 8, "channels": "both"})
TESTS = [str(folder) for folder in Path(__file__).parents[:3]]
TOGETHER = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
import test_masked_patches
test_masked_patches.together(Path({folder!r}))
"""


def settings(**training) -> MaskedPatchesBase:
    own = {"epochs": 4, "batch": 25, "learning_rate": 3e-3, "augment": {"velocity": 0.0}, **training}
    return MaskedPatchesBase.model_validate(
        {
            "kind": "masked_patches",
            "view": "lamost/blue",
            "base": "r",
            "encoding": "p",
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
            "gpus": 0,
            "training": PatchBaseTraining.model_validate(own),
        }
    )


def make_base(folder: Path) -> Path:
    make_random_base(RandomBase(kind="random", hidden=64, layers=2, heads=2), folder)
    return folder


def teach(how, view, base, out, state, encoding=PATCHES, wave=WAVE):
    about = describe(base, out.parent / "digests")
    return train_masked_patches(how, encoding, wave, view.index, SPLIT, SEED, about, out, state, "code")


def together(folder: Path) -> None:
    """In each of several processes."""
    own = folder / str(join_processes(0, "").number)
    teach(settings(epochs=2), make_view(own / "view"), folder / "random", folder / "base", folder / "state")


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return make_view(tmp_path_factory.mktemp("lamost"))


@pytest.fixture(scope="module")
def random(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("random"))


@pytest.fixture(scope="module")
def taught(view, random, tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught")
    return folder / "base", teach(settings(), view, random, folder / "base", folder / "state")


# ---------------------------------------------------------------- what is hidden, and what is asked for


def test_a_share_of_the_patches_is_hidden_and_never_all() -> None:
    for patches in (1, 2, 3, 20, 36):
        for share in (0.01, 0.25, 0.99):
            hidden = draw_hidden_patches(50, patches, share, np.random.default_rng(1))
            assert all(len(set(row)) == len(row) and sorted(row) == list(row) for row in hidden)
            assert hidden.min() >= 0 and hidden.max() < patches
            assert hidden.shape[1] == min(max(1, round(share * patches)), max(1, patches - 1))
    drawn = draw_hidden_patches(2000, 20, 0.25, np.random.default_rng(2))
    assert np.bincount(drawn.ravel(), minlength=20) == pytest.approx(np.full(20, 500), rel=0.2)


@pytest.fixture(scope="module")
def filler(view, random) -> PatchFiller:
    base = llm.load_base(random, "none", for_training=True, on_gpu=False)
    statistics = statistics_of(*pixels(view.flux[:60], PATCHES.coarse, AT), PATCHES.needed)
    projector = Projector(PATCHES, GRID, 64, 0.5, statistics)
    torch.manual_seed(1)
    return PatchFiller(projector, llm.attach_adapter(base, settings().lora, 1)).eval()


def test_what_is_asked_for_are_the_hidden_pixels_and_what_is_seen_are_the_others(view, filler) -> None:
    fine, coarse = (torch.from_numpy(each[:3]) for each in pixels(view.flux[:3], PATCHES.coarse, AT))
    hidden = torch.tensor([[0, 5], [2, 3], [18, 19]])
    _, true = filler(fine, coarse.float(), hidden)
    scaled = filler.projector.scaled(fine).numpy()
    for row in range(3):
        for place, patch in enumerate(hidden[row].tolist()):
            cut = scaled[row, :, patch * 31 : patch * 31 + 31].ravel()
            assert true[row, place].numpy() == pytest.approx(cut)
    for pixel, seen in ((3 * 31 + 4, False), (4 * 31 + 4, True)):  # of the second spectrum
        other = fine.clone()
        other[1, pixel] += 0.5
        changed = filler(other, coarse.float(), hidden)[0] - filler(fine, coarse.float(), hidden)[0]
        assert bool(changed[1].abs().max() > 1e-6) is seen
        assert changed[[0, 2]].abs().max() < 1e-5


def test_a_missing_pixel_is_no_error(filler) -> None:
    objective = HiddenPatches(*[np.zeros(0)] * 3, 20, 0.25, 4, PixelAugment(), np.zeros(0), np.zeros(0))
    fine, coarse = torch.zeros(2, GRID), torch.zeros(2, 4)
    fine[0, :31] = torch.nan
    squared, count = objective.sums(filler, (fine, coarse, torch.tensor([[0, 1], [0, 1]])))
    assert count == 3 * 2 * 31 and torch.isfinite(squared)


# ---------------------------------------------------------------- what is learnt


def test_it_learns_from_training_stars_and_reads_no_test_star(view, taught, random) -> None:
    base, manifest = taught
    seen = pq.read_table(base / SPECTRA).to_pandas()
    assert set(seen["split"]) == {"train", "val"}
    assert set(seen["star_id"]) == set(view.star[view.split != "test"])
    before, after = load_file(random / "model.safetensors"), load_file(base / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert moved and all("proj" in name for name in moved)  # all linear layers of the blocks, and nothing else
    assert manifest["counts"]["patches"] == 20


def test_hidden_patches_are_told_from_the_others(view, random, tmp_path) -> None:
    """Lines of two labels are all over these spectra; the rest is noise, which nothing tells."""
    manifest = teach(settings(epochs=20), view, random, tmp_path / "base", tmp_path / "state")
    state = load_file(tmp_path / "base" / PROJECTOR_FILE)
    projector = Projector(PATCHES, GRID, 64, 1.0)
    projector.load_state_dict(state)
    fine, _ = pixels(view.flux[view.split == "val"], PATCHES.coarse, AT)
    of_the_mean = float(projector.scaled(torch.from_numpy(fine)).square().mean())
    assert manifest["metrics"]["val_loss"] < 0.8 * of_the_mean


def test_what_a_test_star_looks_like_changes_nothing(view, taught, random, tmp_path) -> None:
    other = with_other_test_stars(view, tmp_path / "other")
    teach(settings(), other, random, tmp_path / "base", tmp_path / "state")
    for name in ("model.safetensors", PROJECTOR_FILE):
        assert (tmp_path / "base" / name).read_bytes() == (taught[0] / name).read_bytes(), name


def test_killed_in_an_epoch_and_started_again_it_gives_the_same_bytes(view, taught, random, tmp_path, monkeypatch):
    validate, passes = epochs._Trainer._validate, []

    def dying(self):
        passes.append(1)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return validate(self)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(epochs._Trainer, "_validate", dying)
        teach(settings(), view, random, tmp_path / "base", tmp_path / "state")
    largest = max(path.stat().st_size for path in (tmp_path / "state").rglob("*.safetensors"))
    assert largest < (random / "model.safetensors").stat().st_size  # a checkpoint holds nothing of the frozen base
    teach(settings(), view, random, tmp_path / "base", tmp_path / "state")
    for name in ("model.safetensors", PROJECTOR_FILE, SPECTRA, "loss.csv"):
        assert (tmp_path / "base" / name).read_bytes() == (taught[0] / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_learn_what_one_does(view, random, tmp_path) -> None:
    make_base(tmp_path / "random")
    (tmp_path / "run.py").write_text(TOGETHER.format(tests=TESTS, folder=str(tmp_path)))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, str(tmp_path / "run.py")], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    teach(settings(epochs=2), view, random, tmp_path / "alone", tmp_path / "state of one")
    for name in ("model.safetensors", PROJECTOR_FILE):
        one, two = load_file(tmp_path / "alone" / name), load_file(tmp_path / "base" / name)
        for key in one:
            assert two[key].numpy() == pytest.approx(one[key].numpy(), abs=2e-4), key


# ---------------------------------------------------------------- what stands on it


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey for models, with the index of its shards."""
    made = linear_survey(tmp_path_factory.mktemp("survey"))
    shards = sorted(path.stem for path in made.folder.glob("*.parquet"))
    for shard in shards:
        write_parquet(pa.table({"obsid": pa.array([], pa.int64())}), made.folder / f"{shard}.rejected.parquet")
        files = (f"{shard}.parquet", f"{shard}.rejected.parquet")
        said = "".join(f"{file_digest(made.folder / file)}  {file}\n" for file in files)
        write_text(said, made.folder / f"{shard}.sha256")
    write_text(index_table(shards, made.folder), made.folder / "index.tsv")
    return made


def test_a_model_on_it_begins_with_its_projector_and_answers(survey, random, tmp_path) -> None:
    about = describe(random, tmp_path / "digests")
    index, out = survey.folder / "index.tsv", tmp_path / "base"
    how = settings(epochs=2)
    train_masked_patches(how, ESTIMATING, OF_MODELS, index, SPLIT, SEED, about, out, tmp_path / "state", "code")
    still = model_settings(epochs=0.02, projector_learning_rate=1e-9, estimates={"passes": 20, "copies": 0})
    manifest = train(tmp_path, "model", survey, out, how=still, encoding=ESTIMATING)
    theirs, mine = (load_file(folder / PROJECTOR_FILE) for folder in (out, tmp_path / "model"))
    for name in theirs:  # all but the estimates, which are of labels
        assert mine[name].numpy() == pytest.approx(theirs[name].numpy(), abs=1e-6), name
    assert any(name.startswith("estimates.") for name in mine) and not any("estimates." in name for name in theirs)
    assert manifest["base"]["digest"] == manifest_digest(out / "manifest.json")
    answers = ask(tmp_path / "model", survey, out, tmp_path, encoding=ESTIMATING)
    assert len(answers) == 80 * 3 and np.isfinite(answers["value"].to_numpy()).all()

    with open(out / PROJECTOR_FILE, "r+b") as handle:
        handle.seek(-4, 2)
        handle.write(b"\0\0\1\0")
    with refused(where=out / PROJECTOR_FILE):
        train(tmp_path, "again", survey, out, how=still, encoding=ESTIMATING)
