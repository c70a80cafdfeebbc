"""The model card, README.md of a model's folder: what it was trained on, how well it does, where it does not serve.

Its head is the metadata that the Hugging Face hub reads (hub docs, "Model cards"); the rest is for a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from starglot.config.bases.outside import is_hub_id
from starglot.evaluation.presentation import fixed, label_text, plain, present, said_of
from starglot.evaluation.residuals import ALL, residual_table
from starglot.extras import EXTRAS
from starglot.inference.flags import FLAGS
from starglot.labels import LABELS
from starglot.models.bases import read_manifest
from starglot.models.domain import DOMAIN, load_domain
from starglot.models.folder import BASE, CARD
from starglot.tables import atomic_path

#: What the hub reads as "a licence of its own", and the name that the card gives where none was stated.
_OTHER, _NOT_STATED = "other", "not-stated"
#: Statistics that the card shows, of those of a residual table.
_SHOWN = ("n", "n_stars", "n_unparsable", "mean", "robust", "rmse", "r2", "coverage_68")
#: Sets of predictions -> what they are of; another set is an external survey's.
_SETS = {
    "val": "Validation spectra, which chose when training ended and scaled the uncertainties",
    "test": "Test spectra: objects that are in no other part of the sample",
    "common": "Test spectra common to models of all sizes",
    "held_out": "Spectra that were held out from training, validation and test",
}
_PAPER = (
    'Lu et al., "Spectra as Language: Large Language Models for Scalable Stellar Parameter and Abundance Inference"'
)


def write_card(
    folder: Path, about: Mapping[str, Any], predictions: Mapping[str, Path], licence: str | None = None
) -> None:
    """Write README.md into a model's folder, which holds its manifest and its domain.

    about: its description (``model.json``); predictions: set -> prediction table, whose residuals the card shows;
    licence: as the hub spells it ('cc-by-4.0'); None: the card says that none was stated.
    """
    manifest, (_, domain) = read_manifest(folder), load_domain(folder / DOMAIN)
    tables = [_residuals(about, name, path) for name, path in predictions.items()]
    text = "\n".join(
        [
            "---",
            yaml.safe_dump(_metadata(about, licence), sort_keys=False, allow_unicode=True).rstrip(),
            "---",
            "",
            *_title(about, domain),
            *_use(about),
            *_training(about, manifest, domain),
            *_below(about, manifest, read_manifest(folder / BASE)),
            *_results(about, tables),
            *_limits(about, domain),
            *_licence(about, licence),
            "## Citation",
            "",
            f"The method: {_PAPER}. The software: Starglot "
            f"{(about.get('versions') or {}).get('starglot', '')}, see its CITATION.cff.",
            "",
        ]
    )
    with atomic_path(folder / CARD) as partial:
        partial.write_text(text, encoding="utf-8")


def _labels(about: Mapping[str, Any]) -> list[str]:
    labels: list[str] = about["question"]["question"]["labels"]
    return labels


def _metadata(about: Mapping[str, Any], licence: str | None) -> dict[str, Any]:
    base = about["base"]["name"] if about["base"] else None
    said: dict[str, Any] = {"license": licence or _OTHER}
    if licence is None:
        said["license_name"] = _NOT_STATED
    said |= {"library_name": "starglot", "tags": ["astronomy", "spectroscopy", about["survey"], about["task"]]}
    if base and is_hub_id(base):
        said["base_model"] = base
    return said | {"datasets": [_dataset(about)], "metrics": ["rmse", "r_squared"]}


def _dataset(about: Mapping[str, Any]) -> str:
    return f"{about['survey']}-{about['release']}".replace(" ", "-")


def _title(about: Mapping[str, Any], domain: Mapping[str, Any]) -> Iterator[str]:
    grid = about["recipe"]["wavelength"]
    yield f"# {about['name']}: {', '.join(map(label_text, _labels(about)))} from {about['survey']} spectra"
    yield ""
    yield (
        f"A model of kind `{about['model']['kind']}`, trained with Starglot on {domain['spectra']:,} spectra of "
        f"{about['survey']}, release {about['release']}. It reads {grid['start']:g} to {grid['stop']:g} A "
        "(vacuum, as observed) and answers with a value, an uncertainty and flags for each label."
    )
    if about["release"] == "mock":
        yield ""
        yield "**The spectra are simulated.** Its numbers show that the system works, not how it would do on the sky."
    yield ""


def _use(about: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## How to use it", "", "```python", "import starglot", "")
    yield 'model = starglot.load("FOLDER")  # this folder, a zip file of it, or "hf:OWNER/NAME"'
    yield from ('print(model.predict("spectrum.fits"))', "```", "")
    yield from ("or `starglot predict spectrum.fits --model FOLDER`.", "")
    extra = _extra(about)
    if extra:
        yield from (f"It needs an extra of the package: `pip install 'starglot[{extra}]'`.", "")
    if about["base"] and is_hub_id(about["base"]["name"]):
        name = about["base"]["name"]
        yield f"It stands on [{name}](https://huggingface.co/{name}), which is not part of it:"
        yield from ("", "    starglot fetch --model FOLDER", "")


def _extra(about: Mapping[str, Any]) -> str | None:
    """The extra of the package that the model needs, if any."""
    if about["model"].get("quantisation") == "nf4":
        return EXTRAS["bitsandbytes"]
    return EXTRAS["lightgbm"] if about["model"]["kind"] == "lightgbm" else None


def _training(about: Mapping[str, Any], manifest: Mapping[str, Any], domain: Mapping[str, Any]) -> Iterator[str]:
    counts, sample = manifest.get("counts") or {}, about["question"]["sample"]
    yield from ("## What it was trained on", "")
    yield f"- Spectra: {about['survey']}, release {about['release']}; labels of {sample['source']}."
    yield f"- Sample `{about['size']}` of task `{about['task']}`: {domain['spectra']:,} training spectra" + (
        f", {counts['val']:,} for validation." if "val" in counts else "."
    )
    yield "- Split by object: none is in two of training, validation and test."
    if domain["classes"]:
        yield f"- By class: {', '.join(f'{name} {n:,}' for name, n in domain['classes'].items())}."
    if "examples" in counts:
        yield f"- Training: {counts['examples']:,} examples in {counts['steps']:,} steps."
    if "seed" in manifest:
        yield f"- Seed of the training: {manifest['seed']}."
    inputs = manifest.get("inputs") or {}
    if inputs:
        yield f"- SHA-256 of what it was trained on: {', '.join(f'{k} {v[:12]}' for k, v in inputs.items())}."


def _below(about: Mapping[str, Any], manifest: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
    """Lines of what else has learnt from spectra: a base in the model's folder, an encoder beside the patches."""
    if "note" in base:
        name = Path(about["base"]["name"]).name
        yield f"- It stands on the base `{name}` of kind `{base['kind']}`, {base['note']}."
    if "embedding" in manifest:
        yield "- It reads an embedding of the spectrum, by an encoder that has learnt from spectra without labels."
    yield ""


