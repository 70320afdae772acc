"""The mixer: how positions exchange information.

``forward(x (b, n, d), geometry) -> (b, n, d)``; the output at a slot depends only on what the geometry's
visibility allows. A causal mixer also has a state, preallocated for the whole canvas, with which one more slot
costs one step; ``step`` on the coming slots equals ``forward`` on all of them (a law, tested on every mixer).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility


class MixerState(Protocol):
    """What a causal mixer remembers of the slots it has read; ``length`` slots so far."""

    length: int


class Mixer(Protocol):
    """A module from ``(b, n, d)`` to ``(b, n, d)``; every mixer config's ``build`` returns one."""

    def __call__(self, x: Tensor, geometry: Geometry) -> Tensor:
        """All slots at once."""
        ...

    def new_state(self, batch: int, capacity: int) -> MixerState:
        """An empty state for ``batch`` rows of at most ``capacity`` slots."""
        ...

    def step(self, x: Tensor, geometry: Geometry, state: MixerState) -> Tensor:
        """The coming ``g`` slots, ``(b, g, d)``; ``geometry`` is the canvas narrowed to them."""
        ...


def reads_pairs(config: object) -> bool:
    """Whether a mixer heeds what the caller says of pairs and a prefix: its configuration says so, or it does not."""
    return bool(getattr(config, "reads_pairs", False))


class MixerConfig(Protocol):
    """A frozen dataclass that builds a mixer and says what it can do."""

    def build(self, width: int) -> nn.Module:
        """The mixer for model width d; raises ``UserError`` for sizes that do not fit."""
        ...

    def visibilities(self) -> frozenset[Visibility]:
        """The visibilities under which the mixer lets an output depend on no more than allowed."""
        ...
