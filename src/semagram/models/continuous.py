"""Continuous-input transformer: vectors in, vectors out, each from those up to its own (time series, motion, sound).

    y_i = H stack(norm(W x + w))_i + h,    a point or a Gaussian N(mean_i, exp(logvar_i)) for what comes next

Points are fitted by squared or absolute error, Gaussians by their negative log-likelihood (nats). ``write`` goes on
from what is known, with a state, one vector a step. ``rollout_loss`` feeds the network its own means for several steps
and keeps the whole context at each. E.g. FaceFormer (arXiv 2112.05329). Tested against x-transformers'
``ContinuousTransformerWrapper``, in values and gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.models.demands import checked_keep, checked_vectors, must_be
from semagram.models.stack import Blocks, StackState


@dataclass(frozen=True)
class Points:
    """The answer is a vector."""

    error: Literal["squared", "absolute"] = "squared"
    """What the loss is of each number."""


@dataclass(frozen=True)
class Gaussian:
    """The answer is a normal distribution of each number, independent of the others."""


@dataclass(frozen=True)
class Continuous:
    """Vectors in, vectors out, in order."""

    features: int = 1
    """Numbers of a vector that comes in, i."""
    outputs: int | None = None
    """Numbers of a vector that goes out, o; none: as many as come in."""
    blocks: Blocks = field(default_factory=Blocks)
    """Width, depth and what the blocks are made of."""
    answer: Points | Gaussian = field(default_factory=Points)
    """What is said of the next vector."""

    def __post_init__(self) -> None:
        if self.features < 1 or (self.outputs is not None and self.outputs < 1):
            raise UserError(f"features and outputs must be at least 1, got {self.features} and {self.outputs}.")
        must_be(Visibility.CAUSAL, self.blocks, "a Continuous network")

    def build(self) -> ContinuousNetwork:
        """The network, with its starting weights."""
        return ContinuousNetwork(self)


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is said: ``mean (b, n, o)``, and for Gaussians ``log_variance (b, n, o)``."""

    mean: Tensor
    log_variance: Tensor | None
    error: Literal["squared", "absolute"] = "squared"

    def loss(self, targets: Tensor, keep: Tensor | None = None) -> Tensor:
        """Mean error, or nats, of each number of ``targets (b, n, o)`` that counts (``keep (b, n)``); a scalar."""
        away = targets - self.mean
        if self.log_variance is not None:
            each = 0.5 * (self.log_variance + away.square() * (-self.log_variance).exp() + math.log(2 * math.pi))
        else:
            each = away.square() if self.error == "squared" else away.abs()
        if keep is None:
            return each.mean()
        # Padding may hold anything, also what is no number: it is taken out before it is summed.
        return each.masked_fill(~keep[:, :, None], 0.0).sum() / (keep.sum().clamp(min=1) * each.shape[2])

    def last(self) -> Outlook:
        """What is said at the last position, ``(b, 1, o)``."""
        log_variance = None if self.log_variance is None else self.log_variance[:, -1:]
        return Outlook(self.mean[:, -1:], log_variance, self.error)

    def draw(self, temperature: float, generator: torch.Generator | None) -> Tensor:
        """The mean, or at a temperature above 0 a draw from the Gaussian (its deviation times temperature)."""
        if self.log_variance is None or temperature == 0.0:
            return self.mean
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean)
        return self.mean + temperature * (0.5 * self.log_variance).exp() * noise


class ContinuousNetwork(nn.Module):
    """See ``Continuous``."""

    def __init__(self, config: Continuous) -> None:
        super().__init__()
        self.features, self.outputs = config.features, config.outputs or config.features
        self.answer = config.answer
        self.embedding = nn.Linear(config.features, config.blocks.width)
        self.embedding_norm = config.blocks.norm.build(config.blocks.width)
        self.dropout = nn.Dropout(config.blocks.dropout)
        self.stack = config.blocks.build()
        parts = 2 if isinstance(config.answer, Gaussian) else 1
        self.head = nn.Linear(config.blocks.width, self.outputs * parts)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(self, vectors: Tensor, keep: Tensor | None = None) -> Outlook:
        """``(b, n, i)``, of which ``keep (b, n)`` counts -> what is said at each, from those up to it."""
        rows, count = checked_vectors(vectors, self.features).shape[:2]
        keep = checked_keep(keep, rows, count)
        if keep is not None:
            vectors = vectors.masked_fill(~keep[:, :, None], 0.0)
        geometry = Geometry.line(count, Visibility.CAUSAL, keep, like=vectors)
        x = self.dropout(self.embedding_norm(self.embedding(vectors)))
        return self._said(self.stack(x, geometry))

    def next_loss(self, vectors: Tensor, keep: Tensor | None = None) -> Tensor:
        """The loss of each vector given those before it; the first of ``(b, n, i)`` is not asked for."""
        self._same_kind()
        said = self(vectors[:, :-1], None if keep is None else keep[:, :-1])
        return said.loss(vectors[:, 1:], None if keep is None else keep[:, 1:])

    def rollout_loss(self, vectors: Tensor, steps: int) -> Tensor:
        """The loss of the last ``steps`` of ``(b, n, i)``, each from the true beginning and its own means since.

        Differentiable through all steps. ``UserError`` unless at least one vector is left to begin with.
        """
        self._same_kind()
        if not 1 <= steps < vectors.shape[1]:
            raise UserError(f"rollout steps must be from 1 to {vectors.shape[1] - 1} here, got {steps}.")
        seen, total = vectors[:, :-steps], vectors.new_zeros(())
        for step in range(steps):
            said = self(seen).last()
            at = vectors.shape[1] - steps + step
            total = total + said.loss(vectors[:, at : at + 1])
            seen = torch.cat([seen, said.mean], dim=1)
        return total / steps

    def new_state(self, batch: int, capacity: int) -> StackState:
        """Room for ``capacity`` vectors a row."""
        return self.stack.new_state(batch, Geometry.line(capacity, Visibility.CAUSAL, like=self.head.weight))

    def step(self, vectors: Tensor, state: StackState) -> Outlook:
        """The coming ``(b, g, i)``."""
        return self._said(self.stack.step(self.embedding_norm(self.embedding(vectors)), state))

    @torch.no_grad()
    def write(
        self, vectors: Tensor, steps: int, temperature: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Go on from ``(b, n, i)`` by ``steps`` vectors: ``(b, steps, i)``. Temperature 0 takes the mean."""
        self._same_kind()
        if vectors.shape[1] < 1 or steps < 1:
            raise UserError(f"writing needs a vector to begin with and steps, got {vectors.shape[1]} and {steps}.")
        was, state, written = self.training, self.new_state(len(vectors), vectors.shape[1] + steps), []
        self.eval()
        try:
            given = checked_vectors(vectors, self.features)
            for _ in range(steps):
                given = self.step(given, state).last().draw(temperature, generator)
                written.append(given)
        finally:
            self.train(was)
        return torch.cat(written, dim=1)

    def _same_kind(self) -> None:
        if self.outputs != self.features:
            raise UserError(
                f"only a network that says the next vector can be led by it: it reads {self.features} numbers and says "
                f"{self.outputs}."
            )

    def _said(self, hidden: Tensor) -> Outlook:
        y = self.head(hidden)
        if isinstance(self.answer, Gaussian):
            mean, log_variance = y.split(self.outputs, dim=-1)
            return Outlook(mean, log_variance)
        return Outlook(y, None, self.answer.error)
