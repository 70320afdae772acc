"""The ordinary line: token after token, each written after the one on its left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.layouts.positions import Positions


@dataclass(frozen=True)
class Sequence:
    """A line of ``length`` tokens."""

    length: int = 256
    """Tokens a canvas holds: the longest context the model is trained on."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise UserError(f"layout.length must be at least 1, got {self.length}.")

    @property
    def count(self) -> int:
        """Cells of a canvas."""
        return self.length

    @property
    def axes(self) -> int:
        """Coordinate axes."""
        return 1

    def positions(self) -> Positions:
        """Cell i stands at coordinate (i,) and is written at rank i."""
        import torch

        from semagram.layouts.positions import Positions

        index = torch.arange(self.length)
        return Positions(index[:, None], index, torch.zeros_like(index))
