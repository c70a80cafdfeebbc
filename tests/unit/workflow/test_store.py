"""What is kept counts only as it was sealed: whatever is cut off, changed or half made is done again, never used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starglot import store
from starglot.store import SEAL, copy_out, fault, is_whole, making, seal, workplace
from starglot.training.delivery import MANIFEST, deliver, restore


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, bit: int = 1) -> None:
    """One bit of a file turned over; an empty file, which an earlier damage may have left, gets one byte."""
    data = bytearray(path.read_bytes() or b"\0")
    data[len(data) // 2] ^= bit
    path.write_bytes(bytes(data))


def a_file(folder: Path) -> Path:
    """The largest file of a folder that is not the seal."""
    return max(
        (path for path in folder.rglob("*") if path.is_file() and path.name != SEAL), key=lambda p: p.stat().st_size
    )


def seal_of_other_content(folder: Path) -> None:
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    flip(a_file(other), 2)  # not the bit of the other damage, which would make true what this seal says
    seal(other)
    shutil.move(other / SEAL, folder / SEAL)
    shutil.rmtree(other)


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


#: What kills, full disks, power failures and careless hands leave, each done to a whole folder.
DAMAGES: dict[str, Callable[[Path], object]] = {
    "a file cut off": lambda folder: cut(a_file(folder)),
    "a file empty": lambda folder: a_file(folder).write_bytes(b""),
    "a bit flipped": lambda folder: flip(a_file(folder)),
    "a file missing": lambda folder: a_file(folder).unlink(),
    "no seal": lambda folder: (folder / SEAL).unlink(),
    "the seal cut off": lambda folder: cut(folder / SEAL),
    "the seal empty": lambda folder: (folder / SEAL).write_bytes(b""),
    "the seal of no form": lambda folder: (folder / SEAL).write_text('["a", {"b": 1}]'),
    "the seal of nothing": lambda folder: (folder / SEAL).write_text("{}"),
    "the seal of other content": seal_of_other_content,
    "an empty folder": emptied,
}
each_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())


# ---- folders


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    with making(tmp_path / "place" / "kept") as made:
        (made / "weights").write_bytes(bytes(range(256)) * 40)
        (made / "part").mkdir()
        (made / "part" / "state").write_bytes(b"state")
    return tmp_path / "place" / "kept"


def test_what_was_made_is_whole_and_alone(kept: Path) -> None:
    assert is_whole(kept) and fault(kept) is None
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]
    facts = json.loads((kept / SEAL).read_text())
    weights = bytes(range(256)) * 40
    assert facts["weights"] == {"size": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
    assert set(facts) == {"weights", "part/state"}


@each_damage
def test_no_damage_goes_unseen_and_what_is_made_again_is_whole(kept, damage, caplog) -> None:
    damage(kept)
    assert not is_whole(kept)
    assert str(kept) in caplog.text
    with making(kept) as made:
        (made / "weights").write_bytes(b"new")
    assert is_whole(kept) and (kept / "weights").read_bytes() == b"new"
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]


def test_what_is_not_there_is_no_damage(tmp_path: Path, caplog) -> None:
    assert not is_whole(tmp_path / "none") and not caplog.text


def test_an_error_while_making_leaves_what_was_there(kept: Path) -> None:
    with pytest.raises(RuntimeError), making(kept) as made:
        (made / "weights").write_bytes(b"half")
        raise RuntimeError
    assert is_whole(kept) and (kept / "weights").stat().st_size == 256 * 40
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]


def test_of_two_that_make_the_same_at_once_the_first_stays(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with making(folder) as slow:
        (slow / "rows").write_bytes(b"rows")
        with making(folder) as fast:
            (fast / "rows").write_bytes(b"rows")
        inode = (folder / "rows").stat().st_ino  # it may be mapped by somebody already
    assert is_whole(folder) and (folder / "rows").stat().st_ino == inode


def test_files_that_nobody_sealed_are_not_handed_out(kept: Path, tmp_path: Path) -> None:
    (kept / "stray").write_text("of another hand")
    shutil.rmtree(kept / "part")
    seal_of = {name: facts for name, facts in json.loads((kept / SEAL).read_text()).items() if name == "weights"}
    (kept / SEAL).write_text(json.dumps(seal_of))
    assert is_whole(kept)
    copy_out(kept, tmp_path / "out", last="weights")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["weights"]


# ---- killed, or without power, at any step

STEPS = ("fsync", "replace", "rename", "unlink", "utime")


def work(root: Path) -> bytes:
    """Make, keep, hand out, as the jobs do it; what the job's output holds."""
    place = root / "state" / "kept"
    if not is_whole(place):
        with making(place) as made:
            (made / "a").write_bytes(b"a" * 5000)
            (made / "z").write_bytes(b"last")
    copy_out(place, root / "out", last="z", link=True)
    return (root / "out" / "a").read_bytes() + (root / "out" / "z").read_bytes()


