"""Pairs that several processes align are told apart from those of all processes, as by one process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from aligned_stars import fit, make_stars
from pydantic import ValidationError

from refusals import holds
from starglot.config.bases.aligned import AlignedBase
from starglot.models.encoders.aligned import in_batches, load_aligned
from starglot.tables import read_json
from starglot.training.processes import join_processes

TESTS = [str(folder) for folder in Path(__file__).parents[:3]]
TOGETHER = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
import test_alignment_processes
test_alignment_processes.together(Path({folder!r}))
"""
#: Of a batch of 67, the last one of an epoch has 66 pairs of the 200, and processes have unequal parts of the others.
GIVEN = {"dropout": 0.0, "training": {"epochs": 4, "batch": 67}}


def together(folder: Path):
    """In each of several processes."""
    stars = folder / "stars" / str(join_processes(0, "").number)
    stars.mkdir(parents=True)
    fit(make_stars(stars), folder, **GIVEN)


@pytest.mark.slow
def test_two_processes_align_as_one_does(tmp_path):
    (tmp_path / "run.py").write_text(TOGETHER.format(tests=TESTS, folder=str(tmp_path / "two")))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, str(tmp_path / "run.py")], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    stars = tmp_path / "stars"
    stars.mkdir()
    made = make_stars(stars)
    alone = fit(made, tmp_path / "one", **GIVEN)
    one, two = (tmp_path / name / "out" for name in ("one", "two"))
    curves = [np.loadtxt(folder / "loss.csv", delimiter=",", skiprows=1) for folder in (one, two)]
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert curves[0][-1, 2] < 0.9 * curves[0][0, 2]  # it has learnt
    networks, cpu = [load_aligned(folder) for folder in (one, two)], torch.device("cpu")
    for place, flux in enumerate(made.flux):
        # Not by their weights: the biases of keys, which attention does not feel, go where rounding sends them.
        mine, theirs = (
            in_batches(lambda at, net=net, place=place: net.embed(place, at), flux, cpu) for net in networks
        )
        assert theirs == pytest.approx(mine, abs=1e-5)
    manifest = read_json(two / "manifest.json")
    assert manifest["counts"] == alone["counts"]
    assert manifest["metrics"] == pytest.approx(alone["metrics"], rel=1e-4)


def test_decoders_on_several_gpus_are_refused():
    given = {"kind": "aligned", "pairs": "p", "encoders": ("a", "b"), "gpus": 2}
    assert AlignedBase.model_validate(given).gpus == 2
    with pytest.raises(ValidationError) as caught:
        AlignedBase.model_validate(given | {"own": 256})
    assert holds(caught.value, "own: 256", 2, "gpus: 1")
