"""Bases of which only a few functions are non-zero at a point: a segment is found, and a polynomial of its local
coordinate gives their values. Every polynomial basis of this library is one of these; they differ in three numbers.

    u = (x + 1) s / 2,   k = floor(u) kept within 0 .. s-1,   t = 2 (u - k) - 1,
    phi_{k stride + j}(x) = sum_m  M[j, m] T_m(t),   j = 0 .. p

T_m are Chebyshev polynomials, in which interpolation is well conditioned at any order p; M is p+1 by p+1. ``stride`` is
p where neighbouring segments share their end value (continuous), p + 1 where they share nothing, 1 for B-splines.

Outside [-1, 1] the end segment goes on: as it is (polynomial), along its tangent (linear) or not at all (clamped).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Extrapolation = Literal["linear", "polynomial", "clamped"]


class LocalBasis(nn.Module):
    """``segments`` segments of [-1, 1], ``matrix (p+1, p+1)`` float64 from Chebyshev polynomials to basis functions."""

    def __init__(self, segments: int, stride: int, matrix: Tensor, extrapolate: Extrapolation) -> None:
        super().__init__()
        self.segments = segments
        self.stride = stride
        self.active = matrix.shape[0]
        self.count = (segments - 1) * stride + self.active
        self.extrapolate = extrapolate
        # Not buffers: they stay in float64 whatever the network is cast to, and on the CPU (some devices have none).
        self.matrix = matrix.double()
        self.slopes = torch.arange(self.active, dtype=torch.float64).square()
        self.joint = torch.cat([self.matrix, segments * self.matrix @ chebyshev_slopes(self.active)])

    def local(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, I)`` -> indices and values of the functions that are not zero, ``(p+1, N, I)`` both."""
        u = (x + 1.0) * (0.5 * self.segments)
        segment = u.detach().floor().clamp_(0, self.segments - 1)
        features = self._features((u - segment) * 2.0 - 1.0)
        values = (self.matrix.to(x) @ features.flatten(1)).unflatten(1, x.shape)
        first = segment.long() * self.stride
        index = torch.stack([first + j for j in range(self.active)])
        return index, values

    def values_and_slopes(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(N, I)`` -> the segment ``(N, I)`` (a whole number in x's own type), and values and slopes (by x) of the
        functions that are not zero there, ``(p+1, N, I)`` both; nothing is recorded for gradients."""
        with torch.no_grad():
            inside = x if self.extrapolate == "polynomial" else x.clamp(-1.0, 1.0)
            u = (inside + 1.0).mul_(0.5 * self.segments)
            segment = u.floor().clamp_(0, self.segments - 1)
            features = x.new_empty(self.active, *x.shape)
            features[0] = 1.0
            t = torch.sub(u.sub_(segment).mul_(2.0), 1.0, out=features[1]) if self.active > 1 else u
            for m in range(2, self.active):
                torch.mul(t, 2.0, out=features[m]).mul_(features[m - 1]).sub_(features[m - 2])
            values, slopes = (self.joint.to(x) @ features.flatten(1)).view(2, self.active, *x.shape)
            if self.extrapolate == "linear":
                values.addcmul_(slopes, x - inside)
            elif self.extrapolate == "clamped":
                slopes.mul_(x == inside)
        return segment, values, slopes

    def dense(self, x: Tensor) -> Tensor:
        """``(N, I)`` -> all basis values ``(N, V, I)``."""
        index, values = self.local(x)
        if self.segments == 1:
            return values.transpose(0, 1)
        every = x.new_zeros(x.shape[0], self.count, x.shape[1])
        every.transpose(0, 1).scatter_(0, index, values)
        return every

    def borders(self) -> list[float]:
        """Where one polynomial gives way to the next, ends included."""
        return [2.0 * k / self.segments - 1.0 for k in range(self.segments + 1)]

    def _features(self, t: Tensor) -> Tensor:
        """T_m at the local coordinate, continued outside as ``extrapolate`` says; ``(p+1, N, I)``."""
        inside = t if self.extrapolate == "polynomial" else t.clamp(-1.0, 1.0)
        found = [torch.ones_like(t), inside]
        while len(found) < self.active:
            found.append(2.0 * inside * found[-1] - found[-2])
        features = torch.stack(found[: self.active])
        if self.extrapolate == "linear" and self.active > 1:
            # T_m'(1) = m^2 and T_m'(-1) = (-1)^(m-1) m^2; beyond is 0 everywhere but outside the end segments.
            beyond = t - inside
            side = torch.where(t < 0, -1.0, 1.0).to(t.dtype)
            signs = torch.stack([side if m % 2 == 0 else torch.ones_like(t) for m in range(self.active)])
            features = features + signs * beyond * self.slopes.to(t)[:, None, None]
        return features


def chebyshev_values(t: Tensor, count: int) -> Tensor:
    """T_0 .. T_{count-1} at ``t (n,)``: ``(n, count)``."""
    return torch.cos(torch.arange(count, dtype=t.dtype) * torch.arccos(t.clamp(-1.0, 1.0))[:, None])


def chebyshev_slopes(count: int) -> Tensor:
    """D ``(count, count)`` float64 with T_m' = sum_k D[m, k] T_k."""
    found = torch.zeros(count, count, dtype=torch.float64)
    for m in range(count):
        for k in range(m - 1, -1, -2):
            found[m, k] = 2 * m if k else m
    return found


def lobatto_nodes(points: int) -> Tensor:
    """The Chebyshev-Lobatto points of [-1, 1], ascending, ends included; exactly symmetric; (0,) for one point."""
    if points == 1:
        return torch.zeros(1, dtype=torch.float64)
    nodes = -torch.cos(torch.pi * torch.arange(points, dtype=torch.float64) / (points - 1))
    return 0.5 * (nodes - nodes.flip(0))
