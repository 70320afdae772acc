"""Half of an element's features are those of the element before it in its phase (see ``hierarchical_level.py``).

``reference`` is the definition: a copy padded, cut and put beside the rest. ``halved`` does the same in one pass over
the memory, and so does its gradient; compared in values and gradients.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def halved(x: Tensor, kept: int, phases: int) -> Tensor:
    """``x (b, m, d)`` whose features from ``kept`` on are those of ``phases`` elements before, 0 at the beginning."""
    if torch.compiler.is_compiling():
        return reference(x, kept, phases)
    return _Halved.apply(x, kept, phases)  # type: ignore[return-value]


def reference(x: Tensor, kept: int, phases: int) -> Tensor:
    """The definition: ``x (b, m, d)`` whose features from ``kept`` on are those of ``phases`` elements before."""
    before = F.pad(x[..., kept:], (0, 0, phases, 0))[:, : x.shape[1]]
    return torch.cat([x[..., :kept], before], dim=-1)


class _Halved(torch.autograd.Function):
    """``halved`` and its gradient, each in one pass over the memory."""

    @staticmethod
    def forward(ctx, x: Tensor, kept: int, phases: int) -> Tensor:  # type: ignore[no-untyped-def, override]
        """A copy in two parts."""
        ctx.sizes = (kept, phases)
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        out[..., :kept] = x[..., :kept]
        out[:, :phases, kept:] = 0.0
        out[:, phases:, kept:] = x[:, : max(0, x.shape[1] - phases), kept:]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):  # type: ignore[no-untyped-def, override]
        """The same, the other way."""
        kept, phases = ctx.sizes
        dx, stays = torch.empty_like(dy), max(0, dy.shape[1] - phases)
        dx[..., :kept] = dy[..., :kept]
        dx[:, :stays, kept:] = dy[:, phases:, kept:]
        dx[:, stays:, kept:] = 0.0
        return dx, None, None
