"""The vision transformer: an image as a page of patches, every patch seeing every other (arXiv 2010.11929).

    features = stack([class; norm(W patch + w) + positions; registers]) (b, n, d), FULL visibility

Positions: rotary over rows and columns by default (the attention's), a learned
table or fixed waves (SimpleViT, 2205.01580) besides or instead.
Registers (2309.16588) are learned vectors that give the network room to compute; they stand beyond the page's corner
and are not given out. Patch dropout (2208.07220, 2212.00794) trains on a random part of the patches, one draw a batch.
Norm before the projection: Dual PatchNorm (2302.01327). Tested against x-transformers' ``ViTransformerWrapper``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Grid
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.models.demands import checked_keep, must_be
from semagram.models.embedding import SinusoidalPositions
from semagram.models.patches import LearnedPatches, cut
from semagram.models.stack import Blocks


@dataclass(frozen=True)
class Vision:
    """Reads images; every patch sees every other."""

    image: tuple[int, int] = (32, 32)
    """Height and width in pixels; without learned positions other sizes can be read too."""
    patch: tuple[int, int] = (4, 4)
    """Height and width of a patch; they must divide the image's."""
    channels: int = 3
    """Colours of a pixel."""
    blocks: Blocks = field(default_factory=Blocks)
    """Width, depth and what the blocks are made of; rotary attention sees rows and columns."""
    positions: LearnedPatches | SinusoidalPositions | None = None
    """Add to each patch where it stands; none: only the mixers know (rotary attention, say)."""
    patch_norm: bool = False
    """Normalise the pixels of each patch before they are projected."""
    normalise: bool = True
    """Apply the blocks' norm to the projected patches."""
    class_token: bool = False
    """Begin with a learned vector, which pooling ``First`` reads."""
    registers: int = 0
    """Learned vectors at the end that are not given out."""
    patch_dropout: float = 0.0
    """Share of the patches left out, in training."""

    def __post_init__(self) -> None:
        if min(*self.image, *self.patch, self.channels) < 1:
            raise UserError(
                f"vision image, patch and channels must be at least 1, "
                f"got {self.image}, {self.patch} and {self.channels}."
            )
        if self.image[0] % self.patch[0] or self.image[1] % self.patch[1]:
            raise UserError(f"patches of {self.patch} do not fill an image of {self.image}.")
        if self.registers < 0:
            raise UserError(f"vision registers must be 0 or more, got {self.registers}.")
        if not 0.0 <= self.patch_dropout < 1.0:
            raise UserError(f"vision patch_dropout must be from 0 up to, not including, 1; got {self.patch_dropout}.")
        must_be(Visibility.FULL, self.blocks, "a Vision encoder")

    @property
    def width(self) -> int:
        """Features of what it gives."""
        return self.blocks.width

    def build(self) -> VisionNetwork:
        """The module, with its starting weights."""
        return VisionNetwork(self)


class VisionNetwork(nn.Module):
    """See ``Vision``: images ``(b, c, H, W)`` -> a ``Context`` of one vector a patch, row by row."""

    def __init__(self, config: Vision) -> None:
        super().__init__()
        c, width = config, config.width
        self.patch, self.channels, self.patch_dropout = c.patch, c.channels, c.patch_dropout
        pixels = c.patch[0] * c.patch[1] * c.channels
        self.patch_norm = c.blocks.norm.build(pixels) if c.patch_norm else None
        self.embedding = nn.Linear(pixels, width)
        self.embedding_norm = c.blocks.norm.build(width) if c.normalise else None
        rows, columns = c.image[0] // c.patch[0], c.image[1] // c.patch[1]
        self.positions = None if c.positions is None else c.positions.build(width, Grid(rows, columns))
        self.class_token = nn.Parameter(torch.randn(1, width)) if c.class_token else None
        self.registers = nn.Parameter(torch.randn(c.registers, width)) if c.registers else None
        self.dropout = nn.Dropout(c.blocks.dropout)
        self.stack = c.blocks.build()

    def forward(self, image: Tensor, keep: Tensor | None = None) -> Context:
        """``(b, c, H, W)`` -> features ``(b, n, d)``; ``keep (b, patches)`` is False at patches that do not count.

        With a class token n is patches + 1, and it comes first; registers are left out. In training, patch dropout
        leaves fewer.
        """
        patches = cut(image, self.patch, self.channels)
        b, rows, columns, _ = patches.shape
        keep = checked_keep(keep, b, rows * columns)
        places = [torch.arange(count, device=image.device) for count in (rows, columns)]
        coords = torch.stack(torch.meshgrid(*places, indexing="ij"), dim=-1).reshape(-1, 2)
        patches = patches.flatten(1, 2)
        if self.training and self.patch_dropout > 0.0:
            left = max(1, round(len(coords) * (1.0 - self.patch_dropout)))
            chosen = torch.randperm(len(coords), device=image.device)[:left].sort().values
            patches, coords, keep = patches[:, chosen], coords[chosen], None if keep is None else keep[:, chosen]
        x = self.embedding(patches if self.patch_norm is None else self.patch_norm(patches))
        x = x if self.embedding_norm is None else self.embedding_norm(x)
        if self.positions is not None:
            x = x + self.positions(Geometry(coords, coords[:, 0], Visibility.FULL))
        return self._seen(self.dropout(x), coords, keep)

    def _seen(self, x: Tensor, coords: Tensor, keep: Tensor | None) -> Context:
        """Class token, patches and registers through the stack; registers are dropped again."""
        front = x.new_zeros(0, x.shape[2]) if self.class_token is None else self.class_token
        back = x.new_zeros(0, x.shape[2]) if self.registers is None else self.registers
        b, given = x.shape[0], len(front) + x.shape[1]
        x = torch.cat([front.expand(b, -1, -1), x, back.expand(b, -1, -1)], dim=1)
        corner = coords.new_full((1, 2), -1)  # outside the page, so that no patch stands there
        coords = torch.cat([corner.expand(len(front), 2), coords, corner.expand(len(back), 2)])
        if keep is not None:
            always = [keep.new_ones(b, len(part)) for part in (front, back)]
            keep = torch.cat([always[0], keep, always[1]], dim=1)
        geometry = Geometry(coords, torch.arange(len(coords), device=x.device), Visibility.FULL, keep)
        kept = None if keep is None else keep[:, :given]
        return Context(self.stack(x, geometry)[:, :given], kept, coords[:given])
