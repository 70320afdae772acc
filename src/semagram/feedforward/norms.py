"""Normalisation at one position: RMSNorm (arXiv 1910.07467) and LayerNorm (1607.06450), both without bias.

On a CPU torch's ``rms_norm`` is several elementwise passes, and so is its gradient; ``normalise`` does with fewer and
keeps only what its gradient needs. Its reference is ``F.rms_norm``, which is also what runs elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semagram.errors import UserError

EPSILON = 1e-6


@dataclass(frozen=True)
class RMSNorm:
    """x / rms(x), times a learned gain if wanted."""

    gain: bool = False
    """Multiply by a learned gain a feature (a linear map that follows can do the same)."""
    epsilon: float = EPSILON
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
        self.gain = nn.Parameter(torch.ones(width)) if config.gain else None

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        x = normalise(x, self.epsilon)
        return x if self.gain is None else x * self.gain


class LayerNormLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: LayerNorm, width: int) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        return F.layer_norm(x, self.gain.shape, self.gain, None, self.epsilon)


def normalise(x: Tensor, epsilon: float = EPSILON) -> Tensor:
    """``x / sqrt(mean(x^2) + epsilon)`` over the last axis, ``(..., d) -> (..., d)``."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.rms_norm(x, x.shape[-1:], None, epsilon)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Normalise.apply(x, epsilon)  # type: ignore[return-value]
    return x * _inverse_rms(x, epsilon)


def _inverse_rms(x: Tensor, epsilon: float) -> Tensor:
    """``(..., 1)``; the norm is one pass over x, the rest is on one number a position."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(_constant(epsilon), norm, norm, value=1.0 / x.shape[-1]).rsqrt_()


@cache
def _constant(value: float) -> Tensor:
    """A float32 scalar on the CPU; making one each time would cost as much as the sum it is for."""
    return torch.tensor(value)


class _Normalise(torch.autograd.Function):
    """y = r x with r = 1 / rms(x); dx = r (dy - y mean(dy * y))."""

    @staticmethod
    def forward(ctx, x: Tensor, epsilon: float) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Keeps y and r."""
        r = _inverse_rms(x, epsilon)
        y = x * r
        ctx.save_for_backward(y, r)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):  # type: ignore[no-untyped-def, override]
        """Two passes, the second in place."""
        y, r = ctx.saved_tensors
        mean = torch.linalg.vecdot(dy, y).unsqueeze(-1).mul_(-1.0 / y.shape[-1])
        return torch.addcmul(dy, y, mean).mul_(r), None
