"""The dense product of a layer of functions in one step, with its gradients by hand.

    forward   Phi(x) W                     (N, V I) (V I, O)
    backward  dW = Phi^T dy,   dPhi = dy W^T,   dx_i = sum_j phi'_{k+j}(x_i) dPhi_{k+j, i}

Values and slopes of the active functions come from one small matrix product, so that autograd records one node instead
of thirty; Phi, the segments and the slopes are kept. Equal to ``basis.dense(x).flatten(1) @ W``, its reference, in
values and both gradients (1e-5 in float32, 1e-12 in float64). Differentiable once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from semagram.feedforward.basis.local import LocalBasis

FEW_SEGMENTS = 4
"""Up to here Phi is filled by masks, segment after segment; above by scattering."""


def fits(basis: Any) -> bool:
    """Whether ``product`` can do it here: a local basis, and nobody who looks into the single operations."""
    looked_into = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    return isinstance(basis, LocalBasis) and not looked_into


def product(x: Tensor, weight: Tensor, basis: LocalBasis) -> Tensor:
    """``x (N, I)``, ``weight (V I, O)`` -> ``(N, O)``."""
    return _Product.apply(x, weight, basis)  # type: ignore[return-value]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, basis: LocalBasis) -> Tensor:  # type: ignore[no-untyped-def, override]
        """See the module."""
        segment, values, slopes = basis.values_and_slopes(x)
        every = spread(segment, values, basis).flatten(1)
        ctx.save_for_backward(every, segment, slopes, weight)
        ctx.basis = basis
        return every @ weight

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):  # type: ignore[no-untyped-def, override]
        """See the module."""
        every, segment, slopes, weight = ctx.saved_tensors
        dw = every.T @ dy if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[0]:
            return None, dw, None
        found = (dy @ weight.T).view(len(dy), ctx.basis.count, -1).transpose(0, 1)
        active = found if ctx.basis.segments == 1 else found.gather(0, rows(segment, ctx.basis))
        return (active * slopes).sum(0), dw, None


def rows(segment: Tensor, basis: LocalBasis) -> Tensor:
    """``(N, I)`` segments -> which functions are active there, ``(p + 1, N, I)`` int64."""
    return segment.long() * basis.stride + torch.arange(basis.active, device=segment.device)[:, None, None]


def spread(segment: Tensor, values: Tensor, basis: LocalBasis) -> Tensor:
    """Active values ``(p + 1, N, I)`` at their places among all: ``(N, V, I)``, contiguous."""
    if basis.segments == 1:
        return values.transpose(0, 1).contiguous()
    every = values.new_zeros(values.shape[1], basis.count, values.shape[2])
    if basis.segments <= FEW_SEGMENTS:
        across = values.transpose(0, 1)
        for k in range(basis.segments):
            here = (segment == k).to(values.dtype)[:, None]
            every[:, k * basis.stride : k * basis.stride + basis.active].addcmul_(across, here)
    else:
        every.transpose(0, 1).scatter_(0, rows(segment, basis), values)
    return every
