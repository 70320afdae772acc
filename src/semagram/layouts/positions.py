"""Positions: the one geometric contract between layouts and everything else.

A layout is a set of ``n`` cells. Of each cell, ``Positions`` says where it stands (integer coordinates),
when it is written (rank; no two are equal) and from which stream its token comes.
Mixers see positions, never layouts, so a mixer written once works on a line, a page or parallel streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.layouts.visibility import Visibility


@dataclass(frozen=True)
class Positions:
    """Where ``n`` cells stand, when they are written, and which stream each belongs to.

    coords: ``(n, a)`` int64, one integer coordinate an axis. rank: ``(n,)`` int64, the time of writing.
    stream: ``(n,)`` int64, which vocabulary the cell draws from (0 where there is only one).
    """

    coords: Tensor
    rank: Tensor
    stream: Tensor

    def __post_init__(self) -> None:
        n = self.coords.shape[0]
        if self.coords.dim() != 2 or self.rank.shape != (n,) or self.stream.shape != (n,):
            raise ValueError(
                f"Positions need coords (n, a), rank (n,) and stream (n,); got {tuple(self.coords.shape)}, "
                f"{tuple(self.rank.shape)} and {tuple(self.stream.shape)}."
            )

    @property
    def count(self) -> int:
        """The number of cells, n."""
        return self.coords.shape[0]

    @property
    def axes(self) -> int:
        """The number of coordinate axes, a."""
        return self.coords.shape[1]

    def order(self) -> Tensor:
        """Cell indices ``(n,)`` in the order of writing; ties keep the order of the cells."""
        return torch.argsort(self.rank, stable=True)

    def in_writing_order(self) -> bool:
        """True when cell i is the i-th to be written and no two are written together (a plain line)."""
        return bool((self.rank[1:] > self.rank[:-1]).all())

    def visible(self, visibility: Visibility) -> Tensor:
        """Which cells' *targets* an output may depend on: bool ``(n, n)``, ``[query, key]``."""
        n = self.count
        if visibility is Visibility.CAUSAL:
            return self.rank[None, :] < self.rank[:, None]
        everything = torch.ones(n, n, dtype=torch.bool, device=self.rank.device)
        if visibility is Visibility.FULL:
            return everything
        return everything & ~torch.eye(n, dtype=torch.bool, device=self.rank.device)

    def first(self, count: int) -> Positions:
        """The first ``count`` cells."""
        return Positions(self.coords[:count], self.rank[:count], self.stream[:count])
