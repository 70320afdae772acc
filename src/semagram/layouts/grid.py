"""The page: cells in rows and columns, row-major, written in a chosen scan order when read causally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.layouts.positions import Positions


@dataclass(frozen=True)
class Grid:
    """A page of ``height`` rows by ``width`` columns."""

    height: int = 16
    """Rows of the page."""
    width: int = 16
    """Columns of the page."""
    scan: Literal["rows", "snake", "diagonals"] = "rows"
    """Order of writing for causal models: row by row; back and forth; by anti-diagonals, each from its top."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UserError(f"layout.height and layout.width must be at least 1, got {self.height} and {self.width}.")

    @property
    def count(self) -> int:
        """Cells of a canvas."""
        return self.height * self.width

    @property
    def axes(self) -> int:
        """Coordinate axes."""
        return 2

    def positions(self) -> Positions:
        """Cell ``y * width + x`` stands at coordinates (y, x); its rank follows ``scan``."""
        import torch

        from semagram.layouts.positions import Positions

        y, x = torch.meshgrid(torch.arange(self.height), torch.arange(self.width), indexing="ij")
        # Within a diagonal no two rows are the same, so (diagonal, row) orders all cells.
        by_diagonal = ((y + x) * self.height + y).reshape(-1).argsort()
        rank = {
            "rows": y * self.width + x,
            "snake": y * self.width + torch.where(y % 2 == 0, x, self.width - 1 - x),
            "diagonals": by_diagonal.argsort(),
        }[self.scan].reshape(-1)
        coords = torch.stack([y.reshape(-1), x.reshape(-1)], dim=1)
        return Positions(coords, rank, torch.zeros_like(rank))