def _residuals(about: Mapping[str, Any], name: str, path: Path) -> tuple[str, Any]:
    key = (about["name"], about["size"], name)
    return name, residual_table({key: path}, _labels(about), task=about["task"], groups=())


def _results(about: Mapping[str, Any], tables: list[tuple[str, Any]]) -> Iterator[str]:
    yield from ("## Results", "")
    if not tables:
        yield from ("No predictions were at hand when this card was written.", "")
        return
    yield (
        "Prediction minus catalogue value, with 95 % intervals from resampling objects. N is the number of "
        "spectra. Robust scatter is the normalised median absolute deviation."
    )
    for name, frame in tables:
        survey = about["question"]["sample"]["source"]
        yield from ("", f"### {_SETS.get(name, f'Against {name}, objects outside training')}", "")
        if name in _SETS:
            yield from (f"Catalogue values are those of {survey}, from which the model learnt.", "")
        shown = present(frame[frame["class"] == ALL][["label", *_SHOWN, *_ends(_SHOWN, frame)]])
        yield f"| {' | '.join(said_of('objects', column.heading) for column in shown.columns)} |"
        yield f"|{'|'.join(' ---: ' if column.numeric else ' --- ' for column in shown.columns)}|"
        for row in shown.rows:
            yield f"| {' | '.join(plain(cell) for cell in row)} |"
    yield ""


def _ends(names: tuple[str, ...], frame: Any) -> list[str]:
    return [f"{name}{end}" for name in names for end in ("_lo", "_hi") if f"{name}{end}" in frame]


def _limits(about: Mapping[str, Any], domain: Mapping[str, Any]) -> Iterator[str]:
    snr = domain["snr"]
    yield from ("## Limits", "", "It is for spectra like those that it was trained on:", "")
    yield from ("| label | 99.8 % of the training values lie within |", "| --- | --- |")
    for name in _labels(about):
        known, decimals = domain["labels"][name], LABELS[name].decimals
        within = (
            "unknown" if known["low"] is None else " to ".join(fixed(known[end], decimals) for end in ("low", "high"))
        )
        yield f"| {label_text(name)} | {within} |"
    yield ""
    if snr["least"] is not None:
        yield f"S/N per pixel: median {snr['median']:.0f}; 99 % of the training spectra are above {snr['least']:.0f}."
        yield ""
    yield "It answers for any other spectrum as well, and flags it:"
    yield ""
    yield from (f"- `{flag}`: {meaning}" for flag, meaning in FLAGS.items())
    yield ""


def _licence(about: Mapping[str, Any], licence: str | None) -> Iterator[str]:
    yield from ("## Licence", "")
    if licence is None:
        yield "No licence was stated for this model: ask those who gave it to you."
    else:
        yield f"{licence}."
    if about["base"] and is_hub_id(about["base"]["name"]):
        yield f"Its base, {about['base']['name']}, has a licence of its own that holds for this model, too."
    yield ""
