"""Turn a merged YAML mapping into a checked :class:`Config`, or say everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from starglot.config.ablation import with_trials
from starglot.config.checks.across_keys import cross_check
from starglot.config.faults import booleans_for_numbers, sentences, without_faults
from starglot.config.root import Config
from starglot.config.yaml_files import yaml_faults
from starglot.errors import StarglotError


def load_config(raw: Mapping[str, Any], where: str = "config", files: Iterable[str | Path] = ()) -> Config:
    """Validate ``raw`` and its cross-field rules, and what stands twice or is misread in the ``files`` behind it.

    Raises StarglotError that lists every fault at once, unknown keys with the nearest valid name.
    """
    config: Config | None
    raw = with_trials(raw)
    try:
        config, faults = Config.model_validate(raw), []
    except ValidationError as error:
        config, faults = without_faults(raw, error), sentences(raw, error)
    faults = [*(fault for path in files for fault in yaml_faults(path)), *booleans_for_numbers(raw), *faults]
    if config is not None:
        said = {fault.split(": ")[0] for fault in faults}
        faults = faults + [fault for fault in cross_check(config) if fault.split(": ")[0] not in said]
        if not faults:
            return config
    raise StarglotError(
        f"the configuration has {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n"
        + "\n".join(f"  - {fault}" for fault in faults),
        where=where,
        todo="correct the values above; docs/reference.md lists every key",
    )


def read_config(*paths: str | Path) -> Config:
    """Read YAML files, each laid over the one before (maps merge, everything else is replaced).

    Raises StarglotError for a file that is absent, is no YAML, or has faults.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, _read_yaml(Path(path)))
    return load_config(merged, " + ".join(map(str, paths)), paths)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        near = sorted(map(str, path.parent.glob("*.y*ml")))
        raise StarglotError(
            "there is no such configuration file",
            where=path,
            allowed=", ".join(near) or None,
            todo="correct the path",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else path
        raise StarglotError(
            f"this is not YAML: {getattr(error, 'problem', None) or error}",
            where=place,
            todo="correct it there or in the line above: indentation, a colon, a quote",
        ) from error
    if not isinstance(loaded, Mapping | None):
        raise StarglotError("a configuration file holds keys and values", where=path, todo="see config/config.yaml")
    return loaded or {}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep-merge maps as Snakemake's --configfile does; lists and scalars are replaced."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merge(out[key], value) if both else value
    return out
