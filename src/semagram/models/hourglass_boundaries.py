"""Where elements end: the boundary rules of patch models, all decided by what has been read.

A rule says at which slots an element *ends*. The element pools what was read since the last end, its own slot
included, and is seen from that slot on; since slot i has read token i - 1 last, nothing is seen too early and no shift
is needed. The first slot is always an end (it has read only the reserved id), so something is always there to see.

| rule | an element ends at slot i when | as in |
|---|---|---|
| Fixed | i is a multiple of k: k tokens have just been read | Hourglass (arXiv 2110.13711), MegaByte (2305.07185) |
| AfterSpaces | the token just read is space-like and the one before it is not | SpaceByte (2404.14408) |
| Surprise | a small n-gram's entropy of the coming token is above a threshold | entropy patches, BLT (2412.09871) |
| Routing | the state turns: (1 - cos(W_q h_i, W_k h_{i-1})) / 2 >= 1/2 | H-Net (2507.07955) |

Rules that read token ids stand in the outermost stage only. Surprise and Routing are in ``hourglass_learnt.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class Cut:
    """Where the elements of every row end: ``ends (b, n)`` bool; ``chance (b, n)``: how sure a router was, or None.

    ``most``: room for elements, at least the largest count of any row.
    """

    ends: Tensor
    chance: Tensor | None
    most: int

    def counts(self) -> Tensor:
        """Elements of each row, ``(b,)``."""
        return self.ends.sum(dim=1)

    def slots(self) -> Tensor:
        """The slot where each element ends, ``(b, most)``; behind a row's count they mean nothing."""
        return (~self.ends).long().argsort(dim=1, stable=True)[:, : self.most]

    def belongs(self) -> Tensor:
        """The element that each slot is part of, ``(b, n)``; ``most`` where it has not ended yet."""
        before = self.ends.cumsum(dim=1) - self.ends.long()
        return torch.where(before < self.counts()[:, None], before, self.most)

    def latest(self) -> Tensor:
        """The last element that ended at or before each slot, ``(b, n)``."""
        return (self.ends.cumsum(dim=1) - 1).clamp(min=0)


@dataclass(frozen=True)
class Fixed:
    """Every so many tokens."""

    size: int = 4
    """Tokens of an element."""

    def __post_init__(self) -> None:
        if self.size < 2:
            raise UserError(f"boundaries size must be at least 2, got {self.size}.")

    def build(self, vocabulary_size: int, width: int) -> nn.Module:
        """The rule."""
        return _Fixed(self.size)


def space_like_bytes() -> tuple[int, ...]:
    """Bytes that are no letter, no digit and no part of a character of several bytes."""
    return tuple(byte for byte in range(128) if not chr(byte).isalnum())


@dataclass(frozen=True)
class AfterSpaces:
    """After words: at the first space-like token of a run."""

    ids: tuple[int, ...] | None = None
    """Ids that are space-like; none: of bytes, those that are no letter, digit or part of a longer character."""

    def __post_init__(self) -> None:
        if self.ids is not None and (not self.ids or min(self.ids) < 0):
            raise UserError(f"boundaries ids must be ids of at least 0, or none for bytes, got {self.ids}.")

    def build(self, vocabulary_size: int, width: int) -> nn.Module:
        """The rule; refuses ids that the vocabulary has not, and no ids where tokens are no bytes."""
        if self.ids is None and vocabulary_size != 256:
            raise UserError(
                f"AfterSpaces knows only of 256 bytes which are space-like, not of {vocabulary_size} ids: set ids."
            )
        ids = space_like_bytes() if self.ids is None else self.ids
        if max(ids) >= vocabulary_size:
            raise UserError(f"boundaries ids must be below {vocabulary_size}, got {max(ids)}.")
        return _AfterSpaces(ids, vocabulary_size)


def room(module: nn.Module, ends: Tensor) -> int:
    """As many elements as there are in training; all that there could be otherwise, whatever the other rows hold."""
    return int(ends.sum(dim=1).max()) if module.training else ends.shape[1]


def kept(ends: Tensor, counts: Tensor | None) -> Tensor:
    """The first slot always; never one behind the ``counts (b,)`` of a row."""
    ends = torch.cat([torch.ones_like(ends[:, :1]), ends[:, 1:]], dim=1)
    if counts is None:
        return ends
    return ends & (torch.arange(ends.shape[1], device=ends.device) < counts[:, None])


class _Fixed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor, inputs: Tensor | None, counts: Tensor | None, state: Any = None) -> Cut:
        """``x (b, n, d)``, ``inputs (b, n)`` in the outermost stage; a fresh ``state`` is filled."""
        slots = torch.arange(x.shape[1], device=x.device)
        if state is not None:
            state["read"] = torch.full_like(state["read"], x.shape[1]) if counts is None else counts.clone()
        ends = (slots % self.size == 0).expand(x.shape[0], -1)
        return Cut(kept(ends, counts), None, -(-x.shape[1] // self.size))

    def new_state(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """Slots read in each row."""
        return {"read": torch.zeros(batch, dtype=torch.int64, device=like.device)}

    def step(self, x: Tensor, inputs: Tensor | None, active: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
        """``x (b, 1, d)``, ``inputs (b, 1)``: which of the active rows have an end here ``(b,)``, and the chance."""
        ends = (state["read"] % self.size == 0) & active
        state["read"] = state["read"] + active
        return ends, None


class _AfterSpaces(nn.Module):
    def __init__(self, ids: tuple[int, ...], vocabulary_size: int) -> None:
        super().__init__()
        like_space = torch.zeros(vocabulary_size + 1, dtype=torch.bool)
        like_space[list(ids)] = True
        self.register_buffer("like_space", like_space, persistent=False)

    def forward(self, x: Tensor, inputs: Tensor | None, counts: Tensor | None, state: Any = None) -> Cut:
        """As ``_Fixed``."""
        assert inputs is not None
        spaces = self.get_buffer("like_space")[inputs]
        if state is not None:
            state["last"] = spaces[:, -1:]
        ends = kept(spaces & ~F.pad(spaces[:, :-1], (1, 0)), counts)
        return Cut(ends, None, room(self, ends))

    def new_state(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """Whether the last token was space-like; before the first, nothing has been read."""
        return {"last": torch.zeros(batch, 0, dtype=torch.bool, device=like.device)}

    def step(self, x: Tensor, inputs: Tensor | None, active: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
        """As ``_Fixed``."""
        assert inputs is not None
        spaces = self.get_buffer("like_space")[inputs]
        first = state["last"].shape[1] == 0
        ends = torch.ones_like(spaces) if first else spaces & ~state["last"]
        state["last"] = spaces
        return ends[:, 0], None
