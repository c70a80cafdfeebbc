"""Small language models that read patch tokens: settings, training and answers on a made survey."""

from __future__ import annotations

from baseline_spectra import GRID, TASK

from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Estimated, Patches
from starglot.config.recipes import Wavelength
from starglot.inference.patches import predict_patches
from starglot.language.number_answers import NumberScale
from starglot.training.patches import Spectra, train_patches

WAVE = Wavelength.model_validate({"start": 4000.0, "stop": 4000.0 + GRID - 1, "step": 1.0})
ENCODING = Patches.model_validate({"form": "patches", "width": 16, "coarse": 4, "directions": 8, "channels": "both"})
ESTIMATING = ENCODING.model_copy(update={"estimates": Estimated(components=8, width=32)})
BRIEF = {"epochs": 0.2, "estimates": {"passes": 60, "copies": 1}, "augment": {"velocity": 0.0, "noise": 0.1}}
SCALES = [NumberScale(3000, 9000, 60, 5500), NumberScale(0, 5, 0.1, 4), NumberScale(-3, 1, 0.05, -0.2)]


def settings(**training):
    own = {"epochs": 2.0, "batch": 10, "accumulate": 1, "gradient_checkpointing": False, "checkpoints": 4, "gpus": 0}
    lora = {"rank": 4, "alpha": 8, "dropout": 0.1}
    return PatchLlm.model_validate(
        {"kind": "patch_llm", "base": "r", "encoding": "p", "lora": lora, "training": {**own, **training}, "seed": 3}
    )


def train(folder, name, survey, base, task=TASK, how=None, start=None, labels=None, encoding=ENCODING):
    known = survey.labels if labels is None else labels
    spectra = Spectra(survey.sample, known, survey.shard_path, {"sample": "s", "task": task.question.form})
    out, state = folder / name, folder / f"state-{name}"
    how = how or settings()
    return train_patches(how, task, encoding, WAVE, "s", str(base), start, spectra, out, state, {"n": name})


def ask(folder, survey, base, out, task=TASK, batch=32, state="answers", encoding=ENCODING):
    asked = settings().model_copy(update={"decoding": settings().decoding.model_copy(update={"batch": batch})})
    spectra = (survey.of("test"), survey.labels, survey.shard_path, {})
    return predict_patches(asked, task, encoding, WAVE, base, folder, *spectra, [], out / state)
