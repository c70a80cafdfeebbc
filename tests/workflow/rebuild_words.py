"""Changes of code that reach no result (rows of rebuilds.yaml): other words, and what is new beside the old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Change = Callable[[Path], list[str] | None]


def replace(path: Path, text: str | bytes) -> None:
    """Write a file of its own: the project shares its files, linked, with others."""
    path.unlink(missing_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def changing(*edits: tuple[str, str, str]) -> Change:
    """The change that replaces text in files: (file, what stands there, what then stands there)."""

    def change(folder: Path) -> None:
        for name, old, new in edits:
            path = folder / name
            text = path.read_text()
            assert old in text, f"{name} has no {old!r}"
            replace(path, text.replace(old, new))

    return change


_SURVEYS, _KINDS = "src/starglot/config/surveys/registry.py", "src/starglot/config/kinds/baselines.py"
_REGISTRY = "src/starglot/config/kinds/registry.py"
_LABELS, _REJECTIONS = "src/starglot/labels.py", "src/starglot/rejections.py"

#: What is written down anew in files that nearly every script reads, and reaches none of their results.
WORDS: dict[str, Change] = {
    "reword_description": changing(
        (_SURVEYS, "Named in manifests and captions.", "The release, as captions name it.")
    ),
    "add_key": changing(
        (
            "src/starglot/config/scaling.py",
            "class Repeats(Strict):",
            'class Repeats(Strict):\n    drawn: int = Field(0, description="New.")',
        )
    ),
    "add_survey": changing(
        (
            _SURVEYS,
            "class Surveys(Strict):",
            "class Rave(OneCatalog):\n    pass\n\n\nclass Surveys(Strict):\n    rave: Rave | None = None",
        ),
        ("src/starglot/surveys/registry.py", '"apogee": apogee,', '"rave": galah,\n        "apogee": apogee,'),
    ),
    "add_label": changing(
        (_LABELS, '    {\n        "teff": TEFF,', '    {\n        "vsini": VSINI,\n        "teff": TEFF,'),
        (_LABELS, "TEFF = ", 'VSINI = Label("vsini", "VSINI", "vsini", "v sin i", "km/s", 0, 0.0, 600.0)\nTEFF = '),
    ),
    "add_rejection": changing(
        (
            _REJECTIONS,
            "REJECTIONS: Registry[str] = Registry(\n    {",
            'REJECTIONS: Registry[str] = Registry(\n    {\n        "saturated": "too bright",',
        ),
        (_REJECTIONS, "Rejection = Literal[", 'Rejection = Literal[\n    "saturated",'),
    ),
    "add_kind": changing(
        (
            _KINDS,
            "class Ensemble(ModelSettings):",
            'class Forest(ModelSettings):\n    kind: Literal["forest"]\n\n\nclass Ensemble(ModelSettings):',
        ),
        (_REGISTRY, "import ClassMean, Cnn, Ensemble, ", "import ClassMean, Cnn, Ensemble, Forest, "),
        (_REGISTRY, '"ensemble": Kind(', '"forest": Kind(Forest, "plain"),\n        "ensemble": Kind('),
        ("src/starglot/training/plain.py", '"class_mean": fit', '"forest": fit_class_mean, "class_mean": fit'),
    ),
    "add_question": changing(
        (
            "src/starglot/forms.py",
            '{\n        "atmosphere": Form(',
            '{\n        "age": Form("How old: {labels}.", "", " ", "", False, True, False),\n'
            '        "atmosphere": Form(',
        ),
    ),
    "edit_log": changing(
        ("src/starglot/cli.py", "%(asctime)s {name}: ", "%(asctime)s [{name}] "),
        ("src/starglot/training/adapters.py", 'log.info("loss: %s", metrics)', 'log.info("losses are %s", metrics)'),
    ),
    "edit_error": changing(
        ("src/starglot/training/finetune.py", "there is no training question", "no question to train on"),
    ),
}
