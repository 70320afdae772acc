"""A projection inside a mixer: a linear map, or a layer of functions where a basis is given (``links``)."""

from __future__ import annotations

from torch import nn

from semagram.feedforward.basis import Basis
from semagram.feedforward.domain import ByRMS
from semagram.feedforward.piecewise import PiecewiseProjection


def projection(inputs: int, outputs: int, links: Basis | None) -> nn.Linear | PiecewiseProjection:
    """``(..., inputs) -> (..., outputs)`` without bias."""
    if links is None:
        return nn.Linear(inputs, outputs, bias=False)
    return PiecewiseProjection(inputs, outputs, links, ByRMS())
