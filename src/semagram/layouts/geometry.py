"""Geometry: what one call of a network knows about its cells.

A network reads cells in *presented order*: the order of writing where visibility is CAUSAL (so that "earlier"
is always "further left", whatever the layout), the order of the layout otherwise. Geometry says where the
presented cells stand, what they may see and which are padding, and keeps the tables that mixers derive from
the coordinates (rotary angles, biases), so that they are made once a call and shared by all layers.

What only the caller can know of pairs of cells goes with it too: ``pairs`` (documents packed in one row, a graph, a
bias of one's own) and ``prefix`` (the first cells of a causal canvas are given and see one another). Only
attention reads them; the caller answers for what they let a cell see.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts.positions import Positions
from semagram.layouts.visibility import Visibility

Tables = tuple[Tensor, ...]


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
        self._tables: dict[Hashable, Tables] = {}
        self._whole: Geometry | None = None
        self._start = 0

    @classmethod
    def of(cls, positions: Positions, visibility: Visibility, keep: Tensor | None = None) -> Geometry:
        """The geometry of a whole canvas."""
        if visibility is not Visibility.CAUSAL:
            everything = torch.arange(positions.count, device=positions.coords.device)
            return cls(positions.coords, everything, visibility, keep)
        order = positions.order()
        return cls(positions.coords[order], order, visibility, keep)

    @property
    def count(self) -> int:
        """Presented cells, n."""
        return self.coords.shape[0]

    @property
    def causal(self) -> bool:
        """True when a slot may see only slots up to its own."""
        return self.visibility is Visibility.CAUSAL

    @property
    def start(self) -> int:
        """The slot of the whole canvas that comes first here."""
        return self._start

    @property
    def rules(self) -> bool:
        """True when the caller said something about pairs, which attention must heed."""
        return self.prefix > 0 or self.pairs is not None

    def narrow(self, start: int, count: int) -> Geometry:
        """Slots ``start .. start + count - 1``; tables are cut from the whole canvas's, not made again."""
        stop = start + count
        keep = None if self.keep is None else self.keep[:, start:stop]
        part = Geometry(self.coords[start:stop], self.order[start:stop], self.visibility, keep)
        part._whole = self if self._whole is None else self._whole
        part._start = self._start + start
        part.pairs, part.prefix = self.pairs, self.prefix  # of the whole canvas: read by slot numbers
        return part

    def to(self, device: object) -> Geometry:
        """The same cells on another device (tables are made afresh there)."""
        keep = None if self.keep is None else self.keep.to(device)  # type: ignore[call-overload]
        pairs = None if self.pairs is None else self.pairs.to(device)  # type: ignore[call-overload]
        there = Geometry(self.coords.to(device), self.order.to(device), self.visibility, keep)  # type: ignore[call-overload]
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
