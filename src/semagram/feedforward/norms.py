"""Normalisation at one position: RMSNorm (arXiv 1910.07467) and LayerNorm (1607.06450), both without bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class RMSNorm:
    """x / rms(x) * gain."""

    epsilon: float = 1e-6
    """Added to the mean square."""

    def __post_init__(self) -> None:
        _check(self.epsilon)

    def build(self, width: int) -> RMSNormLayer:
        """The module for width d."""
        return RMSNormLayer(self, width)


@dataclass(frozen=True)
class LayerNorm:
    """(x - mean(x)) / std(x) * gain."""

    epsilon: float = 1e-5
    """Added to the variance."""

    def __post_init__(self) -> None:
        _check(self.epsilon)

    def build(self, width: int) -> LayerNormLayer:
        """The module for width d."""
        return LayerNormLayer(self, width)


Norm = RMSNorm | LayerNorm


def _check(epsilon: float) -> None:
    if not epsilon > 0:
        raise UserError(f"norm epsilon must be above 0, got {epsilon}.")


class RMSNormLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: RMSNorm, width: int) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        return F.rms_norm(x, self.gain.shape, self.gain, self.epsilon)


class LayerNormLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: LayerNorm, width: int) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        return F.layer_norm(x, self.gain.shape, self.gain, None, self.epsilon)
