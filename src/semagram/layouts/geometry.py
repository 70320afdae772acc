"""Geometry: what one call of a network knows about its cells.

A network reads cells in *presented order*: the order of writing where visibility is CAUSAL (so that "earlier"
is always "further left", whatever the layout), the order of the layout otherwise. Geometry says where the
presented cells stand, what they may see and which are padding, and keeps the tables that mixers derive from
the coordinates (rotary angles, biases), so that they are made once a call and shared by all layers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from torch import Tensor

from semagram.layouts.positions import Positions
from semagram.layouts.visibility import Visibility

Tables = tuple[Tensor, ...]

Kept = TypeVar("Kept")

Extent = tuple[tuple[int, int], ...]
"""The least and the greatest coordinate of each axis."""


class Geometry:
    """Presented cells: ``coords (n, a)``, ``order (n,)`` (which layout cell stands in each slot), visibility.

    ``keep`` is ``(b, n)`` bool or None: False marks padding, which no output may depend on.
    """

    def __init__(
        self,
        coords: Tensor,
        order: Tensor,
        visibility: Visibility,
        keep: Tensor | None = None,
        extent: Extent | None = None,
    ) -> None:
        self.coords = coords
        self.order = order
        self.visibility = visibility
        self.keep = keep
        # Plain numbers, found once here: a mixer that asked a tensor for them could not be compiled in one graph.
        self.extent = extent_of(coords) if extent is None else extent
        self._tables: dict[Hashable, Tables] = {}
        self._kept: dict[Hashable, object] = {}
        self._whole: Geometry | None = None
        self._start = 0

    @classmethod
    def of(cls, positions: Positions, visibility: Visibility, keep: Tensor | None = None) -> Geometry:
        """The geometry of a whole canvas."""
        if visibility is not Visibility.CAUSAL:
            import torch

            everything = torch.arange(positions.count, device=positions.coords.device)
            return cls(positions.coords, everything, visibility, keep)
        order = positions.order()
        return cls(positions.coords[order], order, visibility, keep)

    @property
    def count(self) -> int:
        """Presented cells, n."""
        return self.coords.shape[0]

    @property
    def whole(self) -> Geometry:
        """The canvas that this is a part of (see ``narrow``); itself if it is none."""
        return self if self._whole is None else self._whole

    @property
    def start(self) -> int:
        """The first of ``whole``'s slots that this part holds."""
        return self._start

    @property
    def causal(self) -> bool:
        """True when a slot may see only slots up to its own."""
        return self.visibility is Visibility.CAUSAL

    def narrow(self, start: int, count: int) -> Geometry:
        """Slots ``start .. start + count - 1``; tables are cut from the whole canvas's, not made again."""
        stop = start + count
        keep = None if self.keep is None else self.keep[:, start:stop]
        part = Geometry(self.coords[start:stop], self.order[start:stop], self.visibility, keep, self.extent)
        part._whole = self if self._whole is None else self._whole
        part._start = self._start + start
        return part

    def to(self, device: object) -> Geometry:
        """The same cells on another device (tables are made afresh there)."""
        keep = None if self.keep is None else self.keep.to(device)  # type: ignore[call-overload]
        coords, order = self.coords.to(device), self.order.to(device)  # type: ignore[call-overload]
        return Geometry(coords, order, self.visibility, keep, self.extent)

    def table(self, key: Hashable, make: Callable[[Tensor], Tables]) -> Tables:
        """Per-slot tables ``make(coords)``, each ``(n, ...)``, made at most once for ``key`` and canvas."""
        found = self._tables.get(key)
        if found is None:
            if self._whole is None:
                found = make(self.coords)
            else:
                stop = self._start + self.count
                found = tuple(t[self._start : stop] for t in self._whole.table(key, make))
            self._tables[key] = found
        return found

    def once(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Whatever ``make`` gives, made at most once for ``key`` and this geometry (parts of it make their own)."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(Kept, self._kept[key])


def extent_of(coords: Tensor) -> Extent:
    """The least and the greatest coordinate of each axis of ``(n, a)``; (0, -1) where there is no cell."""
    if coords.shape[0] == 0:
        return ((0, -1),) * coords.shape[1]
    least, greatest = coords.aminmax(dim=0)
    return tuple(zip(least.tolist(), greatest.tolist(), strict=True))
