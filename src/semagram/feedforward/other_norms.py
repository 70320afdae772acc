"""Norms less usual: one gain for all features, bounded functions in a norm's place, and norms that a condition steers.

    ScaleNorm         g * sqrt(d) * x / |x|, one learned number g     Transformers without Tears, arXiv 1910.05895
    DynamicTanh       gain * tanh(a x) + bias                         2503.10622
    DynamicErf        gain * erf(a x + s) + bias                      2512.10938
    AdaptiveRMSNorm   rms_norm(x) * (1 + W c)                         FiLM 1709.07871; DiT 2212.09748
    AdaptiveLayerNorm layer_norm(x) * (1 + W c), plus V c if wanted   the same

a and s are one learned number each; c is the condition, W and V start at 0. Tested against x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.conditioned import Conditioned, at_positions
from semagram.feedforward.norms import EPSILON, check_epsilon, normalise


@dataclass(frozen=True)
class ScaleNorm:
    """x brought to one learned length."""

    epsilon: float = EPSILON
    """Added to the mean square."""

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    def build(self, width: int) -> ScaleNormLayer:
        """The module for width d."""
        return ScaleNormLayer(self)


@dataclass(frozen=True)
class DynamicTanh:
    """A learned, bounded function of each feature instead of a norm."""

    slope: float = 1.0
    """The factor a at the beginning of training."""

    def __post_init__(self) -> None:
        _check_slope(type(self).__name__, self.slope)

    def build(self, width: int) -> DynamicLayer:
        """The module for width d."""
        return DynamicLayer(width, self.slope, shifted=False)


@dataclass(frozen=True)
class DynamicErf:
    """The same with the error function and a learned shift."""

    slope: float = 0.5
    """The factor a at the beginning of training."""

    def __post_init__(self) -> None:
        _check_slope(type(self).__name__, self.slope)

    def build(self, width: int) -> DynamicLayer:
        """The module for width d."""
        return DynamicLayer(width, self.slope, shifted=True)


@dataclass(frozen=True)
class AdaptiveRMSNorm:
    """An RMS norm whose gain a condition sets."""

    condition_width: int = 64
    """Features of the condition."""
    epsilon: float = EPSILON
    """Added to the mean square."""

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        _check_condition(type(self).__name__, self.condition_width)

    def build(self, width: int) -> AdaptiveNormLayer:
        """The module for width d."""
        return AdaptiveNormLayer(self, width, centred=False, biased=False)


@dataclass(frozen=True)
class AdaptiveLayerNorm:
    """A layer norm whose gain, and bias if wanted, a condition sets."""

    condition_width: int = 64
    """Features of the condition."""
    bias: bool = False
    """Add V c."""
    epsilon: float = 1e-5
    """Added to the variance."""

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        _check_condition(type(self).__name__, self.condition_width)

    def build(self, width: int) -> AdaptiveNormLayer:
        """The module for width d."""
        return AdaptiveNormLayer(self, width, centred=True, biased=self.bias)


def _check_slope(name: str, slope: float) -> None:
    if not slope > 0:
        raise UserError(f"{name} slope must be above 0, got {slope}.")


def _check_condition(name: str, width: int) -> None:
    if width < 1:
        raise UserError(f"{name} condition_width must be at least 1, got {width}.")


class ScaleNormLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: ScaleNorm) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        return normalise(x, self.epsilon) * self.gain


class DynamicLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, width: int, slope: float, shifted: bool) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([slope]))
        self.shift = nn.Parameter(torch.zeros(1)) if shifted else None
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Feature by feature."""
        x = x * self.slope
        bounded = torch.tanh(x) if self.shift is None else torch.erf(x + self.shift)
        return torch.addcmul(self.bias, bounded, self.gain)


class AdaptiveNormLayer(Conditioned):
    """``(b, n, d) -> (b, n, d)``."""

    def __init__(self, config: AdaptiveRMSNorm | AdaptiveLayerNorm, width: int, centred: bool, biased: bool) -> None:
        super().__init__()
        self.condition_width, self.epsilon, self.centred = config.condition_width, config.epsilon, centred
        self.gain = nn.Linear(config.condition_width, width, bias=False)
        self.bias = nn.Linear(config.condition_width, width, bias=False) if biased else None
        self.initialise()

    def initialise(self) -> None:
        """Whatever the condition, a plain norm."""
        nn.init.zeros_(self.gain.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``condition`` is ``(b, c)`` or ``(b, n, c)``."""
        condition = at_positions(condition)
        x = F.layer_norm(x, x.shape[-1:], None, None, self.epsilon) if self.centred else normalise(x, self.epsilon)
        x = x * (self.gain(condition) + 1.0)
        return x if self.bias is None else x + self.bias(condition)
