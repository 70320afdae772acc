"""Polynomial bases: Lagrange polynomials at Chebyshev-Lobatto nodes, continuous or not; Chebyshev; B-splines.

``order`` is the degree p (p + 1 points a segment). V, the numbers a link stores, is p s + 1 (continuous), (p + 1) s
(discontinuous), p + 1 (one global polynomial), s + p (B-spline; with ReLU-free links this is KAN's grid, arXiv
2404.19756). A Lagrange weight *is* the function's value at its node. Piecewise polynomial layers: Loverich,
"High order layers" (arXiv 2008.10766, 2403.05770). Tested against a per-link oracle in float64, SciPy's way of
de Boor written out, and high-order-layers-torch where it is installed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.feedforward.basis.local import Extrapolation, LocalBasis, chebyshev_values, lobatto_nodes

MOST_ORDER = 32
"""Above it float32 cannot hold what the nodes say."""


@dataclass(frozen=True)
class Continuous:
    """Piecewise polynomials whose segments meet: neighbours share the value at their border."""

    order: int = 2
    """Degree of the polynomials; 1 is piecewise linear."""
    segments: int = 2
    """Pieces of [-1, 1]."""
    extrapolate: Extrapolation = "linear"
    """Beyond [-1, 1]: along the tangent, the end polynomial itself, or its end value."""

    def __post_init__(self) -> None:
        check_sizes(self.order, self.segments, lowest=1)

    def build(self) -> LocalBasis:
        """The basis."""
        return LocalBasis(self.segments, self.order, lagrange_matrix(self.order), self.extrapolate)


@dataclass(frozen=True)
class Discontinuous:
    """Piecewise polynomials, each by itself: two values at every border."""

    order: int = 2
    """Degree of the polynomials; for degree 0 there is Constant."""
    segments: int = 2
    """Pieces of [-1, 1]."""
    extrapolate: Extrapolation = "linear"
    """Beyond [-1, 1]: along the tangent, the end polynomial itself, or its end value."""

    def __post_init__(self) -> None:
        check_sizes(self.order, self.segments, lowest=1)

    def build(self) -> LocalBasis:
        """The basis."""
        return LocalBasis(self.segments, self.order + 1, lagrange_matrix(self.order), self.extrapolate)


@dataclass(frozen=True)
class Polynomial:
    """One polynomial over all of [-1, 1], by its values at the Chebyshev-Lobatto nodes."""

    order: int = 3
    """Degree."""
    extrapolate: Extrapolation = "linear"
    """Beyond [-1, 1]: along the tangent, the polynomial itself, or its end value."""

    def __post_init__(self) -> None:
        check_sizes(self.order, 1, lowest=1)

    def build(self) -> LocalBasis:
        """The basis."""
        return LocalBasis(1, self.order, lagrange_matrix(self.order), self.extrapolate)


@dataclass(frozen=True)
class Chebyshev:
    """One polynomial over all of [-1, 1], by its Chebyshev coefficients."""

    order: int = 3
    """Degree."""
    extrapolate: Extrapolation = "linear"
    """Beyond [-1, 1]: along the tangent, the polynomial itself, or its end value."""

    def __post_init__(self) -> None:
        check_sizes(self.order, 1, lowest=1)

    def build(self) -> LocalBasis:
        """The basis."""
        return LocalBasis(1, self.order, torch.eye(self.order + 1, dtype=torch.float64), self.extrapolate)


@dataclass(frozen=True)
class BSpline:
    """Splines on a uniform grid: piecewise polynomials of degree p with p - 1 continuous derivatives (KAN)."""

    order: int = 3
    """Degree."""
    segments: int = 4
    """Pieces of [-1, 1]."""
    extrapolate: Extrapolation = "linear"
    """Beyond [-1, 1]: along the tangent, the end polynomial itself, or its end value."""

    def __post_init__(self) -> None:
        check_sizes(self.order, self.segments, lowest=1)

    def build(self) -> LocalBasis:
        """The basis."""
        return LocalBasis(self.segments, 1, spline_matrix(self.order), self.extrapolate)


def lagrange_matrix(order: int) -> Tensor:
    """Lagrange polynomials at the Chebyshev-Lobatto nodes, in Chebyshev polynomials; ``(p+1, p+1)`` float64."""
    return torch.linalg.inv(chebyshev_values(lobatto_nodes(order + 1), order + 1)).T


def spline_matrix(order: int) -> Tensor:
    """The p + 1 uniform B-splines that are not zero on a segment, in Chebyshev polynomials of its coordinate."""
    t = lobatto_nodes(order + 1)
    values = cardinal_splines((t + 1.0) / 2.0, order)
    return torch.linalg.solve(chebyshev_values(t, order + 1), values).T


def cardinal_splines(u: Tensor, order: int) -> Tensor:
    """B-splines of integer knots on [0, 1] at ``u (n,)``: ``(n, p+1)``, the leftmost first (Cox and de Boor)."""
    values = torch.ones(u.shape[0], 1, dtype=u.dtype)
    for p in range(1, order + 1):
        # B^p_j = (u + p - j) / p B^{p-1}_{j-1} + (1 - u + j) / p B^{p-1}_j on this segment.
        padded = torch.nn.functional.pad(values, (1, 1))
        j = torch.arange(p + 1, dtype=u.dtype)
        values = ((u[:, None] + p - j) * padded[:, :-1] + (1.0 - u[:, None] + j) * padded[:, 1:]) / p
    return values


def check_sizes(order: int, segments: int, lowest: int) -> None:
    """Raise ``UserError`` for an order or a number of segments that cannot be."""
    if not lowest <= order <= MOST_ORDER:
        raise UserError(f"basis order must be from {lowest} to {MOST_ORDER}, got {order}.")
    if segments < 1:
        raise UserError(f"basis segments must be at least 1, got {segments}.")
