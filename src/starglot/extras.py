"""Libraries that a plain `pip install starglot` does without: which extra brings each, and what to say without it."""

from __future__ import annotations

from importlib.util import find_spec

from starglot.errors import StarglotError

#: Module -> the extra of the package that brings it (pyproject.toml).
EXTRAS = {
    "jinja2": "workflow",
    "matplotlib": "workflow",
    "PIL": "workflow",
    "psutil": "workflow",
    "snakemake": "workflow",
    "lightgbm": "baselines",
    "accelerate": "gpu",
    "bitsandbytes": "gpu",
    "deepspeed": "gpu",
    "lm_eval": "retention",
    "gaiaxpy": "gaia",
}


def not_installed(module: str, where: object = None) -> StarglotError:
    """What to say where ``module``, a key of :data:`EXTRAS`, is missing.  where: what needs it."""
    return StarglotError(
        f"this needs {module}, which is not installed",
        where=where,
        todo=f"pip install 'starglot[{EXTRAS[module]}]'",
    )


def require(where: object, *modules: str) -> None:
    """Raise StarglotError for the first of ``modules``, keys of :data:`EXTRAS`, that is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise not_installed(module, where)
