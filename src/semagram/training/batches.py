"""Batches as a pure function of (seed, step): epochs of canvases in shuffled order, each epoch cut afresh.

Epoch e cuts the training ids into whole canvases, beginning at an offset drawn for e, and shuffles them by a Philox
permutation keyed by (seed, e). So every token is seen once an epoch, never twice in a row with the same
neighbours, and step s can be asked for without having seen step s - 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semagram.errors import UserError
from semagram.training.seeds import Purpose, seed_of


@dataclass(frozen=True)
class Batch:
    """``ids (b, n)`` int64 in cell order; ``starts (b,)`` int64, where in the training ids each canvas begins.

    A model that adds side information to the loss (a prior, say) looks it up by ``starts``.
    """

    ids: Tensor
    starts: NDArray[np.int64]


class Batches:
    """``rows`` canvases of ``count`` ids a step, from ``ids (N,)``."""

    def __init__(self, ids: NDArray[np.unsignedinteger], count: int, rows: int, seed: int) -> None:
        if len(ids) < count:
            raise UserError(
                f"the training text has {len(ids)} tokens, but one canvas of the layout holds {count}: give a longer "
                f"text, a smaller layout (layout.length, or layout.height and layout.width) or a smaller "
                f"training.held_out."
            )
        self._ids, self._count, self._rows, self._seed = ids, count, rows, seed
        # One canvas less than fits leaves room for the offset, so that no cut is the same in every epoch.
        self.an_epoch = max(1, len(ids) // count - 1)
        self._cells = np.arange(count)
        self._known_epoch: tuple[int, NDArray[np.int64]] | None = None

    def at(self, step: int) -> Batch:
        """The batch of step ``step`` (0, 1, ...)."""
        starts = self._starts(step * self._rows)
        ids = self._ids[starts[:, None] + self._cells].astype(np.int64)
        return Batch(torch.from_numpy(ids), starts)

    def _starts(self, first: int) -> NDArray[np.int64]:
        """Where the canvases ``first .. first + rows - 1`` of the endless stream of epochs begin."""
        parts, place, left = [], first, self._rows
        while left:
            epoch, inside = divmod(place, self.an_epoch)
            part = self._epoch(epoch)[inside : inside + left]
            parts.append(part)
            place, left = place + len(part), left - len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if self._known_epoch is None or self._known_epoch[0] != epoch:
            random = np.random.Generator(np.random.Philox(seed_of(self._seed, epoch, Purpose.EPOCH)))
            offset = random.integers(len(self._ids) - self.an_epoch * self._count + 1)
            self._known_epoch = epoch, offset + self._count * random.permutation(self.an_epoch)
        return self._known_epoch[1]
