"""What the typed models refuse, said in the words and paths of the user's own YAML."""

from __future__ import annotations

import copy
import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from starglot.config.recipes import View
from starglot.config.root import Config
from starglot.config.surveys.registry import Surveys

#: Keys that choose among models in a union.
TAGS = ("kind", "form")


def sentences(raw: Mapping[str, Any], error: ValidationError) -> list[str]:
    """One sentence per fault; alternatives of one value ('a number' or 'a map') are joined."""
    said: dict[tuple[str, bool], list[Any]] = {}
    for item in error.errors():
        path = ".".join(map(str, _path(raw, item)))
        said.setdefault((path, item["type"] == "extra_forbidden"), []).append(item)
    return [f"{path}: {_say(items)}" for (path, _), items in said.items()]


def without_faults(raw: Mapping[str, Any], error: ValidationError) -> Config | None:
    """``raw`` less its unknown keys and faulty optional values, so that cross-field rules can be checked as well.

    None when something needed is missing or wrong: then such rules would find faults that are none.
    """
    sound = copy.deepcopy(dict(raw))
    faulty = {tuple(_path(raw, item)): item for item in error.errors()}
    for path, item in reversed(faulty.items()):
        if item["type"] == "missing":
            return None
        holder: Any = sound
        for part in path[:-1]:
            holder = holder[part]
        optional = isinstance(holder, list) or path[-1] in _fields_at(_location(raw, item))
        if not (optional or item["type"] == "extra_forbidden"):
            return None
        del holder[path[-1]]
    try:
        return Config.model_validate(sound)
    except ValidationError:
        return None


def booleans_for_numbers(raw: Any, at: tuple[Any, ...] = ()) -> list[str]:
    """A sentence for every yes, no, on or off that stands for a number: YAML reads them as true and false."""
    if isinstance(raw, Mapping | list):
        items = raw.items() if isinstance(raw, Mapping) else enumerate(raw)
        return [fault for key, value in items for fault in booleans_for_numbers(value, (*at, key))]
    if not isinstance(raw, bool) or not (kinds := _plain(_descend(at))) or bool in kinds or not kinds & {int, float}:
        return []
    return [f"{'.'.join(map(str, at))}: should be a number (yes, no, on and off are true and false in YAML)"]


def nearest(name: object, valid: Iterable[str], cutoff: float = 0.5) -> str:
    """'did you mean ...?', or the valid names when none is near."""
    valid = list(valid)
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=cutoff)
    return f"did you mean '{near[0]}'?" if near else f"valid: {', '.join(valid) or 'none is defined'}"


def unknown(path: str, name: str, valid: Iterable[str]) -> str:
    """Sentence about a name that is not there, with the nearest valid one."""
    return f"{path}: unknown name '{name}'; {nearest(name, valid, cutoff=0.4)}"


def view_faults(config: Config, path: str, text: str) -> Iterator[str]:
    """What is not there of a view: the survey, or the recipe."""
    view, surveys = View(text), Surveys.with_spectra_known()
    if view.survey not in surveys:
        yield unknown(path, view.survey, surveys)
    if view.recipe not in config.recipes:
        yield unknown(path, view.recipe, config.recipes)


def _path(raw: Mapping[str, Any], item: Any) -> list[Any]:
    """Where the fault is in the user's YAML: pydantic's location less its tags of unions and maps."""
    path: list[Any] = []
    node: Any = raw
    for part in item["loc"]:
        if _holds(node, part):
            node = node[part]
            path.append(part)
    return [*path, item["loc"][-1]] if item["type"] == "missing" else path


def _location(raw: Mapping[str, Any], item: Any) -> tuple[Any, ...]:
    """pydantic's location of the value itself: less the tags of alternatives that it failed to be."""
    loc = tuple(item["loc"])
    last = _path(raw, item)[-1]
    return loc[: len(loc) - loc[::-1].index(last)]


