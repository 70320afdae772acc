"""Gradients of gradients: what optimisers of second order ask for, and the fastest kernels do not give.

Within ``twice_differentiable()`` parts take the form that torch can differentiate twice: attention as plain matrix
products, look-ups row by row, layers of functions as dense products. Same values, more time and memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ASKED: ContextVar[bool] = ContextVar("twice", default=False)


def asked() -> bool:
    """Whether the forward pass that runs now will be differentiated twice."""
    import torch

    return not torch.compiler.is_compiling() and _ASKED.get()  # a context variable cannot be traced


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """For one forward pass and its first backward pass."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    token = _ASKED.set(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        _ASKED.reset(token)
