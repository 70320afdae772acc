"""Levels that look back by fixed lags: what tail focus, trees and sparse convolutions are made of.

A mixer of this kind computes level after level; each is read by the next at the slot itself and some slots further
back. Written once against ``Levels``, it runs in parallel (``Whole``: shifted copies, zeros before the beginning) and
slot by slot (``Histories``: preallocated, a step copies nothing but its own columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis
from semagram.feedforward.norms import normalise
from semagram.feedforward.piecewise import check_inner
from semagram.mixers.projection import projection


class Levels(Protocol):
    """Where levels are kept and looked up."""

    def put(self, level: int, value: Tensor) -> None:
        """Level number ``level`` at the slots at hand, ``(b, n, c)``."""
        ...

    def get(self, level: int, lags: Sequence[int]) -> Tensor:
        """The level ``lags`` slots further back, side by side: ``(b, n, len(lags) c)``."""
        ...


class Whole:
    """All slots at once; padding slots hold zeros."""

    def __init__(self, keep: Tensor | None) -> None:
        self._keep = None if keep is None else keep[:, :, None]
        self._values: dict[int, Tensor] = {}

    def put(self, level: int, value: Tensor) -> None:
        """See ``Levels``."""
        self._values[level] = value if self._keep is None else value * self._keep

    def get(self, level: int, lags: Sequence[int]) -> Tensor:
        """See ``Levels``."""
        value, n = self._values[level], self._values[level].shape[1]
        most = min(max(lags), n)
        padded = F.pad(value, (0, 0, most, 0))
        return torch.cat([padded[:, most - min(lag, n) :][:, :n] for lag in lags], dim=-1)


class Histories:
    """The coming slots, with all that came before; zero before the beginning.

    ``reaches``: for each level its furthest lag and its width.
    """

    def __init__(self, batch: int, capacity: int, reaches: Sequence[tuple[int, int]], like: Tensor) -> None:
        self._reaches = [reach for reach, _ in reaches]
        self._kept = [
            torch.zeros(batch, reach + capacity, width, dtype=like.dtype, device=like.device)
            for reach, width in reaches
        ]
        self._coming = 0
        self.length = 0

    def put(self, level: int, value: Tensor) -> None:
        """See ``Levels``."""
        self._coming = value.shape[1]
        first = self._reaches[level] + self.length
        self._kept[level][:, first : first + self._coming] = value

    def get(self, level: int, lags: Sequence[int]) -> Tensor:
        """See ``Levels``."""
        first = self._reaches[level] + self.length
        return torch.cat([self._kept[level][:, first - lag :][:, : self._coming] for lag in lags], dim=-1)

    def advance(self) -> None:
        """The coming slots are done."""
        self.length += self._coming


class Bent(nn.Module):
    """``(..., inputs) -> (..., outputs)``: functions on the links, or a linear map and a SiLU; then normalised."""

    def __init__(self, inputs: int, outputs: int, links: Basis | None) -> None:
        super().__init__()
        self.map = projection(inputs, outputs, links)
        self.linear = links is None

    def forward(self, x: Tensor) -> Tensor:
        """Slot by slot."""
        x = self.map(x)
        return normalise(F.silu(x) if self.linear else x)


def check_levels(levels: int, most_reach: int, links: Basis | None) -> None:
    """Raise ``UserError`` for no levels, a reach beyond all sense, or links that stop gradients."""
    if levels < 1:
        raise UserError(f"mixer levels must be at least 1, got {levels}.")
    if most_reach > 1 << 20:
        raise UserError(f"these levels reach back {most_reach:,} slots; the most is 1,048,576.")
    if links is not None:
        check_inner(links)
