"""The optimisers a recipe may choose. Each config's ``build`` makes the optimiser for a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semagram.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from semagram.training.muon_sharded import ShardedMuon
    from semagram.training.stepper import Stepper


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101), torch's fused kernel."""

    rate: float = 1e-3
    """Peak learning rate."""
    beta1: float = 0.9
    """Decay of the gradient's mean."""
    beta2: float = 0.99
    """Decay of the gradient's square."""
    weight_decay: float = 0.1
    """Of matrices; gains and embeddings are not decayed."""

    def __post_init__(self) -> None:
        _above_zero("rate", self.rate)
        _shares(beta1=self.beta1, beta2=self.beta2)
        _not_below_zero("weight_decay", self.weight_decay)

    def build(self, network: nn.Module) -> Stepper:
        """The optimiser of every parameter that learns."""
        from semagram.training.parameters import parts_of
        from semagram.training.stepper import Stepper

        decayed = [p for p in parts_of(network) if p.role.decayed]
        kept = [p for p in parts_of(network) if not p.role.decayed]
        groups = [(decayed, self.rate, self.weight_decay), (kept, self.rate, 0.0)]
        return Stepper(groups, (self.beta1, self.beta2))


@dataclass(frozen=True)
class Muon:
    """Momentum, orthogonalised matrix by matrix (Muon); AdamW for embeddings, gains and the head."""

    rate: float = 0.02
    """Peak learning rate of hidden matrices."""
    head_rate: float = 4e-3
    """Peak learning rate of the head."""
    adam_rate: float = 1e-2
    """Peak learning rate of everything else: embeddings, gains."""
    momentum: float = 0.9
    """Nesterov momentum of hidden matrices."""
    weight_decay: float = 0.0
    """Of hidden matrices."""
    steps: int = 5
    """Newton-Schulz iterations of the orthogonalisation."""

    def __post_init__(self) -> None:
        _above_zero("rate", self.rate)
        _above_zero("head_rate", self.head_rate)
        _above_zero("adam_rate", self.adam_rate)
        _shares(momentum=self.momentum)
        _not_below_zero("weight_decay", self.weight_decay)
        if self.steps < 1:
            raise UserError(f"training.optimiser.steps must be at least 1, got {self.steps}.")

    def build(self, network: nn.Module) -> Stepper:
        """The optimiser of every parameter that learns."""
        from semagram.training import muon
        from semagram.training.parameters import Role, parts_of
        from semagram.training.sharded import is_shard
        from semagram.training.stepper import Stepper

        parts = parts_of(network)
        hidden = [p for p in parts if p.role is Role.HIDDEN]
        head = [p for p in parts if p.role is Role.HEAD]
        rest = [p for p in parts if p.role not in (Role.HIDDEN, Role.HEAD)]
        kind: type[muon.Muon] | type[ShardedMuon] = muon.Muon
        if any(is_shard(part.parameter) for part in hidden):
            from semagram.training.muon_sharded import ShardedMuon

            kind = ShardedMuon
        matrices = kind(hidden, self.momentum, self.weight_decay, self.steps)
        groups = [(head, self.head_rate, 0.0), (rest, self.adam_rate, 0.0)]
        return Stepper(groups, _ADAM_BESIDE_MUON, (matrices, self.rate))


