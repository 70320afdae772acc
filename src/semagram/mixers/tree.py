"""Tree reduction: neighbours are joined in pairs by one and the same map, and the pairs again, until one vector holds
the whole window of 2^levels slots (the seed's dual convolution; a recursive network with shared weights).

    level_0 = x,      level_j(t) = norm(level_{j-1}(t) + f(level_{j-1}(t - 2^{j-1}), level_{j-1}(t)))

Each slot is the root of its own tree, and trees share their branches, so all roots cost ``levels`` maps a slot: log2 of
the context. A step computes ``levels`` nodes. Before the beginning every level is zero. Tested against the recursion,
one tree at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from semagram.feedforward.basis import Basis
from semagram.feedforward.norms import normalise
from semagram.feedforward.piecewise import PiecewiseProjection
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.lagged import Bent, Histories, Levels, Whole, check_levels
from semagram.mixers.projection import projection


@dataclass(frozen=True)
class Tree:
    """Pairs of pairs of slots, joined by one shared map."""

    levels: int = 6
    """Times that pairs are joined; the context is 2^levels slots."""
    links: Basis | None = None
    """Functions on the links of the shared map; none: a linear map and SiLU."""

    def __post_init__(self) -> None:
        check_levels(self.levels, 1 << min(max(self.levels, 0), 40), self.links)

    def visibilities(self) -> frozenset[Visibility]:
        """It looks back only."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> TreeMixer:
        """The module."""
        return TreeMixer(self, width)


class TreeMixer(nn.Module):
    """See ``Tree``."""

    def __init__(self, config: Tree, width: int) -> None:
        super().__init__()
        self.depth, self.width = config.levels, width
        self.join = Bent(2 * width, width, config.links)
        self.outward = projection(width, width, None)

    def output_projections(self) -> list[nn.Linear | PiecewiseProjection]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        return self._mix(x, Whole(geometry.keep))

    def new_state(self, batch: int, capacity: int) -> Histories:
        """Room for all nodes of a canvas but the roots."""
        reaches = [(1 << level, self.width) for level in range(self.depth)]
        return Histories(batch, capacity, reaches, self.outward.weight)

    def step(self, x: Tensor, geometry: Geometry, state: Histories) -> Tensor:
        """The coming ``g`` slots."""
        out = self._mix(x, state)
        state.advance()
        return out

    def _mix(self, x: Tensor, levels: Levels) -> Tensor:
        for level in range(self.depth):
            levels.put(level, x)
            x = normalise(x + self.join(levels.get(level, (1 << level, 0))))
        return self.outward(x)


def reference(mixer: TreeMixer, slots: list[Tensor | None], level: int) -> Tensor | None:
    """The root ``(d,)`` over the last 2^level of ``slots``, by recursion; None (zero) before the beginning."""
    if not slots or slots[-1] is None:
        return None
    if level == 0:
        return slots[-1]
    half = 1 << (level - 1)
    right = reference(mixer, slots, level - 1)
    left = reference(mixer, slots[:-half], level - 1)
    assert right is not None
    joined = right.new_zeros(2 * right.shape[0])
    joined[right.shape[0] :] = right
    if left is not None:
        joined[: right.shape[0]] = left
    return normalise((right + mixer.join(joined))[None])[0]
