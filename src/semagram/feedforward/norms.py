"""Normalisation at one position: RMSNorm (arXiv 1910.07467) and LayerNorm (1607.06450).

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
    from_one: bool = False
    """Keep the gain as its difference from 1 (Gemma): weight decay then pulls it to 1. Needs the gain."""

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        if self.from_one and not self.gain:
            raise UserError(f"RMSNorm from_one={self.from_one} is about the gain, so it needs gain=True.")

    def build(self, width: int) -> RMSNormLayer:
        """The module for width d."""
        return RMSNormLayer(self, width)


@dataclass(frozen=True)
class LayerNorm:
    """(x - mean(x)) / std(x) * gain, plus a bias if wanted."""

    epsilon: float = 1e-5
    """Added to the variance."""
    bias: bool = False
    """Add a learned bias a feature (GPT-2, BERT)."""
    from_one: bool = False
    """Keep the gain as its difference from 1: weight decay then pulls it to 1."""

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    def build(self, width: int) -> LayerNormLayer:
        """The module for width d."""
        return LayerNormLayer(self, width)


def check_epsilon(epsilon: float) -> None:
    """Raise ``UserError`` unless above 0."""
    if not epsilon > 0:
        raise UserError(f"norm epsilon must be above 0, got {epsilon}.")


class RMSNormLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: RMSNorm, width: int) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.from_one = config.from_one
        self.gain = nn.Parameter(torch.full((width,), 0.0 if config.from_one else 1.0)) if config.gain else None

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        x = normalise(x, self.epsilon)
        if self.gain is None:
            return x
        return x * (self.gain + 1.0 if self.from_one else self.gain)


class LayerNormLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, config: LayerNorm, width: int) -> None:
        super().__init__()
        self.epsilon = config.epsilon
        self.from_one = config.from_one
        self.gain = nn.Parameter(torch.full((width,), 0.0 if config.from_one else 1.0))
        self.bias = nn.Parameter(torch.zeros(width)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        gain = self.gain + 1.0 if self.from_one else self.gain
        return F.layer_norm(x, self.gain.shape, gain, self.bias, self.epsilon)


def normalise(x: Tensor, epsilon: float = EPSILON) -> Tensor:
    """``x / sqrt(mean(x^2) + epsilon)`` over the last axis, ``(..., d) -> (..., d)``."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.rms_norm(x, x.shape[-1:], None, epsilon)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Normalise.apply(x, epsilon)  # type: ignore[return-value]
    return x * inverse_rms(x, epsilon)


def inverse_rms(x: Tensor, epsilon: float) -> Tensor:
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
        r = inverse_rms(x, epsilon)
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
