"""A checkpoint counts only when it is whole; the newest whole one is continued from."""

import hashlib

import pytest

from starglot.sealed import SEAL, seal
from starglot.training import checkpoints
from starglot.training.finished import MANIFEST, deliver, hand_back, workplace


@pytest.fixture
def root(tmp_path):
    for step in (5, 10, 15):
        folder = tmp_path / f"checkpoint-{step}"
        (folder / "shard").mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(bytes([step]) * 100)
        (folder / "shard" / "optimizer.pt").write_bytes(b"state" * step)
        seal(folder)
    return tmp_path


def test_the_newest_sealed_checkpoint_is_taken(root):
    assert checkpoints.newest_good(root) == root / "checkpoint-15"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.unlink()], ids=["cut off", "bit flipped", "missing"])
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "shard/optimizer.pt", SEAL])
def test_a_damaged_newest_checkpoint_is_left_for_the_one_before(root, damage, name):
    damage(root / "checkpoint-15" / name)
    assert checkpoints.newest_good(root) == root / "checkpoint-10"
    assert not (root / "checkpoint-15").exists()


def test_none_is_good_when_all_are_broken(root):
    for folder in checkpoints.checkpoints(root):
        cut(folder / "adapter_model.safetensors")
    assert checkpoints.newest_good(root) is None


def test_steps_are_ordered_as_numbers_and_two_are_kept(root):
    (root / "checkpoint-100").mkdir()
    (root / "runs").mkdir()
    checkpoints.prune(root)
    assert [folder.name for folder in checkpoints.checkpoints(root)] == ["checkpoint-15", "checkpoint-100"]
    assert (root / "runs").is_dir()


@pytest.fixture
def made(tmp_path):
    place = workplace(tmp_path / "state", {"learning_rate": 1e-4, "questions": {"a": "digest"}})
    folder = place / "made"
    (place / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / MANIFEST).write_text('{"size": "demo"}')
    return place, folder


def test_finished_work_is_handed_back_for_the_same_identity_only(tmp_path, made):
    place, folder = made
    deliver(folder, place, tmp_path / "out")
    again = workplace(tmp_path / "state", {"questions": {"a": "digest"}, "learning_rate": 1e-4})
    weights = {"adapter_model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert hand_back(again, tmp_path / "second") == {"size": "demo", "files": weights}
    assert (tmp_path / "second" / "adapter_model.safetensors").read_bytes() == b"weights"
    other = workplace(tmp_path / "state", {"questions": {"a": "digest"}, "learning_rate": 2e-4})
    assert hand_back(other, tmp_path / "third") is None
    assert not (tmp_path / "third").exists()


def test_what_an_earlier_model_left_in_the_folder_goes_away(tmp_path, made):
    place, folder = made
    out = tmp_path / "out"
    out.mkdir()
    (out / "tokenizer.model").write_text("of another base")
    deliver(folder, place, out)
    assert sorted(path.name for path in out.iterdir()) == ["adapter_model.safetensors", MANIFEST]


def test_damaged_finished_work_is_done_again(tmp_path, made):
    place, folder = made
    deliver(folder, place, tmp_path / "out")
    cut(place / "finished" / "adapter_model.safetensors")
    assert hand_back(place, tmp_path / "second") is None


def test_checkpoints_go_once_the_work_is_delivered(tmp_path, made):
    place, folder = made
    deliver(folder, place, tmp_path / "out")
    assert not (place / "checkpoints").exists()