def _holds(node: Any, part: Any) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _say(items: list[Any]) -> str:
    """One sentence about one value; ``items`` are the alternatives that it failed to be."""
    first = items[0]
    kind, given = first["type"], first["input"]
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(first['loc'][-1], _fields_at(first['loc']))}"
    if kind == "missing":
        return "this key is needed"
    if kind == "union_tag_not_found":
        return f"needs a `{_tag(first)}`: {', '.join(_tags_at(first['loc']))}"
    if kind == "union_tag_invalid":
        given = first["ctx"]["tag"]
        return f"unknown {_tag(first)} '{given}'; {nearest(given, _tags_at(first['loc']))}"
    if kind == "string_pattern_mismatch":
        return "a name has letters, digits, '.', '_' and '-', and begins with a letter or digit"
    wanted = " or ".join(_wanted(item["msg"]) for item in items).replace(" or should be ", " or ")
    hint = "; put it in quotes" if kind == "string_type" and isinstance(given, int | float) else ""
    if kind == "int_parsing" and isinstance(given, str) and re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", given):
        hint = "; YAML takes it for text: write the number out"
    if kind == "literal_error":
        near = difflib.get_close_matches(str(given), re.findall(r"'([^']*)'", first["ctx"]["expected"]), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
    shown = repr(given)
    return f"{wanted} (given: {shown if len(shown) <= 60 else shown[:57] + '...'}){hint}"


def _tag(item: Any) -> str:
    """The key that chooses among models, where it is missing or unknown."""
    return str(item["ctx"]["discriminator"]).strip("'")


def _wanted(message: str) -> str:
    """pydantic's message without its programmer's words."""
    text = message.removeprefix("Input should be ").split(", unable to")[0]
    text = re.sub(r"a valid dictionary( or instance of \w+)?", "a map of keys and values", text)
    text = text.replace("a valid integer", "a whole number").replace("a valid ", "a ")
    return f"should be {text}" if message.startswith("Input should be") else text


def _fields_at(loc: Sequence[Any]) -> list[str]:
    """Valid keys at the level of the last part of a pydantic location."""
    return [name for model in _models_in(_descend(loc[:-1])) for name in model.model_fields]


def _tags_at(loc: Sequence[Any]) -> list[str]:
    return [tag for model in _models_in(_descend(loc)) for tag in _kinds(model)]


def _descend(loc: Sequence[Any]) -> Any:
    """Annotation of what lies at a pydantic location, as far as it can be followed."""
    kind: Any = Config
    for part in loc:
        kind = _step(kind, part) or kind
    return kind


def _step(kind: Any, part: Any) -> Any:
    """Annotation one part further: a field, a map's value, a list's item, or the model that a tag chooses."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(part)
        return field.annotation if field else None
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _step(inner[0], part)
    if origin in (dict, list, tuple):
        return inner[-1] if origin is dict else inner[0]
    if origin in (typing.Union, types.UnionType):
        tagged = (option for option in inner if isinstance(option, type) and part in _kinds(option))
        return next(tagged, None) or next((found for option in inner if (found := _step(option, part))), None)
    return None


def _plain(kind: Any) -> set[Any]:
    """The types inside a (possibly nested) annotation that are no models."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return {found for option in typing.get_args(kind) for found in _plain(option)}
    return {kind}


def _kinds(model: type) -> tuple[Any, ...]:
    """Tags that choose ``model`` in a union of models."""
    fields = model.model_fields if issubclass(model, BaseModel) else {}
    return tuple(tag for key in TAGS if key in fields for tag in typing.get_args(fields[key].annotation))


def _models_in(kind: Any) -> Iterator[type[BaseModel]]:
    """Every model class inside a (possibly nested) annotation."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif typing.get_origin(kind) is not None or isinstance(kind, types.UnionType):
        for inner in typing.get_args(kind):
            yield from _models_in(inner)
