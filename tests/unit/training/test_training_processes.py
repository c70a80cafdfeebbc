"""Trainings shared out among processes learn what one does: text and patch tokens, with and without ZeRO-3."""

import subprocess
import sys
import textwrap

import numpy as np
import patch_models as patches
import pytest
import test_training_finetune as text
from baseline_spectra import linear_survey
from safetensors.numpy import load_file

from starglot.config.bases.random import RandomBase
from starglot.tables import read_json
from starglot.training.random_base import make_random_base

pytestmark = pytest.mark.slow

place, questions, base = text.place, text.questions, text.base

SHARED_OUT = """
import sys
sys.path[:0] = {tests!r}
import os
from pathlib import Path
import torch
import patch_models as patches
from baseline_spectra import linear_survey
import test_training_finetune as text
import test_training_processes as case
place = Path({place!r})
own = place / os.environ["RANK"]
own.mkdir()
survey = linear_survey(own)
for name, how in (("each", {{}}), ("shares", {{"deepspeed": True}})):
    patches.train(place, name, survey, place / "random", how=case.brief_patches(nodes=2, **how))
files = place / "train-0000.jsonl.gz", place / "val-0000.jsonl.gz"
text.train(place, files, place / "base", "sharded", settings=case.without_dropout(nodes=2, deepspeed=True))
# Three trainings in a process leave threads of gloo's behind, which abort it now and then as it ends.
torch.distributed.barrier()
sys.stdout.flush()
os._exit(0)
"""


def without_dropout(**training):
    plain = text.model(**training)
    return plain.model_copy(update={"lora": plain.lora.model_copy(update={"dropout": 0.0})})


def brief_patches(**training):
    few = patches.settings(epochs=0.1, batch=5, **training)
    return few.model_copy(update={"lora": few.lora.model_copy(update={"dropout": 0.0}), "quantisation": "none"})


@pytest.fixture(scope="module")
def launched(place, questions, base):
    """The folder in which two processes have trained on text, and on patch tokens with and without ZeRO-3."""
    make_random_base(RandomBase(kind="random", hidden=64, layers=2, heads=2), place / "random")
    script = place / "shared_out.py"
    script.write_text(textwrap.dedent(SHARED_OUT.format(tests=text.TESTS, place=str(place))))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return place


def test_two_processes_under_zero_3_learn_as_one_does(launched, place, questions, base):
    """NF4, gradient accumulation and stage 3 between two processes: the losses of one process to three digits."""
    alone, _ = text.train(place, questions, base, "alone", settings=without_dropout(accumulate=2))
    curves = [np.loadtxt(folder / "loss.csv", delimiter=",", skiprows=1) for folder in (alone, place / "sharded")]
    assert len(curves[0]) == 5
    assert np.allclose(curves[0][:, 1], curves[1][:, 1], rtol=5e-4)
    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (alone, place / "sharded"))
    assert one.keys() == two.keys() and all(one[name].shape == two[name].shape for name in one)


def test_two_processes_learn_patch_tokens_as_one_does(launched, tmp_path):
    """Adapter and projector, which has a rate of its own; each process with all weights, and with a share of them."""
    survey = linear_survey(tmp_path)
    counts = patches.train(tmp_path, "one", survey, launched / "random", how=brief_patches(accumulate=2))["counts"]
    for name in ("each", "shares"):
        for file in ("projector.safetensors", "adapter_model.safetensors"):
            one, two = load_file(tmp_path / "one" / file), load_file(launched / name / file)
            assert one.keys() == two.keys() and all(two[key] == pytest.approx(one[key], abs=1e-6) for key in one)
        assert read_json(launched / name / "manifest.json")["counts"] == counts and counts["steps"] > 2
