"""Weights under our names, filled from a checkpoint's tensors: linear maps, norms, stacked projections."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.hub.tensors import Tensors

Arranged = Callable[[Tensor], Tensor]
"""Rows of a weight or bias in another order."""


class Weights:
    """Collects a state dict."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.state: dict[str, Tensor] = {}

    def copy(self, ours: str, theirs: str) -> None:
        """One tensor."""
        self.state[ours] = self.tensors.take(theirs)

    def norm(self, ours: str, theirs: str) -> None:
        """A norm's gain, and its bias if there is one."""
        self.copy(f"{ours}.gain", f"{theirs}.weight")
        if f"{theirs}.bias" in self.tensors:
            self.copy(f"{ours}.bias", f"{theirs}.bias")

    def linear(self, ours: str, theirs: str, *, transposed: bool = False, arrange: Arranged | None = None) -> None:
        """A linear map and its bias if there is one; ``transposed``: kept as ``(in, out)`` (GPT-2)."""
        weight = self.tensors.take(f"{theirs}.weight")
        self.state[f"{ours}.weight"] = arranged(weight.t() if transposed else weight, arrange)
        if f"{theirs}.bias" in self.tensors:
            self.state[f"{ours}.bias"] = arranged(self.tensors.take(f"{theirs}.bias"), arrange)

    def stacked(self, ours: str, *theirs: str, arrange: dict[str, Arranged] | None = None) -> None:
        """Several linear maps as one; a bias that only some of them have is 0 for the others."""
        weights, biases = [], []
        for name in theirs:
            order = (arrange or {}).get(name)
            weights.append(arranged(self.tensors.take(f"{name}.weight"), order))
            there = f"{name}.bias" in self.tensors
            biases.append(arranged(self.tensors.take(f"{name}.bias"), order) if there else None)
        self.state[f"{ours}.weight"] = torch.cat(weights)
        if any(bias is not None for bias in biases):
            pairs = zip(weights, biases, strict=True)
            self.state[f"{ours}.bias"] = torch.cat([w.new_zeros(len(w)) if b is None else b for w, b in pairs])

    def embedding(self, ours: str, theirs: str, reserved: int) -> int:
        """A table, and below it a copy of the row ``reserved`` for the reserved id; returns v."""
        table = self.tensors.take(theirs)
        self.state[ours] = torch.cat([table, table[reserved : reserved + 1]])
        return len(table)


def arranged(tensor: Tensor, order: Arranged | None) -> Tensor:
    """``order`` applied, and a tensor of its own."""
    return (tensor if order is None else order(tensor)).contiguous()


def by_head(head_width: int, features: Tensor) -> Arranged:
    """The features of each head in another order."""

    def order(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (-1, head_width))[:, features].flatten(0, 1)

    return order


def halves(head_width: int, turned: int) -> Arranged:
    """Rotary planes of neighbours (GPT-J) as planes of halves: even features first, then odd ones."""
    planes = torch.arange(turned).view(-1, 2).t().flatten()
    return by_head(head_width, torch.cat([planes, torch.arange(turned, head_width)]))


def unwoven(heads: int, shared: int, head_width: int) -> Arranged:
    """Projections kept a group of heads at a time (its queries, its key, its value) as all queries, keys, values."""

    def order(rows: Tensor) -> Tensor:
        queries, keys, values = rows.unflatten(0, (shared, -1, head_width)).split([heads // shared, 1, 1], dim=1)
        return torch.cat([part.flatten(0, 2) for part in (queries, keys, values)])

    return order


def fill(network: torch.nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Load ``state``; raises ``UserError`` naming what does not fit."""
    wanted = network.state_dict()
    problems = [f"no {name}" for name in wanted if name not in state]
    problems += [f"an unexpected {name}" for name in state if name not in wanted]
    problems += [
        f"{name} of {tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise UserError(f"{where} does not fit its settings: it gives {'; '.join(problems[:3])}{more}.")
    network.load_state_dict(state)