def kill_at(step: int, root: Path) -> bool:
    """Run ``work`` in a process that ends, as by kill -9, before its ``step``-th step; whether it came so far."""
    child = os.fork()
    if not child:
        left = [step]

        def counted(call):
            def instead(*args, **kwargs):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
                return call(*args, **kwargs)

            return instead

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work(root)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow
def test_killed_before_any_step_the_next_run_makes_the_same(tmp_path: Path) -> None:
    step = 0
    while kill_at(step, tmp_path / str(step)):
        out = tmp_path / str(step) / "out"
        if (out / "z").exists():  # the last file vouches for the others
            assert (out / "a").read_bytes() == b"a" * 5000
        assert work(tmp_path / str(step)) == b"a" * 5000 + b"last"
        step += 1
    assert step > 15  # files, folders and names, there and in the output


def test_the_seal_is_written_after_what_it_vouches_for_is_on_the_disk(tmp_path: Path, monkeypatch) -> None:
    happened: list[tuple[str, str]] = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def name_of(handle: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{handle}")).name

    monkeypatch.setattr(os, "fsync", lambda handle: happened.append(("disk", name_of(handle))) or fsync(handle))
    monkeypatch.setattr(
        os, "replace", lambda old, new: happened.append(("name", Path(new).name)) or replace(old, new)
    )
    monkeypatch.setattr(os, "rename", lambda old, new: happened.append(("name", Path(new).name)) or rename(old, new))
    with making(tmp_path / "place" / "kept") as made:
        for name in ("one", "two"):
            (made / name).write_text(name)
    steps = [step for step in happened if not step[1].startswith(".kept") or step[0] == "disk"]
    sealed = steps.index(("name", SEAL))
    assert {("disk", "one"), ("disk", "two")} < set(steps[:sealed])
    assert any(what == "disk" and name.startswith(f".{SEAL}") for what, name in steps[:sealed])
    named = steps.index(("name", "kept"))
    assert named > sealed and ("disk", "place") in steps[named:]


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["ask", *DAMAGES]), st.integers(0, 2)), max_size=12))
def test_in_any_order_of_damage_and_asking_what_comes_back_is_right(tmp_path_factory, steps) -> None:
    root = tmp_path_factory.mktemp("any")
    contents = [bytes([number]) * (300 + number) for number in range(3)]
    for what, number in [*steps, ("ask", 0), ("ask", 1), ("ask", 2)]:
        place = workplace(root, {"number": number, "code": "c0de"}) / "finished"
        if what != "ask":
            if place.is_dir() and any(path.name != SEAL for path in place.iterdir()) and (place / SEAL).exists():
                DAMAGES[what](place)
            continue
        if not is_whole(place):
            with making(place) as made:
                (made / "table").write_bytes(contents[number])
        assert (place / "table").read_bytes() == contents[number]
    shutil.rmtree(root)


# ---- places


def test_a_place_is_known_by_its_ingredients_and_beside_it_stands_the_same_with_other_code(tmp_path: Path) -> None:
    one = workplace(tmp_path, {"rate": 1e-4, "questions": {"a": "x"}, "code": "c0de"})
    assert one == workplace(tmp_path, {"code": "c0de", "questions": {"a": "x"}, "rate": 1e-4})
    two = workplace(tmp_path, {"rate": 1e-4, "questions": {"a": "x"}, "code": "beef"})
    other = workplace(tmp_path, {"rate": 2e-4, "questions": {"a": "x"}, "code": "c0de"})
    for place in (one, two, other):
        place.mkdir()
    assert len({one, two, other}) == 3 and (store.code_hash_of(one), store.code_hash_of(two)) == ("c0de", "beef")
    assert store.with_any_code(one) == sorted([one, two]) and store.with_any_code(other) == [other]


