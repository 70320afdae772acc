"""A block: a mixer slot, an optional cross-attention slot and a feedforward slot, each a residual branch.

    x = x + mixer(norm(x)),   x = x + cross(norm(x), context),   x = x + feedforward(norm(x))

Attention Is All You Need (arXiv 1706.03762); pre-norm (2002.04745).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn

from semagram.feedforward import Feedforward, Norm
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts.geometry import Geometry
from semagram.mixers import Mixer
from semagram.mixers.attention import AttentionMixer
from semagram.mixers.single import Single

OneSlot = Callable[[Tensor], Tensor]
"""``(b, d) -> (b, d)``."""


class Cross(Protocol):
    """The config of a cross-attention: what ``Stack(..., cross=...)`` takes.

    ``build(width)`` gives a module that is called as ``cross(x (b, n, d), context) -> (b, n, d)``, has
    ``output_projections()``, and for stepping ``new_state(context)`` and ``step(x (b, g, d), state) -> (b, g, d)``.
    What a context is (a tensor, a tensor with padding) is the cross-attention's own affair.
    """

    def build(self, width: int) -> nn.Module:
        """The module for model width d."""
        ...


class Block(nn.Module):
    """Its parts and their order; ``(b, n, d) -> (b, n, d)``."""

    def __init__(
        self, width: int, mixer: Mixer, feedforward: Feedforward, norm: Norm, dropout: float, cross: Cross | None = None
    ) -> None:
        super().__init__()
        self.mixer_norm = norm.build(width)
        self.mixer = mixer.build(width)
        self.cross_norm = None if cross is None else norm.build(width)
        self.cross = None if cross is None else cross.build(width)
        self.feedforward_norm = norm.build(width)
        self.feedforward = feedforward.build(width)
        self.dropout = nn.Dropout(dropout)

    def branches(self) -> list[nn.Module]:
        """The parts that write into the residual stream."""
        return [part for part in (self.mixer, self.cross, self.feedforward) if part is not None]

    def forward(self, x: Tensor, geometry: Geometry, context: Any = None) -> Tensor:
        """All slots at once; ``context`` is what the cross-attention looks at."""
        x = x + self.dropout(self.mixer(self.mixer_norm(x), geometry))
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.dropout(self.cross(self.cross_norm(x), context))
        return x + self.dropout(self.feedforward(self.feedforward_norm(x)))

    def step(self, x: Tensor, geometry: Geometry, state: Any, cross_state: Any = None) -> Tensor:
        """The coming slots, ``(b, g, d) -> (b, g, d)``; the states are those that this block's parts made."""
        x = x + self.mixer.step(self.mixer_norm(x), geometry, state)
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.cross.step(self.cross_norm(x), cross_state)  # type: ignore[operator]
        return x + self.feedforward(self.feedforward_norm(x))

    def single(self, state: Any, geometry: Geometry) -> tuple[OneSlot, OneSlot]:
        """Both halves of ``step`` for one slot a row, ``(b, d) -> (b, d)``, with nothing between them and torch."""
        mixer, feedforward = self.mixer, self.feedforward
        mixer_norm, feedforward_norm = self.mixer_norm.forward, self.feedforward_norm.forward
        mix: Single = lambda x, residual: (  # noqa: E731
            residual + mixer.step(x[:, None], geometry.narrow(state.length, 1), state)[:, 0]
        )
        feed: Single = lambda x, residual: residual + feedforward(x)  # noqa: E731
        if isinstance(mixer, AttentionMixer):
            mix = mixer.single(state, geometry)
        if isinstance(feedforward, MLPLayer):
            feed = feedforward.single()
        return lambda x: mix(mixer_norm(x), x), lambda x: feed(feedforward_norm(x), x)
