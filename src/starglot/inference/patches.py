"""Predictions of a language model that reads patch tokens: value and sigma of each label in the pass that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from starglot.config.kinds.patch_llm import PatchLlm
from starglot.config.patches import Patches
from starglot.config.recipes import Wavelength
from starglot.config.tasks import Task
from starglot.hashing import digest_of, file_digest
from starglot.inference.blocks import answer_in_blocks, base_of, block_size, memory_explained
from starglot.labels import CLASSES, REDSHIFT
from starglot.models.baselines.files import ENCODER
from starglot.models.baselines.rows import Rows, rows_of
from starglot.models.bases import MANIFEST, check_file, check_model
from starglot.models.predictions import Predicted, Stars, are_seen, prediction_table
from starglot.models.redshifts import Doubt, no_doubt
from starglot.spectra.resample import wavelength_grid
from starglot.spectra.sample_flux import ShardPath, blocks
from starglot.store import workplace
from starglot.tables import DOUBT

if TYPE_CHECKING:
    from starglot.inference.patch_answers import Reading

#: About so many spectra are a block, the most that a killed prediction loses.
_BLOCK = 2048


def predict_patches(
    settings: PatchLlm,
    task: Task,
    encoding: Patches,
    wavelength: Wavelength,
    base: str | Path,
    folder: Path,
    sample: pa.Table,
    labels: pa.Table,
    shard_path: ShardPath,
    inputs: Mapping[str, str],
    seen_stars: Stars,
    state: str | Path,
    code_hash: str = "",
) -> pa.Table:
    """Raw predictions (``tables.PREDICTION``, sigma null) for every spectrum of ``sample``, by obsid and label.

    base: folder or Hugging Face id; folder: of the trained model; sample, labels, shard_path, inputs: the spectra to
    answer, as :func:`starglot.training.patches.train_patches` takes them; seen_stars, state, code_hash: as of
    :func:`starglot.inference.predict.predict_llm`.

    Raises StarglotError when a spectrum is missing, the model is not as it was trained or the base not the one that
    it was trained on, or when the accelerator's memory is too small.
    """
    trained = check_model(folder)
    stars = sample.sort_by("obsid")
    rows = rows_of(task, stars, labels)
    size = block_size(_BLOCK, settings.decoding.batch)
    ingredients = {
        "settings": settings.model_dump(include={"quantisation", "decoding"}),
        "model": file_digest(folder / MANIFEST),
        "inputs": dict(inputs),
        "obsids": digest_of(rows.obsid.tolist()),
        "block": size,
        "code": code_hash,
    }

    def answer(parts: Sequence[np.ndarray], bar: Any) -> Iterator[pa.Table]:
        stands_on = base_of(trained, base, folder, state)
        answerer = Answerer(settings, task, encoding, wavelength, stands_on, folder, trained)
        for part in parts:
            yield answerer.table(rows.where(part), shard_path, bar)

    schema = _schema(task.labels)
    answered = answer_in_blocks(workplace(state, ingredients), len(rows), size, answer, schema)
    predicted = as_predicted(answered, len(task.labels))
    return prediction_table(stars, task.labels, rows.truth, predicted, are_seen(stars, seen_stars))


def as_predicted(answered: pa.Table, labels: int) -> Predicted:
    """What :class:`Answerer` says of n spectra and k ``labels``, as rows of the prediction table."""
    value, sigma = (np.array(answered[name].to_pylist(), float).reshape(-1, labels) for name in ("value", "sigma"))
    each = pa.array(np.repeat(np.arange(len(answered)), labels))
    return Predicted(
        value,
        sigma,
        pa.array(["ok"] * value.size, pa.string()),
        answered["class"].take(each),
        answered["log_odds"].take(each).to_numpy(),
        Doubt(*(answered[name].to_numpy() for name in DOUBT.names)) if "gap" in answered.column_names else None,
    )


def _schema(labels: Sequence[str]) -> pa.Schema:
    numbers = pa.list_(pa.float64(), len(labels))
    more = DOUBT if REDSHIFT.name in labels else []
    return pa.schema(
        [("class", pa.string()), ("log_odds", pa.float64()), ("value", numbers), ("sigma", numbers), *more]
    )


class Answerer:
    """A loaded model, shown a block of spectra at a time."""

    def __init__(
        self,
        settings: PatchLlm,
        task: Task,
        encoding: Patches,
        wavelength: Wavelength,
        base: Path,
        folder: Path,
        trained: Mapping[str, Any],
    ):
        """trained: the model's manifest, which holds the numbers' scales and the frame of the training."""
        from starglot.inference.patch_answers import weigh_answers_alone
        from starglot.language.number_answers import scales_from_data
        from starglot.language.patch_prompt import Prompt
        from starglot.models.llm import load_for_inference
        from starglot.models.patch_llm import SpectrumLlm, load_projector, width_of

        llm, tokenizer = load_for_inference(base, folder, settings.quantisation)
        hidden = width_of(llm)
        projector = load_projector(encoding, wavelength.size, hidden, folder, trained).to(llm.device)
        self.model = SpectrumLlm(projector, llm, Prompt(tokenizer, task, wavelength, trained["frame"])).to(llm.device)
        self.model.eval()
        weigh_answers_alone(self.model)
        self.embed = _embedder(folder, trained, llm.device)
        self.task, self.wave = task, wavelength_grid(wavelength)
        self.scales, self.batch, self.coarse = (
            scales_from_data(trained["numbers"]),
            settings.decoding.batch,
            encoding.coarse,
        )

    def table(self, rows: Rows, shard_path: ShardPath, bar: Any) -> pa.Table:
        """Class, values and sigmas of the rows, in their order."""
        flux: np.ndarray | None = None
        for at, some in blocks(rows, shard_path, "read"):
            flux = np.empty((len(rows), some.shape[1]), np.int16) if flux is None else flux
            flux[at] = some
        assert flux is not None  # there are rows
        return self.answers(flux, bar.update)

    def answers(self, flux: np.ndarray, done: Callable[[int], Any] = lambda n: None) -> pa.Table:
        """Class, values and sigmas of cleaned spectra, int16 (n, grid), and doubt of redshifts; done: hears of each
        batch's number."""
        labels = len(self.task.labels)
        value, sigma = (np.full((len(flux), labels), np.nan) for _ in range(2))
        code, odds = np.full(len(flux), -1), np.full(len(flux), np.nan)
        doubt = no_doubt(len(flux))
        for first in range(0, len(flux), self.batch):
            part = slice(first, first + self.batch)
            found = self._read(flux[part])
            value[part], sigma[part] = found.value, found.sigma
            code[part], odds[part] = found.code, found.log_odds
            if found.doubt is not None:
                doubt.second[part], doubt.gap[part], doubt.warning[part] = vars(found.doubt).values()
            done(len(found.code))
        named = {"log_odds": odds, "value": value, "sigma": sigma, **vars(doubt)}
        letters = [CLASSES[each] if each >= 0 else None for each in code.tolist()]
        schema = _schema(self.task.labels)
        columns = {name: pa.array(list(named[name]), schema.field(name).type) for name in schema.names[1:]}
        return pa.table({"class": pa.array(letters, pa.string()), **columns})

    def _read(self, flux: np.ndarray) -> Reading:
        import torch

        from starglot.inference.patch_answers import read_answers
        from starglot.spectra.pixels import pixels

        device = self.model.before.device
        fine, coarse = (torch.from_numpy(each).to(device) for each in pixels(flux, self.coarse, self.wave))
        with memory_explained(len(flux)):
            embedded = None if self.embed is None else torch.from_numpy(self.embed(flux)).to(device)
            return read_answers(self.model, fine, coarse, self.scales, embedded)


def _embedder(folder: Path, trained: Mapping[str, Any], device: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """What embeds stored flux for a model that reads embeddings beside its patches; None for any other."""
    from starglot.models.patch_llm import embedded_by

    if not embedded_by(trained):
        return None
    from starglot.models.encoders.files import Embedder

    embedder = Embedder(folder, device)
    check_file(folder, ENCODER, trained)
    return embedder
