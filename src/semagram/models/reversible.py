"""Reversible residuals: training memory that does not grow with depth (RevNet 1707.04585; Reformer, arXiv 2001.04451).

Two streams (p, q) begin as copies. A branch reads q, adds to p, and they change places: (p, q) -> (q, p + f(q)). Given
the result (a, b) the branch's input was (b - f(a), a): so the backward pass works its way down, computing each branch
again, and nothing but the last two vectors a position is kept. The stack ends with their mean.

Gradients equal those of the ordinary pass (the reference: ``run`` with gradients) to rounding. Needs branches that give
the same twice, so no dropout and no other randomness; under ``torch.compile`` the ordinary pass runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Streams = tuple[Tensor, Tensor]
Branch = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Reversible:
    """Two streams that branches write in turn, so that each can be undone."""

    def build(self, width: int, index: int, norm: Any) -> ReversibleJoin:
        """The module of branch ``index``."""
        return ReversibleJoin()

    def open(self, x: Tensor) -> Streams:
        """Two copies."""
        return x, x

    def close(self, h: Streams) -> Tensor:
        """Their mean."""
        return (h[0] + h[1]) * 0.5


class ReversibleJoin(nn.Module):
    """See ``Reversible``."""

    def read(self, h: Streams) -> tuple[Tensor, Any]:
        """The second stream."""
        return h[1], h

    def write(self, h: Streams, y: Tensor) -> Streams:
        """Added to the first, which becomes the second."""
        return h[1], h[0] + y


def run(branches: list[Branch], h: Streams) -> Streams:
    """The ordinary pass."""
    p, q = h
    for branch in branches:
        p, q = q, p + branch(q)
    return p, q


def run_reversibly(branches: list[Branch], parameters: list[list[Tensor]], h: Streams) -> Streams:
    """The same with memory for one branch only; ``parameters`` are those of each branch, ``(b, n, d)`` the streams."""
    every = list({id(p): p for of_one in parameters for p in of_one if p.requires_grad}.values())
    return _Run.apply(branches, parameters, every, *h, *every)  # type: ignore[return-value]


class _Run(torch.autograd.Function):
    """Keeps the last two vectors a position, and undoes branch after branch."""

    @staticmethod
    def forward(ctx, branches, parameters, every, p, q, *_):  # type: ignore[no-untyped-def, override]
        """``run`` without a graph (autograd functions have none)."""
        p, q = run(branches, (p, q))
        ctx.branches, ctx.parameters, ctx.every = branches, parameters, every
        ctx.save_for_backward(p, q)
        return p, q

    @staticmethod
    def backward(ctx, dp, dq):  # type: ignore[no-untyped-def, override]
        """From the last branch to the first."""
        p, q = ctx.saved_tensors
        total: dict[int, Tensor] = {}
        for branch, own in zip(reversed(ctx.branches), reversed(ctx.parameters), strict=True):
            learning = [w for w in own if w.requires_grad]
            with torch.enable_grad():
                read = p.detach().requires_grad_()
                y = branch(read)
            found = torch.autograd.grad(y, [read, *learning], dq, allow_unused=True)
            for w, gradient in zip(learning, found[1:], strict=True):
                if gradient is not None:
                    total[id(w)] = total[id(w)] + gradient if id(w) in total else gradient
            p, q = q - y.detach(), p
            dp, dq = dq, dp if found[0] is None else dp + found[0]
        return None, None, None, dp, dq, *(total.get(id(w)) for w in ctx.every)
