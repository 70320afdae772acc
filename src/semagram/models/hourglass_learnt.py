"""Boundary rules that are learnt: Surprise and Routing (see ``hourglass_boundaries.py`` for what a rule is).

Surprise trains an n-gram beside the network: p(next) = softmax(sum_k W emb_k(token k back) + b), log-bilinear (Mnih and
Hinton 2007); an element ends where the entropy of the coming token is high (entropy patches, BLT, arXiv 2412.09871).
Routing compares states that follow each other (H-Net, 2507.07955); its ratio loss, with F the share of ends, G the
mean chance and N the wished size, is N / (N - 1) ((N - 1) F G + (1 - F) (1 - G)), least at F = G = 1 / N.
Both losses are auxiliary: they act in training, and are never part of the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried
from semagram.models.hourglass_boundaries import AfterSpaces, Cut, Fixed, kept, room


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


class _Surprise(nn.Module):
    """p(next | last tokens) = softmax(sum_k W emb_k(token k back) + b)."""

    def __init__(self, config: Surprise, vocabulary_size: int) -> None:
        super().__init__()
        self.threshold, self.order, self.reserved = config.threshold, config.order, vocabulary_size
        self.embeddings = nn.ModuleList(nn.Embedding(vocabulary_size + 1, config.rank) for _ in range(config.order))
        self.outward = nn.Linear(config.rank, vocabulary_size)
        self.carried = Carried()

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
        ends = kept(entropy(told) > self.threshold, counts)
        return Cut(ends, None, room(self, ends))

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

    def begin(self) -> None:
        """Where it begins, after the network has initialised all maps: the identity."""
        nn.init.eye_(self.query.weight)
        nn.init.eye_(self.key.weight)

    def _chance(self, x: Tensor, before: Tensor) -> Tensor:
        return (1.0 - F.cosine_similarity(self.query(x), self.key(before), dim=-1)) * 0.5

    def forward(self, x: Tensor, inputs: Tensor | None, counts: Tensor | None, state: Any = None) -> Cut:
        """As ``_Fixed``; in training the ratio loss is carried."""
        first = torch.ones(x.shape[0], 1, dtype=x.dtype, device=x.device)
        chance = torch.cat([first, self._chance(x[:, 1:], x[:, :-1])], dim=1)
        ends = kept(chance >= 0.5, counts)
        if state is not None:
            last = torch.full((x.shape[0],), x.shape[1], device=x.device) if counts is None else counts
            index = (last - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
            state["last"] = x.detach().gather(1, index)
        if self.training:
            if counts is None:
                chosen, hoped = ends.to(x.dtype).mean(), chance.mean()
            else:
                own = (torch.arange(x.shape[1], device=x.device) < counts[:, None]).to(x.dtype)
                chosen, hoped = ends.sum() / own.sum(), (chance * own).sum() / own.sum()
            balance = (self.ratio - 1) * chosen * hoped + (1 - chosen) * (1 - hoped)
            self.carried.put("routing", balance * (self.weight * self.ratio / (self.ratio - 1)))
        return Cut(ends, chance, room(self, ends))

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
