"""Layers of piecewise polynomials as the feedforward of a block: every link is a function, so no activation is needed.

Loverich, "High order layers" (arXiv 2008.10766); Kolmogorov-Arnold networks are the same with B-splines (arXiv
2404.19756), FastKAN with Gaussian bumps (2405.06721). The layer itself: ``piecewise_linear``; functions:
``basis``; how inputs are brought to [-1, 1]: ``domain``; refinement in training: ``piecewise_refinement``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis, Constant, Continuous
from semagram.feedforward.domain import ByRMS, Domain
from semagram.feedforward.mlp import hidden_width
from semagram.feedforward.piecewise_linear import PiecewiseLinear

START = 3.0
"""Of the initial slopes, times sqrt(inputs): inputs brought to [-1, 1] have a root mean square of about 1 / 3."""


@dataclass(frozen=True)
class Piecewise:
    """One or more layers whose links are functions of one number."""

    basis: Basis = field(default_factory=Continuous)
    """The functions."""
    hidden: tuple[float, ...] = ()
    """Widths of hidden layers as multiples of the model's width; none: one layer from d to d."""
    domain: Domain = field(default_factory=ByRMS)
    """How the inputs of each layer are brought to [-1, 1]."""
    frugal: bool = False
    """Expand the functions a second time in the backward pass instead of keeping them: less memory, more time."""

    def __post_init__(self) -> None:
        if any(not multiple > 0 for multiple in self.hidden):
            raise UserError(f"feedforward hidden multiples must be above 0, got {self.hidden}.")
        check_inner(self.basis)

    def build(self, width: int) -> PiecewiseLayer:
        """The module for model width d."""
        return PiecewiseLayer(self, width)


def check_inner(basis: Basis) -> None:
    """Raise ``UserError`` for a basis through which no gradient passes."""
    if isinstance(basis, Constant) and not basis.surrogate:
        raise UserError(
            f"{basis} stops every gradient, so that nothing before this layer could learn: "
            f"keep the surrogate slope, or use such a basis where the input is data."
        )


class PiecewiseProjection(nn.Module):
    """``(..., inputs) -> (..., outputs)`` in the place of a linear map: vectors are brought to [-1, 1] beforehand."""

    def __init__(self, inputs: int, outputs: int, basis: Basis, domain: Domain) -> None:
        super().__init__()
        self.domain = domain
        self.layer = PiecewiseLinear(inputs, outputs, basis, START)

    @property
    def weight(self) -> nn.Parameter:
        """Of the layer."""
        return self.layer.weight

    def start_linear(self, scale: float) -> None:
        """See ``PiecewiseLinear``."""
        self.layer.start_linear(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Vector by vector."""
        return self.layer(self.domain(x))


class PiecewiseLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: Piecewise, width: int) -> None:
        super().__init__()
        self.domain = config.domain
        widths = [width, *(hidden_width(width, multiple) for multiple in config.hidden), width]
        self.layers = nn.ModuleList(
            PiecewiseLinear(a, b, config.basis, START, frugal=config.frugal) for a, b in itertools.pairwise(widths)
        )

    def output_projections(self) -> list[PiecewiseLinear]:
        """The layer that writes into the residual stream."""
        last = self.layers[-1]
        assert isinstance(last, PiecewiseLinear)
        return [last]

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        for layer in self.layers:
            x = layer(self.domain(x))
        return x
