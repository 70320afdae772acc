"""Bases written out from their definitions, in float64, one function and one number at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from semagram.feedforward import basis as bases

Function = Callable[[Tensor], Tensor]


def lagrange(j: int, order: int) -> Function:
    """The product formula at Chebyshev-Lobatto nodes."""
    nodes = [-math.cos(math.pi * m / order) for m in range(order + 1)]

    def value(t: Tensor) -> Tensor:
        found = 1.0 + 0.0 * t
        for m in range(order + 1):
            if m != j:
                found = found * (t - nodes[m]) / (nodes[j] - nodes[m])
        return found

    return value


def chebyshev(m: int) -> Function:
    """T_m by its coefficients in powers."""
    coefficients = [[1.0], [0.0, 1.0]]
    while len(coefficients) <= m:
        one, two = coefficients[-1], coefficients[-2]
        doubled = [0.0, *(2.0 * c for c in one)]
        coefficients.append([c - (two[i] if i < len(two) else 0.0) for i, c in enumerate(doubled)])
    return lambda t: sum((c * t**power for power, c in enumerate(coefficients[m])), torch.zeros_like(t))


def de_boor(v: int, order: int, segments: int, first: int) -> Function:
    """The B-spline of number v on uniform knots, taking segment ``first`` for the one that x is in."""
    knots = [-1.0 + 2.0 * (k - order) / segments for k in range(segments + 2 * order + 1)]

    def value(x: Tensor, i: int = v, p: int = order) -> Tensor:
        if p == 0:
            return 1.0 + 0.0 * x if i == first + order else 0.0 * x
        left = (x - knots[i]) / (knots[i + p] - knots[i]) * value(x, i, p - 1)
        return left + (knots[i + p + 1] - x) / (knots[i + p + 1] - knots[i + 1]) * value(x, i + 1, p - 1)

    return value


def segment_of(x: float, segments: int) -> int:
    """The one that x is in; the end ones go on for ever."""
    return min(max(math.floor((x + 1.0) * segments / 2.0), 0), segments - 1)


def functions(config: Any, x: float) -> list[Function]:
    """The V basis functions near ``x``, each functions of the global coordinate that go on for ever."""

    def zero(y: Tensor) -> Tensor:
        return 0.0 * y

    if isinstance(config, bases.BSpline):
        first = segment_of(x, config.segments)
        return [de_boor(v, config.order, config.segments, first) for v in range(config.segments + config.order)]
    if isinstance(config, bases.Chebyshev):
        return [chebyshev(m) for m in range(config.order + 1)]
    if isinstance(config, bases.Polynomial):
        return [lagrange(j, config.order) for j in range(config.order + 1)]
    if isinstance(config, bases.Fourier):
        found: list[Function] = [lambda y: 0.5 + 0.0 * y]
        for i in range(1, config.harmonics + 1):
            found += [lambda y, i=i: torch.sin(math.pi * i * y), lambda y, i=i: torch.cos(math.pi * i * y)]
        return found
    if isinstance(config, bases.Radial):
        gap = 2.0 / (config.count - 1)
        centres = [-1.0 + gap * v for v in range(config.count)]
        return [lambda y, c=c: torch.exp(-0.5 * ((y - c) / (config.width * gap)) ** 2) for c in centres]
    if isinstance(config, bases.Constant):
        here = segment_of(x, config.segments)
        return [(lambda y: 1.0 + 0.0 * y) if v == here else zero for v in range(config.segments)]
    here, s, p = segment_of(x, config.segments), config.segments, config.order
    stride = p if isinstance(config, bases.Continuous) else p + 1
    count = stride * (s - 1) + p + 1

    def inside(j: int) -> Function:
        return lambda y: lagrange(j, p)((y + 1.0) * s - 2.0 * here - 1.0)

    return [inside(v - here * stride) if 0 <= v - here * stride <= p else zero for v in range(count)]


def extrapolated(config: Any, function: Function, x: Tensor) -> Tensor:
    """The function at ``x``, beyond [-1, 1] as the config says."""
    how = getattr(config, "extrapolate", "polynomial")
    if how == "polynomial" or bool(x.abs() <= 1.0):
        return function(x)
    border = x.detach().clamp(-1.0, 1.0).requires_grad_()
    value = function(border)
    if how == "clamped":
        return value.detach() + 0.0 * x
    (slope,) = torch.autograd.grad(value, border)
    return value.detach() + slope.detach() * (x - border.detach())


def layer(config: Any, x: Tensor, links: Tensor) -> Tensor:
    """``x (N, I)``, ``links (V, I, O)`` -> ``(N, O)``."""
    rows = []
    for row in x:
        total = torch.zeros(links.shape[2], dtype=x.dtype)
        for i, entry in enumerate(row):
            for v, function in enumerate(functions(config, float(entry.detach()))):
                total = total + extrapolated(config, function, entry) * links[v, i]
        rows.append(total)
    return torch.stack(rows)
