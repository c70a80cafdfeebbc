"""A key-value cache with room to grow.

The library's own cache is copied as a whole for every token that is added to it, which is most of the time of long
answers in large batches.  Here a layer's keys and values lie in a buffer that is larger than what it holds.

The layer leans on the insides of transformers' own (5.23: ``keys``, ``values``, ``is_initialized``,
``lazy_initialization``); tests/unit/test_inference_cache.py holds the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

#: Room for so many times the tokens held, whenever a buffer has become too small.
_GROWTH = 1.5


class RoomyLayer(DynamicLayer):
    """A layer whose ``keys`` and ``values`` are views of larger buffers."""

    _rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (rows, heads, n, width) states; returns all keys and all values."""
        held = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        total = held + key_states.shape[-2]
        if self._rooms is None or total > self._rooms[0].shape[-2]:
            self._rooms = (self._larger(self.keys, key_states, total), self._larger(self.values, value_states, total))
        for room, states in zip(self._rooms, (key_states, value_states), strict=True):
            room[..., held:total, :] = states
        self.keys, self.values = (room[..., :total, :] for room in self._rooms)
        return self.keys, self.values

    def _larger(self, old: torch.Tensor | None, states: torch.Tensor, total: int) -> torch.Tensor:
        """A buffer for ``total`` tokens and more, which begins with what ``old`` holds."""
        rows, heads, _, width = states.shape
        room = states.new_empty((rows, heads, int(_GROWTH * total), width))
        if old is not None and old.numel():
            room[..., : old.shape[-2], :] = old
        return room


def roomy_cache(config: PreTrainedConfig) -> DynamicCache:
    """An empty cache for a model of ``config``; layers that see a window only are the library's own."""
    cache = DynamicCache(config=config)
    cache.layers = [
        RoomyLayer() if type(layer) is DynamicLayer else layer  # type: ignore[no-untyped-call]  # the library's
        for layer in cache.layers
    ]
    return cache
