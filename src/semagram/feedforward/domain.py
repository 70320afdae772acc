"""Into [-1, 1]: how a layer of functions on [-1, 1] is fed, vector by vector and without parameters.

A vector of root mean square 1 has a third of its entries beyond 1; divided by ``reach`` = 3 hardly any.
MaxAbs fits exactly but lets the largest entry decide about all; of the seed's two, layer norm was the better.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from semagram.errors import UserError
from semagram.feedforward.norms import normalise


@dataclass(frozen=True)
class MaxAbs:
    """x / max |x|."""

    epsilon: float = 1e-6
    """Added to the maximum."""

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise UserError(f"domain epsilon must be above 0, got {self.epsilon}.")

    def __call__(self, x: Tensor) -> Tensor:
        """``(..., d) -> (..., d)``."""
        return x / (x.abs().amax(dim=-1, keepdim=True) + self.epsilon)


@dataclass(frozen=True)
class ByRMS:
    """x / (reach * rms(x))."""

    reach: float = 3.0
    """Root mean squares that stand at the border."""

    def __post_init__(self) -> None:
        _check_reach(self.reach)

    def __call__(self, x: Tensor) -> Tensor:
        """``(..., d) -> (..., d)``."""
        return normalise(x) * (1.0 / self.reach)


@dataclass(frozen=True)
class ByDeviation:
    """(x - mean(x)) / (reach * deviation(x)): layer normalisation."""

    reach: float = 3.0
    """Standard deviations that stand at the border."""

    def __post_init__(self) -> None:
        _check_reach(self.reach)

    def __call__(self, x: Tensor) -> Tensor:
        """``(..., d) -> (..., d)``."""
        return F.layer_norm(x, x.shape[-1:]) * (1.0 / self.reach)


Domain = ByRMS | ByDeviation | MaxAbs


def _check_reach(reach: float) -> None:
    if not reach > 0:
        raise UserError(f"domain reach must be above 0, got {reach}.")
