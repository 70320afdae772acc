"""Mixture of experts: each position is sent to a few of many feedforwards (1701.06538; Mixtral 2401.04088).

    s = R x,   E = the k experts of highest score,   y = sum_{e in E} softmax_E(s)_e down_e(activation(up_e x))

With k = 1 the softmax is over all experts (Switch), else over the chosen ones.
Routing looks at one position only and there is no capacity, so nothing is dropped and nothing leaks: what a position
gets does not depend on the others. Two auxiliary losses go out through ``Carried`` (``auxiliary.py``): balance,
E sum_e f_e p_e with f_e the share of assignments and p_e the mean probability (Switch, 2101.03961), 1 when even;
and the router's z-loss, mean(logsumexp(s)^2) (ST-MoE, 2202.08906).

In training each expert works on the positions sent to it alone. Otherwise every expert works on every position and the
weights of those not chosen are 0: more work, but of a fixed shape, so that a result does not depend on its company by
one bit (files must decode), and one graph under ``torch.compile``. ``reference`` is the formula, position by position.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried
from semagram.feedforward.mlp import Activation, activate, hidden_width


@dataclass(frozen=True)
class Experts:
    """A few of many feedforwards for each position."""

    experts: int = 8
    """Feedforwards."""
    chosen: int = 2
    """How many of them a position is sent to."""
    multiple: float = 2.0
    """Hidden width of each as a multiple of the model's width."""
    activation: Activation = "silu"
    """Of their hidden features."""
    gated: bool = True
    """Multiply the activated features by linear ones (GLU)."""
    balance: float = 0.01
    """Coefficient of the loss that asks for even use of the experts; 0: none."""
    z_loss: float = 0.001
    """Coefficient of the loss that keeps the router's scores small; 0: none."""

    def __post_init__(self) -> None:
        if self.experts < 2:
            raise UserError(f"Experts experts must be at least 2, got {self.experts}; for one use MLP or Gated.")
        if not 1 <= self.chosen <= self.experts:
            raise UserError(f"Experts chosen must be from 1 to experts ({self.experts}), got {self.chosen}.")
        if not self.multiple > 0:
            raise UserError(f"feedforward multiple must be above 0, got {self.multiple}.")
        if self.balance < 0 or self.z_loss < 0:
            raise UserError(f"Experts balance and z_loss must be at least 0, got {self.balance} and {self.z_loss}.")

    def build(self, width: int) -> ExpertsLayer:
        """The module for model width d."""
        return ExpertsLayer(self, width)


class ExpertsLayer(nn.Module):
    """``(..., d) -> (..., d)``; the experts' matrices are stacked, row upon row."""

    def __init__(self, config: Experts, width: int) -> None:
        super().__init__()
        self.experts, self.chosen, self.width = config.experts, config.chosen, width
        self.hidden = hidden_width(width, config.multiple)
        self.activation: Activation = config.activation
        self.gated = config.gated
        self.balance, self.z_loss = config.balance, config.z_loss
        self.router = nn.Linear(width, config.experts, bias=False)
        self.up = nn.Linear(width, config.experts * self.hidden * (1 + config.gated), bias=False)
        self.down = nn.Linear(self.hidden, config.experts * width, bias=False)
        self.carried = Carried()

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        ways = self.experts * (1 + self.gated)
        return {"up.weight": [self.hidden] * ways, "down.weight": [self.width] * self.experts}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.down]

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        flat = x.reshape(-1, self.width)
        scores = self.router(flat)
        experts = torch.topk(scores, self.chosen, dim=-1).indices
        weights = shares(scores, experts)
        if self.training:
            self._carry(scores, experts)
        if self.training and not torch.compiler.is_compiling():
            return self._sent(flat, weights, experts).view_as(x)
        return self._everywhere(flat, weights, experts).view_as(x)

    def _carry(self, scores: Tensor, experts: Tensor) -> None:
        """Put the auxiliary losses; ``scores (t, E)``, ``experts (t, k)``."""
        if self.balance > 0:
            used = torch.zeros_like(scores).scatter(1, experts, 1.0).mean(0) / self.chosen
            even = self.experts * (used * torch.softmax(scores, dim=-1).mean(0)).sum()
            self.carried.put("balance of experts", self.balance * even)
        if self.z_loss > 0:
            self.carried.put("router z-loss", self.z_loss * scores.logsumexp(-1).square().mean())

    def _sent(self, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        """Each expert on the positions sent to it: ``(t, d) -> (t, d)``."""
        ups = self.up.weight.view(self.experts, -1, self.width)
        downs = self.down.weight.view(self.experts, self.width, self.hidden)
        total = torch.zeros_like(x)
        for expert in range(self.experts):
            at, choice = (experts == expert).nonzero(as_tuple=True)
            y = self._hidden(x[at] @ ups[expert].t()) @ downs[expert].t()
            total = total.index_add(0, at, y * weights[at, choice, None])
        return total

    def _everywhere(self, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        """Every expert on every position, weighted by 0 where not chosen."""
        share = x.new_zeros(x.shape[0], self.experts).scatter(1, experts, weights)
        hidden = self._hidden(self.up(x).view(x.shape[0], self.experts, -1)) * share[:, :, None]
        downs = self.down.weight.view(self.experts, self.width, self.hidden)
        return torch.einsum("teh,edh->td", hidden, downs)

    def _hidden(self, inner: Tensor) -> Tensor:
        """``(..., h or 2 h) -> (..., h)``."""
        if not self.gated:
            return activate(inner, self.activation)
        gate, up = inner.split(self.hidden, dim=-1)
        return activate(gate, self.activation) * up


def shares(scores: Tensor, experts: Tensor) -> Tensor:
    """How much each chosen expert counts, ``(t, E), (t, k) -> (t, k)``. One alone would count 1 whatever the router
    said, and the router would learn nothing: so it counts what it has of all experts."""
    if experts.shape[-1] == 1:
        return torch.softmax(scores, dim=-1).gather(-1, experts)
    return torch.softmax(scores.gather(-1, experts), dim=-1)


def reference(layer: ExpertsLayer, x: Tensor) -> Tensor:
    """The formula, one position and one expert at a time: ``(t, d) -> (t, d)``."""
    ups = layer.up.weight.view(layer.experts, -1, layer.width)
    downs = layer.down.weight.view(layer.experts, layer.width, layer.hidden)
    rows = []
    for row in x:
        scores = layer.router.weight @ row
        best = scores.argsort(descending=True)[: layer.chosen]
        share = torch.softmax(scores if len(best) == 1 else scores[best], dim=0)
        share = share[best] if len(best) == 1 else share
        inner = [ups[e] @ row for e in best]
        if layer.gated:
            inner = [activate(u[: layer.hidden], layer.activation) * u[layer.hidden :] for u in inner]
        else:
            inner = [activate(u, layer.activation) for u in inner]
        parts = [s * (downs[e] @ u) for s, e, u in zip(share, best, inner, strict=True)]
        rows.append(torch.stack(parts).sum(0))
    return torch.stack(rows)
