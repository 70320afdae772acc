"""The page: cells in rows and columns, on which a text is laid along a path, and written in a scan order.

Two paths that have nothing to do with each other (see ``layouts/paths.py``). ``laying`` says where the i-th token of a
text stands: cell i is at the i-th place of that path. ``scan`` says in which order a causal model writes the places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from semagram.errors import UserError
from semagram.layouts.paths import path

if TYPE_CHECKING:
    from semagram.layouts.positions import Positions

Laying = Literal["rows", "right_to_left", "snake", "columns", "diagonals", "spiral", "spiral_outwards", "hilbert"]
Scan = Literal[
    "rows",
    "right_to_left",
    "snake",
    "columns",
    "diagonals",
    "spiral",
    "spiral_outwards",
    "hilbert",
    "random",
    "text",
    "given",
]


@dataclass(frozen=True)
class Grid:
    """A page of ``height`` rows by ``width`` columns."""

    height: int = 16
    """Rows of the page."""
    width: int = 16
    """Columns of the page."""
    scan: Scan = "rows"
    """Order of writing for causal models; text: along the text, however it is laid; given: as ``order`` says."""
    laying: Laying = "rows"
    """How a text is laid on the page: its i-th token stands at the i-th place of this path."""
    seed: int = 0
    """Of the random scan (and of no other)."""
    order: tuple[int, ...] = ()
    """The places ``row * width + column`` in order of writing, for the given scan (and no other)."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UserError(f"layout.height and layout.width must be at least 1, got {self.height} and {self.width}.")
        if self.seed != 0 and self.scan != "random":
            raise UserError(f'layout.seed {self.seed} cannot act: it is for scan "random", the scan is "{self.scan}".')
        if self.order and self.scan != "given":
            raise UserError(f'layout.order {self.order} cannot act: it is for scan "given", the scan is "{self.scan}".')
        if self.scan == "given" and sorted(self.order) != list(range(self.count)):
            raise UserError(
                f"layout.order must hold each of the {self.count} places of the page once for scan given, "
                f"got {self.order}."
            )

    @property
    def count(self) -> int:
        """Cells of a canvas."""
        return self.height * self.width

    @property
    def axes(self) -> int:
        """Coordinate axes."""
        return 2

    def places(self) -> list[int]:
        """Where each cell (token of the text) stands: ``row * width + column``."""
        return path(self.laying, self.height, self.width)

    def positions(self) -> Positions:
        """Cell i stands at coordinates (y, x), the i-th place of ``laying``; its rank follows ``scan``."""
        import torch

        from semagram.layouts.positions import Positions

        places = self.places()
        if self.scan == "text":
            written = places
        elif self.scan == "given":
            written = list(self.order)
        else:
            written = path(self.scan, self.height, self.width, self.seed)
        rank_of_place = torch.empty(self.count, dtype=torch.int64)
        rank_of_place[torch.tensor(written)] = torch.arange(self.count)
        place = torch.tensor(places)
        coords = torch.stack([place // self.width, place % self.width], dim=1)
        rank = rank_of_place[place]
        return Positions(coords, rank, torch.zeros_like(rank))

    def rows_of(self, tokens: list[str]) -> list[list[str]]:
        """The page as it looks: ``count`` (or fewer) token texts on their places; "" elsewhere."""
        page = [[""] * self.width for _ in range(self.height)]
        for token, place in zip(tokens, self.places(), strict=False):
            page[place // self.width][place % self.width] = token
        return page
