"""Bases without segments: sines and cosines, and Gaussian bumps. Every function is non-zero (nearly) everywhere.

Fourier: 1/2, sin(pi x), cos(pi x), sin(2 pi x), ... of period 2, V = 2 harmonics + 1; it needs no extrapolation.
Radial: exp(-((x - c_v) / width)^2 / 2) at V evenly spread centres, as in FastKAN (arXiv 2405.06721); it fades outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class Fourier:
    """A constant, and sines and cosines of period 2, 1, 2/3, ..."""

    harmonics: int = 2
    """Pairs of a sine and a cosine."""

    def __post_init__(self) -> None:
        if self.harmonics < 1:
            raise UserError(f"basis harmonics must be at least 1, got {self.harmonics}.")

    def build(self) -> FourierBasis:
        """The basis."""
        return FourierBasis(self)


class FourierBasis(nn.Module):
    """See ``Fourier``."""

    def __init__(self, config: Fourier) -> None:
        super().__init__()
        self.harmonics = config.harmonics
        self.count = 2 * config.harmonics + 1

    def dense(self, x: Tensor) -> Tensor:
        """``(N, I)`` -> ``(N, V, I)``."""
        turns = torch.arange(1, self.harmonics + 1, dtype=x.dtype, device=x.device)[:, None] * torch.pi
        angle = x[:, None] * turns
        waves = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1, 2)
        return torch.cat([torch.full_like(x, 0.5)[:, None], waves], dim=1)

    def borders(self) -> list[float]:
        """The ends of a period."""
        return [-1.0, 1.0]


@dataclass(frozen=True)
class Radial:
    """Gaussian bumps at evenly spread centres of [-1, 1]."""

    count: int = 5
    """Bumps."""
    width: float = 1.0
    """Standard deviation of a bump, in distances between neighbouring centres."""

    def __post_init__(self) -> None:
        if self.count < 2:
            raise UserError(f"basis count must be at least 2 bumps, got {self.count}.")
        if not self.width > 0:
            raise UserError(f"basis width must be above 0, got {self.width}.")

    def build(self) -> RadialBasis:
        """The basis."""
        return RadialBasis(self)


class RadialBasis(nn.Module):
    """See ``Radial``."""

    def __init__(self, config: Radial) -> None:
        super().__init__()
        self.count = config.count
        self.centres = torch.linspace(-1.0, 1.0, config.count, dtype=torch.float64)
        self.scale = (config.count - 1) / (2.0 * config.width)

    def dense(self, x: Tensor) -> Tensor:
        """``(N, I)`` -> ``(N, V, I)``."""
        return torch.exp(-0.5 * ((x[:, None] - self.centres.to(x)[:, None]) * self.scale).square())

    def borders(self) -> list[float]:
        """The ends of the centres."""
        return [-1.0, 1.0]
