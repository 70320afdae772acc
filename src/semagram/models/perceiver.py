"""Cross-attention only: a few vectors look at a long source, again and again (Perceiver, arXiv 2103.03206).

    CrossStack:  x = x + cross(norm(x), source);  x = x + feedforward(norm(x)),   depth times, then a norm
    Perceiver:   latents (k, d) -> CrossStack(latents, source + waves) -> stack (b, k, d)

Work and memory grow linearly with the source. A ``Perceiver`` is an encoder whose features are its k latents, so a
decoder or a classifier behind it sees k vectors, however long the source (Flamingo's resampler, 2204.14198). Latents
stand nowhere: places come as waves added to the source. Tested against x-transformers' ``CrossAttender``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, RMSNorm
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.feedforward.kinds_of_norm import PlainNorm
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.mixers.cross_attention import CrossAttention
from semagram.mixers.rotary import Rotary
from semagram.models.decoder import fitted
from semagram.models.demands import must_be
from semagram.models.embedding import sinusoids
from semagram.models.encoder import Encoder
from semagram.models.stack import Blocks, scale_inner_maps
from semagram.models.vectors import VectorEncoder
from semagram.models.vision import Vision


@dataclass(frozen=True)
class CrossStack:
    """Blocks of cross-attention and feedforward; what looks does not look at itself."""

    width: int = 128
    """Features of what looks, d."""
    depth: int = 1
    """Blocks."""
    cross: CrossAttention = field(default_factory=CrossAttention)
    """How it looks."""
    feedforward: Feedforward = field(default_factory=MLP)
    """What is computed at each position."""
    norm: PlainNorm = field(default_factory=RMSNorm)
    """Normalisation before each branch and at the end."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1:
            raise UserError(f"width and depth must be at least 1, got {self.width} and {self.depth}.")

    def build(self, context_width: int | None = None) -> CrossStackNetwork:
        """The module, for a context of so many features (none: as many as ``width``)."""
        cross = fitted(self.cross, self.width, context_width)
        assert cross is not None
        return CrossStackNetwork(replace(self, cross=cross))


class CrossStackNetwork(nn.Module):
    """See ``CrossStack``."""

    def __init__(self, config: CrossStack) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CrossBlock(config) for _ in range(config.depth))
        self.norm = config.norm.build(config.width)
        scale_inner_maps(self)
        for block in self.blocks:
            for part in (block.cross, block.feedforward):
                for projection in part.output_projections():  # type: ignore[union-attr, operator]
                    nn.init.zeros_(projection.weight)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """``(b, n, d)`` looks at ``context`` -> ``(b, n, d)``."""
        for block in self.blocks:
            x = block(x, context)
        return self.norm(x)


class CrossBlock(nn.Module):
    """One look and one thought."""

    def __init__(self, config: CrossStack) -> None:
        super().__init__()
        self.cross_norm = config.norm.build(config.width)
        self.cross = config.cross.build(config.width)
        self.feedforward_norm = config.norm.build(config.width)
        self.feedforward = config.feedforward.build(config.width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        x = x + self.cross(self.cross_norm(x), context)
        return x + self.feedforward(self.feedforward_norm(x))


@dataclass(frozen=True)
class Perceiver:
    """Reads a source into a few latent vectors."""

    encoder: Encoder | Vision | VectorEncoder = field(default_factory=lambda: Encoder(blocks=Blocks(depth=0)))
    """What turns the source into vectors; depth 0: it only embeds."""
    latents: int = 16
    """Vectors that look, k."""
    looks: CrossStack = field(default_factory=CrossStack)
    """How they look at the source."""
    blocks: Blocks = field(default_factory=Blocks)
    """How they talk with each other afterwards."""
    base: float = 10_000.0
    """Ratio between the longest and the shortest wave of a place."""

    def __post_init__(self) -> None:
        if self.latents < 1:
            raise UserError(f"latents must be at least 1, got {self.latents}.")
        if not self.base > 1.0:
            raise UserError(f"the waves' base must be above 1, got {self.base}.")
        if self.looks.width != self.blocks.width:
            raise UserError(f"looks and blocks need one width, got {self.looks.width} and {self.blocks.width}.")
        if isinstance(self.looks.cross.positions, Rotary):
            raise UserError("latents stand nowhere, so their cross-attention cannot be Rotary: NoPositions.")
        must_be(Visibility.FULL, self.blocks, "a Perceiver")

    @property
    def width(self) -> int:
        """Features of what it gives."""
        return self.blocks.width

    def build(self) -> PerceiverNetwork:
        """The module, with its starting weights."""
        return PerceiverNetwork(self)


class PerceiverNetwork(nn.Module):
    """See ``Perceiver``."""

    def __init__(self, config: Perceiver) -> None:
        super().__init__()
        self.encoder = config.encoder.build()
        self.base = config.base
        self.latents = nn.Parameter(torch.randn(config.latents, config.width))
        self.looks = config.looks.build(config.encoder.width)
        self.stack = config.blocks.build()

    def forward(self, source: Tensor, keep: Tensor | None = None) -> Context:
        """Whatever the encoder reads -> features ``(b, k, d)``, all of which count."""
        seen = self.encoder(source, keep)
        if seen.coords is not None:
            seen = replace(seen, features=seen.features + sinusoids(seen.coords, seen.features.shape[2], self.base))
        x = self.looks(self.latents.expand(len(seen.features), -1, -1), seen)
        return Context(self.stack(x, Geometry.line(x.shape[1], Visibility.FULL, like=source)))
