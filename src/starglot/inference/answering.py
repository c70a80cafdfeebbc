"""A trained model as a thing that answers: cleaned spectra in, raw predictions out, whatever kind it is.

Each family has one function here that opens a model's folder.  What it returns knows nothing of files, surveys or
flags, and runs the code that the workflow's predictions run: the same flux has the same answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from starglot.config.kinds.registry import KINDS
from starglot.config.patches import Patches
from starglot.config.root import Encoding, Wavelength
from starglot.config.tasks import Task
from starglot.errors import StarglotError
from starglot.extras import require
from starglot.inference.places import find_members, find_own_base
from starglot.models.bases import check_model
from starglot.models.folder import read_description
from starglot.models.predictions import label_values, prediction_table
from starglot.registry import Registry
from starglot.tables import read_json, spectra_table, write_parquet

#: Flux (n, grid) int16 and what is known of each spectrum's group (None: nothing) -> ``tables.PREDICTION``, sigma
#: null: rows by spectrum (obsid 0 ... n - 1) and label.
Answers = Callable[[np.ndarray, Sequence[str | None]], pa.Table]

#: The one shard that spectra are handed to a baseline in.
_SHARD = "spectra"


def open_model(folder: Path, about: Mapping[str, Any]) -> Answers:
    """The model in a folder, loaded where that takes long.  about: of :func:`read_description`."""
    kind = about["model"]["kind"]
    if kind not in KINDS:
        raise StarglotError(
            f"this version of Starglot knows no models of kind '{kind}'",
            where=folder,
            allowed=", ".join(KINDS),
            todo="use the version that the model was made with",
        )
    settings = KINDS[kind].settings.model_validate(about["model"])
    if KINDS[kind].family == "trees":
        require(f"models of kind {kind}", "lightgbm")
    if getattr(settings, "quantisation", None) == "nf4":
        require(f"models of quantisation nf4: {folder}", "bitsandbytes", "accelerate")
    return OPENERS[KINDS[kind].family](folder, about, settings, Task.model_validate(about["question"]))


def _language(folder: Path, about: Mapping[str, Any], settings: Any, task: Task) -> Answers:
    """A language model: spectra are written as questions in its encoding."""
    from starglot.inference.predict import answer_questions, as_predicted
    from starglot.language.codec import Codec
    from starglot.language.prompts import question

    encoding = Encoding.model_validate(about["encoding"])
    wavelength = Wavelength.model_validate(about["recipe"]["wavelength"])
    base = find_own_base(folder, about)
    codec = Codec(encoding, wavelength)
    ask = answer_questions(settings, task, encoding, wavelength, base, folder)

    def answers(flux: np.ndarray, groups: Sequence[str | None]) -> pa.Table:
        texts = (codec.text(row) for row in codec.values(flux))
        table = ask([(at, question(task, wavelength, task.labels, text)) for at, text in enumerate(texts)])
        stars, predicted = _stars(groups), as_predicted(table, task)
        return prediction_table(stars, task.labels, label_values(stars, task.labels), predicted, _unseen(stars))

    return answers


def _patches(folder: Path, about: Mapping[str, Any], settings: Any, task: Task) -> Answers:
    """A language model of patch tokens, which reads the pixels themselves."""
    from starglot.inference.patches import Answerer, as_predicted

    encoding, wavelength = (
        Patches.model_validate(about["encoding"]),
        Wavelength.model_validate(about["recipe"]["wavelength"]),
    )
    base = find_own_base(folder, about)
    model = Answerer(settings, task, encoding, wavelength, base, folder, check_model(folder))

    def answers(flux: np.ndarray, groups: Sequence[str | None]) -> pa.Table:
        predicted, stars = as_predicted(model.answers(flux), len(task.labels)), _stars(groups)
        return prediction_table(stars, task.labels, label_values(stars, task.labels), predicted, _unseen(stars))

    return answers


def _baseline(read: Callable[..., Any]) -> Callable[[Path, Mapping[str, Any], Any, Task], Answers]:
    """A baseline's family: its reader takes spectra from shards, so that they are handed to it in one."""

    def opened(folder: Path, about: Mapping[str, Any], settings: Any, task: Task) -> Answers:
        from starglot.models.baselines.predict import predict

        def answers(flux: np.ndarray, groups: Sequence[str | None]) -> pa.Table:
            stars = _stars(groups)
            labels = pa.table({"obsid": stars["obsid"], "shard": pa.array([_SHARD] * len(stars), pa.string())})
            with tempfile.TemporaryDirectory(prefix="starglot-") as place:
                shard = Path(place) / f"{_SHARD}.parquet"
                grid = {"wavelength": about["recipe"]["wavelength"]}
                unknown = pa.nulls(len(stars), pa.int32())
                write_parquet(spectra_table(stars["obsid"], stars["star_id"], flux, unknown), shard, grid)
                return predict(
                    lambda rows: read(settings, task, folder, rows, lambda _: shard), task, stars, labels, ()
                )

        return answers

    return opened


def _network(*given: Any) -> Answers:
    from starglot.models.baselines.reading import read_network

    return _baseline(read_network)(*given)


def _trees(*given: Any) -> Answers:
    from starglot.models.baselines.trees import read_trees

    return _baseline(read_trees)(*given)


def _plain(folder: Path, about: Mapping[str, Any], settings: Any, task: Task) -> Answers:
    from starglot.models.baselines.plain import READERS

    return _baseline(READERS[settings.kind])(folder, about, settings, task)


def _ensemble(folder: Path, about: Mapping[str, Any], settings: Any, task: Task) -> Answers:
    """The members of an ensemble, and what they say together."""
    from starglot.models.baselines.ensemble import combine

    places = find_members(folder, settings.members)
    members = [open_model(place, read_description(place)) for place in places]
    fitted = read_json(folder / "manifest.json")

    def answers(flux: np.ndarray, groups: Sequence[str | None]) -> pa.Table:
        together = combine(settings, task, fitted, [member(flux, groups) for member in members])
        order = pa.array([task.labels.index(name) for name in together["label"].to_pylist()])
        ordered = together.append_column("order", order).sort_by([("obsid", "ascending"), ("order", "ascending")])
        return ordered.drop_columns("order").combine_chunks()

    return answers


def _pipeline(folder: Path, about: Mapping[str, Any], settings: Any, task: Task) -> Answers:
    raise StarglotError(
        "this model repeats what a survey's catalogue says, and reads no spectra",
        where=folder,
        allowed="models of any other kind",
        todo="take one of these, or the survey's catalogue itself",
    )


#: How a model of each family is opened: its folder, its description, its settings, its task.
OPENERS: Registry[Callable[[Path, Mapping[str, Any], Any, Task], Answers]] = Registry(
    {
        "language": _language,
        "patches": _patches,
        "network": _network,
        "trees": _trees,
        "plain": _plain,
        "ensemble": _ensemble,
        "pipeline": _pipeline,
    }
)


def _stars(groups: Sequence[str | None]) -> pa.Table:
    """What stands for the catalogue: obsid 0 ... n - 1, no star, the group where it is known."""
    n = len(groups)
    return pa.table(
        {
            "obsid": pa.array(range(n), pa.int64()),
            "star_id": pa.nulls(n, pa.string()),
            "class": pa.array(groups, pa.string()),
        }
    )


def _unseen(stars: pa.Table) -> pa.Array:
    return pa.array([False] * len(stars), pa.bool_())
