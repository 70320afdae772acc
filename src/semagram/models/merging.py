"""Super-tokens: ``k`` x ``k`` cells of a page (``k`` of a line) merged into one, and handed back to each of them.

    coarse_S = W_in  sum_j g_j * x_{S,j}          x_{S,j} <- x_{S,j} + h_j * (W_out coarse'_S)

with a learnt gain g_j, h_j for every place j in the square. A merged page is a page again (its coordinates are
divided by k, whatever the page's size), so any mixer works on it (U-shape as in Hourglass, arXiv 2110.13711, on two
axes). Squares that hold no kept cell are padding there. Needs FULL visibility: a super-token has seen all of its
cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semagram.layouts.geometry import Geometry


class Merging(nn.Module):
    """From ``(b, n, d)`` to super-tokens ``(b, s, d)`` and back; ``axes`` of the layout."""

    def __init__(self, side: int, axes: int, width: int) -> None:
        super().__init__()
        self.side, self.places = side, side**axes
        self.gains = nn.Parameter(torch.full((self.places, width), self.places**-0.5))
        self.inward = nn.Linear(width, width, bias=False)
        self.returns = nn.Parameter(torch.ones(self.places, width))
        self.outward = nn.Linear(width, width, bias=False)

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def merge(self, x: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        """Super-tokens and where they stand."""
        home, count, coarse = self._squares(geometry)
        if geometry.keep is not None:
            x = x * geometry.keep[:, :, None]
        laid = x.new_zeros(x.shape[0], count * self.places, x.shape[2]).index_copy(1, home, x)
        merged = (laid.unflatten(1, (count, self.places)) * self.gains).sum(dim=2)
        return self.inward(merged), coarse

    def hand_back(self, x: Tensor, coarse: Tensor, geometry: Geometry) -> Tensor:
        """``x`` with what its super-tokens say to it."""
        home, _, _ = self._squares(geometry)
        told = (self.outward(coarse)[:, :, None] * self.returns).flatten(1, 2)
        return x + told.index_select(1, home)

    def _squares(self, geometry: Geometry) -> tuple[Tensor, int, Geometry]:
        """The place of each slot among ``s * places``, s, and the merged page."""
        return geometry.once(("merged", self.side), lambda: _squares(geometry, self.side, self.places))


def _squares(geometry: Geometry, side: int, places: int) -> tuple[Tensor, int, Geometry]:
    coords, device = geometry.coords, geometry.coords.device
    extent = tuple((low // side, high // side) for low, high in geometry.extent)
    square = torch.zeros(geometry.count, dtype=torch.int64, device=device)
    inside, count = torch.zeros_like(square), 1
    for axis, (low, high) in enumerate(extent):
        length = high - low + 1
        square = square * length + torch.div(coords[:, axis], side, rounding_mode="floor") - low
        inside = inside * side + coords[:, axis] % side
        count *= length
    axes = [torch.arange(low, high + 1, device=device) for low, high in extent]
    where = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(count, len(axes))
    home = square * places + inside
    cells = 1
    for low, high in geometry.extent:
        cells *= high - low + 1
    keep = None
    if geometry.keep is not None or geometry.count < cells:  # some square may be empty
        kept = torch.ones(1, geometry.count, dtype=torch.bool, device=device)
        kept = kept if geometry.keep is None else geometry.keep
        counts = torch.zeros(kept.shape[0], count, device=device).index_add(1, square, kept.float())
        keep = counts > 0
    coarse = Geometry(where, torch.arange(count, device=device), geometry.visibility, keep, extent=extent)
    return home, count, coarse