# ---- checkpoints


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for step in (5, 10, 15):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        (folder / "shard").mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(bytes([step]) * 1000)
        (folder / "shard" / "optimizer.pt").write_bytes(b"state" * step)
        seal(folder)
    return tmp_path / "checkpoints"


def test_the_newest_sealed_checkpoint_is_taken(root: Path) -> None:
    assert store.newest_good(root) == root / "checkpoint-15"
    assert store.step_reached(root.parent) == 15


@each_damage
def test_a_damaged_newest_checkpoint_is_left_for_the_one_before(root: Path, damage) -> None:
    damage(root / "checkpoint-15")
    assert store.step_reached(root.parent) == 10
    assert (root / "checkpoint-15").exists(), "looking removes nothing"
    assert store.newest_good(root) == root / "checkpoint-10"
    assert not (root / "checkpoint-15").exists()


def test_none_is_good_when_all_are_broken(root: Path) -> None:
    for folder in store.checkpoints(root):
        cut(folder / "adapter_model.safetensors")
    assert store.step_reached(root.parent) is None
    assert store.newest_good(root) is None


def test_steps_are_ordered_as_numbers_and_two_are_kept(root: Path) -> None:
    (root / "checkpoint-100").mkdir()
    (root / "runs").mkdir()
    store.prune(root)
    assert [folder.name for folder in store.checkpoints(root)] == ["checkpoint-15", "checkpoint-100"]
    assert (root / "runs").is_dir()


# ---- finished trainings


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    place = workplace(tmp_path / "state", {"learning_rate": 1e-4, "questions": {"a": "digest"}})
    (place / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    folder = store.new_folder(place)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "run.json").write_text('{"host": "here"}')
    (folder / MANIFEST).write_text('{"size": "demo"}')
    yield place, folder


def test_finished_work_is_handed_back_for_the_same_ingredients_only(tmp_path: Path, made) -> None:
    place, folder = made
    weights = {"adapter_model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert deliver(folder, place, tmp_path / "out") == {"size": "demo", "files": weights}
    again = workplace(tmp_path / "state", {"questions": {"a": "digest"}, "learning_rate": 1e-4})
    assert restore(again, tmp_path / "second") == {"size": "demo", "files": weights}
    for out in (tmp_path / "out", tmp_path / "second"):
        assert (out / "adapter_model.safetensors").read_bytes() == b"weights"
        assert json.loads((out / MANIFEST).read_text()) == {"size": "demo", "files": weights}
    other = workplace(tmp_path / "state", {"questions": {"a": "digest"}, "learning_rate": 2e-4})
    assert restore(other, tmp_path / "third") is None
    assert not (tmp_path / "third").exists()


def test_of_several_processes_one_writes(tmp_path: Path, made) -> None:
    place, folder = made
    deliver(folder, place, tmp_path / "out")
    assert restore(place, tmp_path / "second", write=False) == json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert not (tmp_path / "second").exists()


def test_what_an_earlier_model_left_in_the_folder_goes_away(tmp_path: Path, made) -> None:
    place, folder = made
    out = tmp_path / "out"
    out.mkdir()
    (out / "tokenizer.model").write_text("of another base")
    deliver(folder, place, out)
    assert sorted(path.name for path in out.iterdir()) == ["adapter_model.safetensors", MANIFEST, "run.json"]


@each_damage
def test_damaged_finished_work_is_done_again(tmp_path: Path, made, damage) -> None:
    place, folder = made
    deliver(folder, place, tmp_path / "out")
    damage(place / "finished")
    assert restore(place, tmp_path / "second") is None
    assert not (tmp_path / "second").exists()


def test_checkpoints_go_once_the_work_is_delivered(tmp_path: Path, made) -> None:
    place, folder = made
    deliver(folder, place, tmp_path / "out")
    assert [path.name for path in place.iterdir()] == ["finished"]
    (place / "checkpoints" / "checkpoint-1").mkdir(parents=True)  # as when it was killed before that
    assert restore(place, tmp_path / "second") is not None
    assert [path.name for path in place.iterdir()] == ["finished"]
