"""Training settings by size: `by_size` lays the keys that it names over `training` at a size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

from starglot.config.strict import ModelSettings

Plan = TypeVar("Plan", bound=BaseModel)
Settings = TypeVar("Settings", bound=ModelSettings)


def _as_given(plans: Mapping[str, BaseModel]) -> dict[str, Any]:
    return {size: plan.model_dump(mode="json", exclude_unset=True) for size, plan in plans.items()}


def _no_map(given: Any) -> Any:
    if isinstance(given, Mapping):
        raise PydanticCustomError(
            "map_for_number",
            "should be one number; write what differs at a size as models.<name>.by_size.<size>.<key>",
        )
    return given


#: On a map of plans by size: only the keys that were given are part of it.
KEYS_GIVEN = PlainSerializer(_as_given)
#: On a number that used to be a map by size, too.
ONE_NUMBER = BeforeValidator(_no_map)


def laid_over(plan: Plan, over: Plan) -> Plan:
    """``plan`` with the keys that were given in ``over``."""
    changes = {}
    for name in over.model_fields_set:
        own, other = getattr(plan, name), getattr(over, name)
        nested = isinstance(own, BaseModel) and isinstance(other, BaseModel)
        changes[name] = laid_over(own, other) if nested else other
    return plan.model_copy(update=changes)


def at_size(model: Settings, size: str) -> Settings:
    """A model with its training at ``size``, and none at other sizes."""
    said: Any = model
    if "by_size" not in type(model).model_fields:
        return model
    plans, training = said.by_size, said.training
    if size in plans:
        training = laid_over(training, plans[size])
    return model.model_copy(update={"training": training, "by_size": {}})
