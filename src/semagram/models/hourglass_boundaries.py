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

Rules that read token ids stand in the outermost stage only. Surprise trains its n-gram (log-bilinear, Mnih and Hinton
2007) beside the network, Routing asks for its share of ends by a ratio loss; both come as auxiliary losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried


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


@dataclass(frozen=True)
class Surprise:
    """Before tokens that are hard to guess."""

    threshold: float = 1.5
    """Nats of entropy above which a new element begins."""
    order: int = 2
    """Tokens that the n-gram reads."""
    rank: int = 16
    """Features of its tables."""

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise UserError(f"boundaries threshold must be above 0, got {self.threshold}.")
        if self.order < 1 or self.rank < 1:
            raise UserError(f"boundaries order and rank must be at least 1, got {self.order} and {self.rank}.")

    def build(self, vocabulary_size: int, width: int) -> nn.Module:
        """The rule and its n-gram."""
        return _Surprise(self, vocabulary_size)


@dataclass(frozen=True)
class Routing:
    """Where the states change direction, learnt."""

    ratio: float = 4.0
    """Tokens of an element, on average, that the ratio loss asks for."""
    weight: float = 0.03
    """Of the ratio loss beside the objective's."""

    def __post_init__(self) -> None:
        if not self.ratio > 1:
            raise UserError(f"boundaries ratio must be above 1, got {self.ratio}.")
        if not self.weight > 0:
            raise UserError(f"boundaries weight must be above 0, got {self.weight}.")

    def build(self, vocabulary_size: int, width: int) -> nn.Module:
        """The router."""
        return _Routing(self, width)


Boundaries = Fixed | AfterSpaces | Surprise | Routing


def _room(module: nn.Module, ends: Tensor) -> int:
    """As many elements as there are in training; all that there could be otherwise, whatever the other rows hold."""
    return int(ends.sum(dim=1).max()) if module.training else ends.shape[1]


def _kept(ends: Tensor, counts: Tensor | None) -> Tensor:
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
        return Cut(_kept(ends, counts), None, -(-x.shape[1] // self.size))

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
        ends = _kept(spaces & ~F.pad(spaces[:, :-1], (1, 0)), counts)
        return Cut(ends, None, _room(self, ends))

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


class _Surprise(nn.Module):
    """p(next | last tokens) = softmax(sum_k W emb_k(token k back) + b)."""

    def __init__(self, config: Surprise, vocabulary_size: int) -> None:
        super().__init__()
        self.threshold, self.order, self.reserved = config.threshold, config.order, vocabulary_size
        self.embeddings = nn.ModuleList(nn.Embedding(vocabulary_size + 1, config.rank) for _ in range(config.order))
        self.outward = nn.Linear(config.rank, vocabulary_size)
        self.carried = Carried()

    def flops(self, batch: int, slots: int) -> int:
        """Of a forward pass over ``slots`` tokens."""
        return 2 * batch * slots * self.outward.weight.numel()

    def _log_probs(self, windows: Tensor) -> Tensor:
        """``(b, n + order - 1)`` ids -> ``(b, n, v)``."""
        n = windows.shape[1] - self.order + 1
        last = self.order - 1
        read = sum(table(windows[:, last - k : last - k + n]) for k, table in enumerate(self.embeddings))
        return torch.log_softmax(self.outward(read), dim=-1)

    def forward(self, x: Tensor, inputs: Tensor | None, counts: Tensor | None, state: Any = None) -> Cut:
        """As ``_Fixed``; in training the n-gram's own loss is carried."""
        assert inputs is not None
        padded = F.pad(inputs, (self.order - 1, 0), value=self.reserved)
        if state is not None:
            state["recent"], state["read"] = padded[:, inputs.shape[1] :], True
        told = self._log_probs(padded)
        if self.training:
            targets = F.pad(inputs[:, 1:], (0, 1), value=self.reserved)
            asked = targets != self.reserved
            if counts is not None:
                asked &= torch.arange(1, inputs.shape[1] + 1, device=inputs.device) < counts[:, None]
            nats = F.nll_loss(told.flatten(0, 1), targets.masked_fill(~asked, -100).flatten(), reduction="sum")
            self.carried.put("surprise", nats / asked.sum().clamp(min=1))
        ends = _kept(entropy(told) > self.threshold, counts)
        return Cut(ends, None, _room(self, ends))

    def new_state(self, batch: int, like: Tensor) -> dict[str, Any]:
        """The last ``order - 1`` inputs, and whether anything has been read."""
        return {"recent": torch.full((batch, self.order - 1), self.reserved, device=like.device), "read": False}

    def step(self, x: Tensor, inputs: Tensor | None, active: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
        """As ``_Fixed``."""
        assert inputs is not None
        windows = torch.cat([state["recent"], inputs], dim=1)
        ends = entropy(self._log_probs(windows))[:, 0] > self.threshold
        ends = ends if state["read"] else torch.ones_like(ends)
        state["recent"], state["read"] = windows[:, 1:], True
        return ends, None


def entropy(log_probs: Tensor) -> Tensor:
    """Nats, over the last axis."""
    return -(log_probs.exp() * log_probs).sum(dim=-1)


class _Routing(nn.Module):
    """Both maps begin as the identity, so that at first it is the states themselves that are compared."""

    def __init__(self, config: Routing, width: int) -> None:
        super().__init__()
        self.ratio, self.weight = config.ratio, config.weight
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.carried = Carried()

    def reset(self) -> None:
        """The identity."""
        nn.init.eye_(self.query.weight)
        nn.init.eye_(self.key.weight)

    def _chance(self, x: Tensor, before: Tensor) -> Tensor:
        return (1.0 - F.cosine_similarity(self.query(x), self.key(before), dim=-1)) * 0.5

    def forward(self, x: Tensor, inputs: Tensor | None, counts: Tensor | None, state: Any = None) -> Cut:
        """As ``_Fixed``; in training the ratio loss is carried."""
        first = torch.ones(x.shape[0], 1, dtype=x.dtype, device=x.device)
        chance = torch.cat([first, self._chance(x[:, 1:], x[:, :-1])], dim=1)
        ends = _kept(chance >= 0.5, counts)
        if state is not None:
            last = torch.full((x.shape[0],), x.shape[1], device=x.device) if counts is None else counts
            index = (last - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
            state["last"] = x.detach().gather(1, index)
        if self.training:
            if counts is None:
                chosen, hoped = ends.to(x.dtype).mean(), chance.mean()
            else:
                kept = (torch.arange(x.shape[1], device=x.device) < counts[:, None]).to(x.dtype)
                chosen, hoped = ends.sum() / kept.sum(), (chance * kept).sum() / kept.sum()
            balance = (self.ratio - 1) * chosen * hoped + (1 - chosen) * (1 - hoped)
            self.carried.put("routing", balance * (self.weight * self.ratio / (self.ratio - 1)))
        return Cut(ends, chance, _room(self, ends))

    def new_state(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """The last state of each row."""
        return {"last": torch.zeros(batch, 0, 0, device=like.device)}

    def step(self, x: Tensor, inputs: Tensor | None, active: Tensor, state: Any) -> tuple[Tensor, Tensor | None]:
        """As ``_Fixed``."""
        if state["last"].shape[1] == 0:
            state["last"] = x
            return active, torch.ones_like(x[:, :1, 0])
        chance = self._chance(x, state["last"])
        state["last"] = torch.where(active[:, None, None], x, state["last"])
        return (chance[:, 0] >= 0.5) & active, chance
