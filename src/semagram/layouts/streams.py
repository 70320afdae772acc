"""Parallel streams: a line whose every step holds one token of each axis (letter, tag, ...)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.layouts.positions import Positions


@dataclass(frozen=True)
class Streams:
    """``length`` steps of ``axes_count`` tokens each; within a step the axes are written in their order."""

    length: int = 128
    """Steps of the line."""
    axes_count: int = 2
    """Tokens a step: the main axis and its tags."""

    def __post_init__(self) -> None:
        if self.length < 1 or self.axes_count < 1:
            raise UserError(
                f"layout.length and layout.axes_count must be at least 1, got {self.length} and {self.axes_count}."
            )

    @property
    def count(self) -> int:
        """Cells of a canvas."""
        return self.length * self.axes_count

    @property
    def axes(self) -> int:
        """Coordinate axes: the step, and the stream within it."""
        return 2

    def positions(self) -> Positions:
        """Cell ``step * axes_count + stream`` stands at coordinates (step, stream), written in that order."""
        import torch

        from semagram.layouts.positions import Positions

        step, stream = torch.meshgrid(torch.arange(self.length), torch.arange(self.axes_count), indexing="ij")
        rank = (step * self.axes_count + stream).reshape(-1)
        coords = torch.stack([step.reshape(-1), stream.reshape(-1)], dim=1)
        return Positions(coords, rank, stream.reshape(-1))
