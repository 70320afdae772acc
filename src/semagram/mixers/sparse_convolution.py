"""A pyramid of dilated convolutions: few taps a level, spaced ever further, so that a few levels span a long context.

    x_l(t) = norm(x_{l-1}(t) + f_l(x_{l-1}(t), x_{l-1}(t - k^{l-1}), ..., x_{l-1}(t - (k-1) k^{l-1})))

Context k^levels slots; every tap joins whole vectors, by linear maps or by functions on the links (the seed's sparse
convolution is the latter with strides; a dilation trains every slot). WaveNet (arXiv 1609.03499), temporal
convolutional networks (1803.01271). Tested against torch's dilated ``conv1d``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis
from semagram.feedforward.norms import normalise
from semagram.feedforward.piecewise import PiecewiseProjection
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.lagged import Bent, Histories, Levels, Whole, check_levels
from semagram.mixers.projection import projection


@dataclass(frozen=True)
class SparseConvolution:
    """Convolutions of few taps, spaced ever further apart."""

    kernel: int = 4
    """Taps of each level."""
    levels: int = 3
    """Convolutions; the context is kernel^levels slots."""
    links: Basis | None = None
    """Functions on the links; none: linear maps and SiLU."""

    def __post_init__(self) -> None:
        if self.kernel < 2:
            raise UserError(f"sparse convolution kernel must be at least 2, got {self.kernel}.")
        check_levels(self.levels, self.kernel ** min(max(self.levels, 0), 40), self.links)

    def visibilities(self) -> frozenset[Visibility]:
        """It looks back only."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> SparseConvolutionMixer:
        """The module."""
        return SparseConvolutionMixer(self, width)


class SparseConvolutionMixer(nn.Module):
    """See ``SparseConvolution``."""

    def __init__(self, config: SparseConvolution, width: int) -> None:
        super().__init__()
        self.width = width
        self.lags = [[j * config.kernel**level for j in range(config.kernel)] for level in range(config.levels)]
        self.layers = nn.ModuleList(Bent(config.kernel * width, width, config.links) for _ in self.lags)
        self.outward = projection(width, width, None)

    def output_projections(self) -> list[nn.Linear | PiecewiseProjection]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        return self._mix(x, Whole(geometry.keep))

    def new_state(self, batch: int, capacity: int) -> Histories:
        """Room for all columns of a canvas but the last level's."""
        return Histories(batch, capacity, [(max(lags), self.width) for lags in self.lags], self.outward.weight)

    def step(self, x: Tensor, geometry: Geometry, state: Histories) -> Tensor:
        """The coming ``g`` slots."""
        out = self._mix(x, state)
        state.advance()
        return out

    def _mix(self, x: Tensor, levels: Levels) -> Tensor:
        for level, (layer, lags) in enumerate(zip(self.layers, self.lags, strict=True)):
            levels.put(level, x)
            x = normalise(x + layer(levels.get(level, lags)))
        return self.outward(x)


def reference(mixer: SparseConvolutionMixer, x: Tensor) -> Tensor:
    """The same with torch's dilated convolutions, for linear links: ``(b, n, d) -> (b, n, d)``."""
    for layer, lags in zip(mixer.layers, mixer.lags, strict=True):
        assert isinstance(layer, Bent)
        taps = layer.map.weight.unflatten(1, (len(lags), -1)).flip(1).transpose(1, 2)
        padded = F.pad(x.transpose(1, 2), (max(lags), 0))
        found = F.conv1d(padded, taps, dilation=lags[1]).transpose(1, 2)
        x = normalise(x + normalise(F.silu(found)))
    return mixer.outward(x)