@dataclass(frozen=True)
class Lion:
    """The sign of an averaged gradient (arXiv 2302.06675), of the package pytorch-optimizer: every step is as long.

    The seed's choice for polynomials, whose gradients are steep. A gradient that is nothing but rounding becomes a
    whole step too.
    """

    rate: float = 3e-4
    """Peak learning rate: a third to a tenth of AdamW's."""
    beta1: float = 0.9
    """Share of the mean in the direction of a step."""
    beta2: float = 0.99
    """Decay of the gradient's mean."""
    weight_decay: float = 0.1
    """Of matrices; gains and embeddings are not decayed."""

    def __post_init__(self) -> None:
        _above_zero("rate", self.rate)
        _shares(beta1=self.beta1, beta2=self.beta2)
        _not_below_zero("weight_decay", self.weight_decay)

    def build(self, network: nn.Module) -> Stepper:
        """The optimiser of every parameter that learns; ``UserError`` where the package is not installed."""
        try:
            from pytorch_optimizer import Lion as TheirLion
        except ImportError:
            raise UserError("Lion needs the package pytorch-optimizer: pip install 'semagram[optimisers]'.") from None
        from semagram.training.parameters import parts_of
        from semagram.training.stepper import Stepper

        decayed = [p for p in parts_of(network) if p.role.decayed]
        kept = [p for p in parts_of(network) if not p.role.decayed]
        groups = [(decayed, self.rate, self.weight_decay), (kept, self.rate, 0.0)]
        betas = (self.beta1, self.beta2)
        return Stepper(groups, betas, make=lambda listed: TheirLion(listed, lr=self.rate, betas=betas))


@dataclass(frozen=True)
class AdaHessian:
    """Steps divided by the curvature (arXiv 2006.00719), of the package pytorch-optimizer.

    m / (running root mean square of diag H)^power: the diagonal is estimated by Hutchinson's z * (H z) with random
    signs z, a second backward pass through the gradient. A step costs about three of AdamW's, and parts take the forms
    that can be differentiated twice.
    """

    rate: float = 0.05
    """Peak learning rate."""
    beta1: float = 0.9
    """Decay of the gradient's mean."""
    beta2: float = 0.99
    """Decay of the curvature's square."""
    power: float = 1.0
    """Of the curvature: 1 divides by it, 0.5 by its root."""
    every: int = 1
    """Steps between estimates of the curvature."""
    weight_decay: float = 0.0
    """Of matrices; gains and embeddings are not decayed."""

    def __post_init__(self) -> None:
        _above_zero("rate", self.rate)
        _shares(beta1=self.beta1, beta2=self.beta2)
        _not_below_zero("weight_decay", self.weight_decay)
        if not 0 < self.power <= 1:
            raise UserError(f"training.optimiser.power must be above 0 and at most 1, got {self.power}.")
        if self.every < 1:
            raise UserError(f"training.optimiser.every must be at least 1, got {self.every}.")

    def build(self, network: nn.Module) -> Stepper:
        """The optimiser of every parameter that learns; ``UserError`` where the package is not installed."""
        try:
            from pytorch_optimizer import AdaHessian as TheirAdaHessian
        except ImportError:
            raise UserError(
                "AdaHessian needs the package pytorch-optimizer: pip install 'semagram[optimisers]'."
            ) from None
        from semagram.training.parameters import parts_of
        from semagram.training.stepper import Stepper

        decayed = [p for p in parts_of(network) if p.role.decayed]
        kept = [p for p in parts_of(network) if not p.role.decayed]
        groups = [(decayed, self.rate, self.weight_decay), (kept, self.rate, 0.0)]
        betas = (self.beta1, self.beta2)
        settings = {"betas": betas, "hessian_power": self.power, "update_period": self.every, "eps": 1e-8}
        return Stepper(
            groups, betas, make=lambda listed: TheirAdaHessian(listed, lr=self.rate, **settings), second_order=True
        )


Optimiser = (
    AdamW
    | Muon
    | Lion
    | AdaHessian
)  # fmt: skip

_ADAM_BESIDE_MUON = (0.9, 0.95)
"""Betas of the AdamW that steps what Muon does not (the habit of the Muon speed runs)."""


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise UserError(f"training.optimiser.{name} must be above 0, got {value}.")


def _not_below_zero(name: str, value: float) -> None:
    if not value >= 0:
        raise UserError(f"training.optimiser.{name} must be 0 or more, got {value}.")


def _shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UserError(f"training.optimiser.{name} must be from 0 up to, not including, 1; got {value}.")
