"""A short causal convolution: every feature mixes its own last ``kernel`` slots ("Canon" layers, arXiv 2512.17351).

Depthwise, so it costs d x kernel weights. ``reference`` is torch's padded ``conv1d``; the fast form adds shifted
copies, which on a CPU is several times quicker than a grouped convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility


@dataclass(frozen=True)
class Convolution:
    """Each slot reads its own last few slots, feature by feature."""

    kernel: int = 4
    """Slots read, its own included."""

    def __post_init__(self) -> None:
        if self.kernel < 1:
            raise UserError(f"convolution kernel must be at least 1, got {self.kernel}.")

    def visibilities(self) -> frozenset[Visibility]:
        """It looks back only, and must not look at itself where that is forbidden."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> ConvolutionMixer:
        """The module."""
        return ConvolutionMixer(self, width)


class ConvolutionState:
    """The last ``kernel - 1`` inputs, ``(b, kernel - 1, d)``, zero before the beginning."""

    def __init__(self, batch: int, kernel: int, width: int, like: Tensor) -> None:
        self.recent = torch.zeros(batch, kernel - 1, width, dtype=like.dtype, device=like.device)
        self.length = 0


class ConvolutionMixer(nn.Module):
    """See ``Convolution``: ``y_i = sum_j w_j * x_{i-j}``, then a linear map."""

    def __init__(self, config: Convolution, width: int) -> None:
        super().__init__()
        self.kernel = config.kernel
        self.taps = nn.Parameter(torch.randn(config.kernel, width) * config.kernel**-0.5)
        self.outward = nn.Linear(width, width, bias=False)

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding slots contribute nothing."""
        if geometry.keep is not None:
            x = x * geometry.keep[:, :, None]
        padded = F.pad(x, (0, 0, self.kernel - 1, 0))
        return self.outward(shifted_sum(padded, self.taps))

    def new_state(self, batch: int, capacity: int) -> ConvolutionState:
        """Room for the last few inputs; ``capacity`` does not matter."""
        return ConvolutionState(batch, self.kernel, self.taps.shape[1], self.taps)

    def step(self, x: Tensor, geometry: Geometry, state: ConvolutionState) -> Tensor:
        """The coming ``g`` slots."""
        joined = torch.cat([state.recent, x], dim=1)
        state.recent = joined[:, joined.shape[1] - (self.kernel - 1) :]
        state.length += x.shape[1]
        return self.outward(shifted_sum(joined, self.taps))


def shifted_sum(padded: Tensor, taps: Tensor) -> Tensor:
    """``padded (b, k - 1 + n, d)``, ``taps (k, d)`` with tap 0 on the slot itself -> ``(b, n, d)``."""
    kernel = taps.shape[0]
    n = padded.shape[1] - kernel + 1
    total = padded[:, kernel - 1 :] * taps[0]
    for back in range(1, kernel):
        total = torch.addcmul(total, padded[:, kernel - 1 - back : kernel - 1 - back + n], taps[back])
    return total


def reference(x: Tensor, taps: Tensor) -> Tensor:
    """The same as torch's grouped convolution: ``x (b, n, d)``, ``taps (k, d)`` -> ``(b, n, d)``."""
    kernel, width = taps.shape
    padded = F.pad(x.transpose(1, 2), (kernel - 1, 0))
    return F.conv1d(padded, taps.flip(0).t()[:, None, :], groups=width).transpose(1, 2)
