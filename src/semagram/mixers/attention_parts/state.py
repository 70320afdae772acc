"""What attention remembers of the slots it has read: everything, or as much as a window reaches."""

from __future__ import annotations

import torch
from torch import Tensor


class KeyValueState:
    """Keys and values of the slots read so far, ``(b, h_kv, capacity, d_h)``, written in place.

    ``turned`` keys lie in memory as ``(b, h_kv, d_h, capacity)``: one query after the other then reads both keys and
    values in order, and reading them is all that a step with few rows costs.
    """

    def __init__(
        self,
        batch: int,
        heads: int,
        capacity: int,
        head_width: int,
        like: Tensor,
        value_width: int | None = None,
        turned: bool = False,
    ) -> None:
        shape = (batch, heads, capacity, head_width)
        lying = (*shape[:2], head_width, capacity) if turned else shape
        keys = torch.zeros(lying, dtype=like.dtype, device=like.device)
        self.turned = turned
        self.keys = keys.transpose(2, 3) if turned else keys
        self.values = torch.zeros((*shape[:3], value_width or head_width), dtype=like.dtype, device=like.device)
        self.length = 0
        self.notes = SlotBuffer(capacity)
        """What else must be known of each slot (coordinates, accumulated forgetting), where anything must."""
        self.sums: Tensor | None = None
        """Running sums of forgetting up to the last slot, ``(b, h, 1, 1)``."""

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store ``(b, h_kv, g, d_h)`` and return all keys and values up to and including them."""
        stop = self.length + keys.shape[2]
        self.keys[:, :, self.length : stop] = keys
        self.values[:, :, self.length : stop] = values
        self.length = stop
        keys = self.keys[:, :, :stop]
        return keys.contiguous() if self.turned else keys, self.values[:, :, :stop]


class WindowState:
    """Keys, values and notes of the last ``span`` slots: a step costs the window, however long the text."""

    def __init__(self, span: int, capacity: int) -> None:
        self.slots = SlotBuffer(min(span, capacity))
        self.sums: Tensor | None = None
        """Running sums of forgetting up to the last slot, ``(b, h, 1, 1)``."""

    @property
    def length(self) -> int:
        """Slots read so far."""
        return self.slots.length


class SlotBuffer:
    """Tensors ``(., ., capacity, .)`` of the last ``capacity`` slots, as a ring: slot t stands at ``t % capacity``."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self.index = torch.zeros(0, dtype=torch.int64)
        """The slot numbers of what the last ``append`` returned, ``(k,)``."""
        self._buffers: list[Tensor] = []

    def append(self, *parts: Tensor) -> list[Tensor]:
        """Store ``g`` slots of each tensor, ``(., ., g, .)``; returns them behind those that are remembered.

        After one slot the oldest that is forgotten has made room, and the ring is returned as it stands: ``index``
        says which slot is where.
        """
        count, device = parts[0].shape[2], parts[0].device
        if not self._buffers:
            self._buffers = [p.new_zeros(*p.shape[:2], self.capacity, p.shape[3]) for p in parts]
        begin, stop = self.length, self.length + count
        self.length = stop
        if stop <= self.capacity:
            for buffer, part in zip(self._buffers, parts, strict=True):
                buffer[:, :, begin:stop] = part
            self.index = torch.arange(stop, device=device)
            return [buffer[:, :, :stop] for buffer in self._buffers]
        if count == 1:
            for buffer, part in zip(self._buffers, parts, strict=True):
                buffer[:, :, begin % self.capacity] = part[:, :, 0]
            self.index = begin - (begin - torch.arange(self.capacity, device=device)) % self.capacity
            return list(self._buffers)
        known = torch.arange(max(0, begin - self.capacity), begin, device=device)
        joined = [
            torch.cat([buffer[:, :, known % self.capacity], part], dim=2)
            for buffer, part in zip(self._buffers, parts, strict=True)
        ]
        kept = torch.arange(max(begin, stop - self.capacity), stop, device=device)
        for buffer, part in zip(self._buffers, parts, strict=True):
            buffer[:, :, kept % self.capacity] = part[:, :, kept - begin]
        self.index = torch.arange(stop - joined[0].shape[2], stop, device=device)
        return joined
