"""Sparse relatives of softmax: far keys get exactly nothing (sparsemax, arXiv 1602.02068; 1.5-entmax, 1905.05702 and,
for attention, 1909.00015).

``p = max((alpha - 1) s - tau, 0)^(1 / (alpha - 1))`` with the one ``tau`` that makes p sum to 1: alpha 2 is sparsemax,
alpha 1.5 lies between it and softmax. ``tau`` is found exactly, from the sorted scores; the gradient needs only p:

    dp/ds^T dp = g * (dp - sum(g dp) / sum(g)),   g = p^(2 - alpha)

Reference: bisection for tau, differentiated by autograd; tests also compare with the ``entmax`` package if installed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def sparsemax(scores: Tensor) -> Tensor:
    """``(..., k) -> (..., k)``, rows that sum to 1; -inf gets 0."""
    return _Sparsemax.apply(scores)  # type: ignore[return-value]


def entmax15(scores: Tensor) -> Tensor:
    """``(..., k) -> (..., k)``, rows that sum to 1; -inf gets 0."""
    return _Entmax15.apply(scores)  # type: ignore[return-value]


def _centred(scores: Tensor, factor: float) -> Tensor:
    """``factor (s - max s)``, not below -2: tau lies between -1 and 0, so that what is below -1 has no share anyway."""
    return ((scores - scores.amax(dim=-1, keepdim=True)) * factor).clamp_(min=-2.0)


def _pulled(weights: Tensor, spread: Tensor) -> Tensor:
    """``g (dp - sum(g dp) / sum(g))`` for ``spread`` g and ``weights`` dp."""
    mean = torch.linalg.vecdot(spread, weights).unsqueeze(-1) / spread.sum(dim=-1, keepdim=True)
    return spread * (weights - mean)


class _Sparsemax(torch.autograd.Function):
    """Euclidean projection onto the simplex."""

    @staticmethod
    def forward(ctx, scores: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Keeps p."""
        z = _centred(scores, 1.0)
        ordered = z.sort(dim=-1, descending=True).values
        counts = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
        sums = ordered.cumsum(dim=-1) - 1.0
        support = (ordered * counts > sums).sum(dim=-1, keepdim=True)
        p = (z - sums.gather(-1, support - 1) / support).clamp_(min=0.0)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    @once_differentiable
    def backward(ctx, dp: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """g is 1 on the support."""
        (p,) = ctx.saved_tensors
        return _pulled(dp, (p > 0).to(dp.dtype))


class _Entmax15(torch.autograd.Function):
    """Each candidate support of the k largest has its tau by a quadratic equation; the last that fits is it."""

    @staticmethod
    def forward(ctx, scores: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Keeps the square root of p."""
        z = _centred(scores, 0.5)
        ordered = z.sort(dim=-1, descending=True).values
        counts = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
        mean = ordered.cumsum(dim=-1) / counts
        square = ordered.square().cumsum(dim=-1) / counts
        spread = (1.0 / counts - (square - mean.square())).clamp_(min=0.0)
        tau = mean - spread.sqrt_()
        support = (tau <= ordered).sum(dim=-1, keepdim=True)
        root = (z - tau.gather(-1, support - 1)).clamp_(min=0.0)
        ctx.save_for_backward(root)
        return root.square()

    @staticmethod
    @once_differentiable
    def backward(ctx, dp: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """g is the square root of p."""
        (root,) = ctx.saved_tensors
        return _pulled(dp, root)


def reference(scores: Tensor, alpha: float, rounds: int = 60) -> Tensor:
    """The definition: tau by bisection (no gradient), then p, normalised, so that autograd may go through both."""
    z = (alpha - 1.0) * scores
    low = z.detach().amax(dim=-1, keepdim=True) - 1.0
    high = low + 1.0
    for _ in range(rounds):
        tau = (low + high) / 2
        total = (z.detach() - tau).clamp(min=0).pow(1 / (alpha - 1)).sum(dim=-1, keepdim=True)
        low, high = torch.where(total >= 1, tau, low), torch.where(total >= 1, high, tau)
    # One Newton step from the root, with gradient: it does not move tau, and carries how tau depends on the scores.
    tau = (low + high) / 2
    inside = (z - tau).clamp(min=0)
    slope = inside.pow(1 / (alpha - 1) - 1).masked_fill(inside == 0, 0.0).sum(dim=-1, keepdim=True) / (alpha - 1)
    tau = tau + (inside.pow(1 / (alpha - 1)).sum(dim=-1, keepdim=True) - 1) / slope.detach()
    return (z - tau).clamp(min=0).pow(1 / (alpha - 1))
