"""A tiny base that nothing is taught: what patch tokens of a demonstration stand on.

Its number tokens lie in their order (:mod:`starglot.models.tiny`), and adapters and projector do the rest; statistics
fixed in the projector do for it what pre-training does for a base that reads flux as text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starglot.config.random_base import RandomBase
from starglot.config.tasks import form_task
from starglot.language.tiny_tokenizer import build_tokenizer
from starglot.models.tiny import build_tiny
from starglot.tables import write_json
from starglot.training.delivery import MANIFEST, digests, versions


def make_random_base(settings: RandomBase, out: Path) -> dict[str, Any]:
    """Write config, weights and tokenizer into ``out``, and the manifest, which it returns, last."""
    out = Path(out)
    (out / MANIFEST).unlink(missing_ok=True)
    tokenizer = build_tokenizer([form_task(form, labels) for form, labels in settings.forms.items()])
    model = build_tiny(settings, tokenizer)
    model.config.use_cache = True
    model.save_pretrained(str(out))
    tokenizer.save_pretrained(str(out))
    manifest = {
        "kind": "tiny",
        "note": "random weights, for patch tokens in demonstrations; no language model",
        "base": settings.model_dump(),
        "counts": {
            "vocabulary": len(tokenizer),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
        "seed": settings.seed,
        "versions": versions(),
        "files": digests([path for path in sorted(out.iterdir()) if path.is_file()]),
    }
    write_json(manifest, out / MANIFEST)
    return manifest
