"""Geometry: what one call of a network knows about its cells.

A network reads cells in *presented order*: the order of writing where visibility is CAUSAL (so that "earlier"
is always "further left", whatever the layout), the order of the layout otherwise. Geometry says where the
presented cells stand, what they may see and which are padding, and keeps the tables that mixers derive from
the coordinates (rotary angles, biases), so that they are made once a call and shared by all layers.

What only the caller can know of pairs of cells goes with it too: ``pairs`` (documents packed in one row, a graph, a
bias of one's own) and ``prefix`` (the first cells of a causal canvas are given and see one another). Mixers whose
configuration says ``reads_pairs`` heed them, and a stack refuses them for any other; the caller answers for what they
let a cell see.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import copy
from typing import TypeVar, cast

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts.positions import Positions
from semagram.layouts.visibility import Visibility

Tables = tuple[Tensor, ...]

Kept = TypeVar("Kept")

Extent = tuple[tuple[int, int], ...]
"""The least and the greatest coordinate of each axis."""


class Geometry:
    """Presented cells: ``coords (n, a)``, ``order (n,)`` (which layout cell stands in each slot), visibility.

    ``keep`` is ``(b, n)`` bool or None: False marks padding, which no output may depend on. ``pairs`` is about each
    [query, key] of the whole canvas, ``(n, n)``, ``(b, n, n)`` or ``(b, h, n, n)``: bool narrows what visibility
    allows (every slot still sees itself), a float is added to the scores. ``prefix``: this many first slots of a CAUSAL
    canvas are seen by all; no loss may then be asked of them.
    """

    def __init__(
        self,
        coords: Tensor,
        order: Tensor,
        visibility: Visibility,
        keep: Tensor | None = None,
        pairs: Tensor | None = None,
        prefix: int = 0,
        extent: Extent | None = None,
    ) -> None:
        n = coords.shape[0]
        if pairs is not None and (pairs.dim() not in (2, 3, 4) or pairs.shape[-2:] != (n, n)):
            raise UserError(f"pairs must be ({n}, {n}), with or without batch and heads before; got {(*pairs.shape,)}.")
        if prefix and (visibility is not Visibility.CAUSAL or not 0 < prefix <= n):
            raise UserError(f"a prefix is 0 to {n} first slots of a CAUSAL canvas; got {prefix}, {visibility.name}.")
        self.coords = coords
        self.order = order
        self.visibility = visibility
        self.keep = keep
        self.pairs = pairs if pairs is None or pairs.dim() != 3 else pairs[:, None]
        self.prefix = prefix
        # Plain numbers, found once here: a mixer that asked a tensor for them could not be compiled in one graph.
        self.extent = extent_of(coords) if extent is None else extent
        self.board: dict[str, Tensor] | None = None
        """What layers leave for later ones, within one call; None unless opened."""
        self._tables: dict[Hashable, Tables] = {}
        self._preceded: dict[int, Geometry] = {}
        self._kept: dict[Hashable, object] = {}
        self._whole: Geometry | None = None
        self._start = 0
        self._windows: dict[tuple[int, int], Geometry] = {}

    @classmethod
    def of(cls, positions: Positions, visibility: Visibility, keep: Tensor | None = None) -> Geometry:
        """The geometry of a whole canvas."""
        if visibility is not Visibility.CAUSAL:
            everything = torch.arange(positions.count, device=positions.coords.device)
            return cls(positions.coords, everything, visibility, keep)
        order = positions.order()
        return cls(positions.coords[order], order, visibility, keep)

    @classmethod
    def line(
        cls, count: int, visibility: Visibility, keep: Tensor | None = None, *, like: Tensor | None = None
    ) -> Geometry:
        """A plain line of ``count`` slots at coordinates 0, 1, ..., on the device of ``like``."""
        slots = torch.arange(count, device=None if like is None else like.device)
        return cls(slots[:, None], slots, visibility, keep)

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

    @property
    def rules(self) -> bool:
        """True when the caller said something about pairs, which attention must heed."""
        return self.prefix > 0 or self.pairs is not None

    def opened(self) -> Geometry:
        """The same cells and tables with an empty board: for one call of a stack whose layers leave something there."""
        part = copy(self)
        part.board = {}
        return part

    def narrow(self, start: int, count: int) -> Geometry:
        """Slots ``start .. start + count - 1``; tables are cut from the whole canvas's, not made again."""
        stop = start + count
        keep = None if self.keep is None else self.keep[:, start:stop]
        part = Geometry(self.coords[start:stop], self.order[start:stop], self.visibility, keep, extent=self.extent)
        part._whole = self if self._whole is None else self._whole
        part._start = self._start + start
        part.pairs, part.prefix = self.pairs, self.prefix  # of the whole canvas: read by slot numbers
        return part

    def window(self, start: int, count: int) -> Geometry:
        """Slots of the whole canvas (``start`` counts from this part's first, and may be negative) as a canvas of their
        own, with their own tables; made once and shared by all layers."""
        whole, at = (self, start) if self._whole is None else (self._whole, self._start + start)
        stop = at + count
        if not 0 <= at <= stop <= whole.count:
            raise ValueError(f"slots {at} .. {stop - 1} are not all on a canvas of {whole.count}.")
        found = whole._windows.get((at, count))
        if found is None:
            keep = None if whole.keep is None else whole.keep[:, at:stop]
            found = Geometry(whole.coords[at:stop], whole.order[at:stop], whole.visibility, keep)
            whole._windows[at, count] = found
        return found

    def ahead(self, start: int) -> int:
        """How many slots the whole canvas has from this part's slot ``start`` on."""
        return self.count - start if self._whole is None else self._whole.count - self._start - start

    def preceded(self, count: int) -> Geometry:
        """The same cells with ``count`` slots before them that are no cells (registers), at coordinates -count .. -1 of
        every axis and ``order`` -1; made once a geometry."""
        if count not in self._preceded:
            before = torch.arange(-count, 0, device=self.coords.device)
            coords = torch.cat([before[:, None].expand(count, self.coords.shape[1]), self.coords])
            order = torch.cat([torch.full_like(before, -1), self.order])
            kept = None if self.keep is None else self.keep.new_ones(self.keep.shape[0], count)
            keep = None if kept is None or self.keep is None else torch.cat([kept, self.keep], dim=1)
            pairs = self.pairs  # what stands before has no document and no bias: everybody may see it
            if pairs is not None:
                pairs = torch.nn.functional.pad(pairs, (count, 0, count, 0), value=float(pairs.dtype == torch.bool))
            prefix = self.prefix + count if self.prefix else 0
            self._preceded[count] = Geometry(coords, order, self.visibility, keep, pairs, prefix)
        return self._preceded[count]

    def to(self, device: object) -> Geometry:
        """The same cells on another device (tables are made afresh there)."""
        keep = None if self.keep is None else self.keep.to(device)  # type: ignore[call-overload]
        pairs = None if self.pairs is None else self.pairs.to(device)  # type: ignore[call-overload]
        coords, order = self.coords.to(device), self.order.to(device)  # type: ignore[call-overload]
        there = Geometry(coords, order, self.visibility, keep, extent=self.extent)
        there.pairs, there.prefix, there._start = pairs, self.prefix, self._start
        return there

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

    def pair_table(self, key: Hashable, make: Callable[[], Tables]) -> Tables:
        """Tables about pairs of these cells, made at most once for ``key``; not shared with the whole canvas."""
        found = self._tables.get(("pairs", key))
        if found is None:
            found = self._tables["pairs", key] = make()
        return found

    def once(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Whatever ``make`` gives, made at most once for ``key`` and this geometry (parts of it make their own)."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(Kept, self._kept[key])


def extent_of(coords: Tensor) -> Extent:
    """The least and the greatest coordinate of each axis of ``(n, a)``; (0, -1) where there is no cell, or no number
    (coordinates on the meta device)."""
    if coords.shape[0] == 0 or coords.is_meta:
        return ((0, -1),) * coords.shape[1]
    least, greatest = coords.aminmax(dim=0)
    return tuple(zip(least.tolist(), greatest.tolist(), strict=True))
