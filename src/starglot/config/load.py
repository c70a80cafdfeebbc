"""Turn a merged YAML mapping into a checked :class:`Config`, or say everything that is wrong with it."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from starglot.config.checks import cross_check
from starglot.config.models import Config
from starglot.errors import StarglotError


def load_config(raw: Mapping[str, Any], where: str = "config") -> Config:
    """Validate ``raw`` and its cross-field rules.

    Raises StarglotError that lists every fault at once, unknown keys with the nearest valid name.
    """
    try:
        config = Config.model_validate(dict(raw))
    except ValidationError as error:
        faults = [_say(item) for item in error.errors()]
    else:
        faults = cross_check(config)
        if not faults:
            return config
    raise StarglotError(
        f"the configuration has {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n"
        + "\n".join(f"  - {fault}" for fault in faults),
        where=where,
        todo="correct the values above; docs/reference.md lists every key",
    )


def read_config(*paths: str | Path) -> Config:
    """Read YAML files, each laid over the one before (maps merge, everything else is replaced)."""
    merged: dict[str, Any] = {}
    for path in paths:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        merged = merge(merged, loaded)
    return load_config(merged, " + ".join(map(str, paths)))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep-merge maps as Snakemake's --configfile does; lists and scalars are replaced."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merge(out[key], value) if both else value
    return out


def _say(item: Any) -> str:
    loc, kind = list(item["loc"]), item["type"]
    path = ".".join(str(part) for part in loc)
    if kind == "extra_forbidden":
        valid = _fields_at(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), valid, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"valid keys: {', '.join(valid)}"
        return f"{path}: unknown key; {hint}"
    given = "" if kind == "missing" else f" (given: {item['input']!r})"
    return f"{path}: {item['msg']}{given}"


def _fields_at(loc: list[Any]) -> list[str]:
    """Valid keys of the model that a pydantic error location points into."""
    kind: Any = Config
    for part in loc:
        options = list(_models_in(kind))
        tagged = [
            m
            for m in options
            if "kind" in m.model_fields and part in typing.get_args(m.model_fields["kind"].annotation)
        ]
        if tagged:
            kind = tagged[0]
            continue
        for model in options:
            if part in model.model_fields:
                kind = model.model_fields[part].annotation
                break
    names: dict[str, None] = {}
    for model in _models_in(kind):
        names.update(dict.fromkeys(model.model_fields))
    return list(names)


def _models_in(kind: Any) -> typing.Iterator[type[BaseModel]]:
    """Every model class inside a (possibly nested) annotation."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif typing.get_origin(kind) is not None or isinstance(kind, types.UnionType):
        for inner in typing.get_args(kind):
            yield from _models_in(inner)
