"""Patches: an image as a page of vectors, and where its patches stand.

    image (b, c, H, W) -> patches (b, (H / p)(W / q), p q c), row by row; each patch by rows, columns, then channels

An Image is Worth 16x16 Words (arXiv 2010.11929).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Grid
from semagram.layouts.geometry import Geometry


@dataclass(frozen=True)
class LearnedPatches:
    """A learned vector for each patch of an image of one size."""

    def build(self, width: int, layout: Grid) -> LearnedPatchPositions:
        """The table, of as many patches as the layout has cells."""
        return LearnedPatchPositions(layout.height, layout.width, width)


class LearnedPatchPositions(nn.Module):
    """See ``LearnedPatches``."""

    def __init__(self, rows: int, columns: int, width: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.embedding = nn.Embedding(rows * columns, width)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, geometry: Geometry) -> Tensor:
        """Patches at ``(n, 2)`` -> ``(n, d)``. ``UserError`` for an image larger than the table."""
        coords = geometry.coords
        if bool((coords.amax(0) >= torch.tensor([self.rows, self.columns], device=coords.device)).any()):
            raise UserError(
                f"learned positions know {self.rows} x {self.columns} patches; for images of any size use "
                f"SinusoidalPositions, or none with rotary attention."
            )
        return self.embedding(coords[:, 0] * self.columns + coords[:, 1])


def cut(image: Tensor, patch: tuple[int, int], channels: int) -> Tensor:
    """``(b, c, H, W)`` -> ``(b, H / p, W / q, p q c)``. ``UserError`` where the patches do not fill the image."""
    height, width = patch
    shape = tuple(image.shape)
    if len(shape) != 4 or shape[1] != channels:
        raise UserError(f"images must be (b, {channels}, height, width), got {shape}.")
    if shape[2] % height or shape[3] % width:
        raise UserError(f"patches of {height} x {width} do not fill an image of {shape[2]} x {shape[3]}.")
    rows, columns = shape[2] // height, shape[3] // width
    apart = image.reshape(shape[0], channels, rows, height, columns, width)
    return apart.permute(0, 2, 4, 3, 5, 1).reshape(shape[0], rows, columns, height * width * channels)


def join(patches: Tensor, patch: tuple[int, int], channels: int) -> Tensor:
    """The reverse of ``cut``: ``(b, H / p, W / q, p q c)`` -> ``(b, c, H, W)``."""
    b, rows, columns, _ = patches.shape
    apart = patches.reshape(b, rows, columns, patch[0], patch[1], channels)
    return apart.permute(0, 5, 1, 3, 2, 4).reshape(b, channels, rows * patch[0], columns * patch[1])
