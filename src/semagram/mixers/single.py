"""One slot at a time, with as few operations as it can be written in.

At batch 1 a step of a small network is a hundred operations of a few microseconds each, and the modules around them
cost as much again. So a state may hold, for each block, plain functions that have everything they need at hand:
``Single(x (b, d), residual (b, d)) -> residual + part(x)``. Matrices are kept turned, so that a product is ``x @ W``,
which the CPU's library does faster for few rows. Reference: ``step`` and ``forward`` of the same parts (a law).

A state belongs to the weights it was opened with: these functions keep copies.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Single = Callable[[Tensor, Tensor], Tensor]
"""``(x (b, d), residual (b, d)) -> (b, d)``."""


def transposed(weight: Tensor) -> Tensor:
    """A linear map's weight ``(out, in)`` as ``(in, out)``, in its own memory."""
    return weight.detach().t().contiguous()
