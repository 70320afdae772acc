"""Masked, with a share of the pages asked in lines: what comes next along a row or a column, in all four directions.

Such a page is cut across one of its axes at a random line. Everything from that line on, seen in a random direction,
is hidden, and the line itself is asked for: the next cell of every row (or column) at once, given all before it. That
is one step of writing the page line by line, so with weight n / (cells of the line) the mean over cuts is exactly the
negative log-likelihood in that parallel order. The whole loss is then a mean over orders of writing as ``Masked``'s
is (random orders for the other pages), and of the same kind; the two are compared by changing the objective alone.
Needs FULL. Tested against the definition, line by line.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind
from semagram.objectives.masked import Masked


@dataclass(frozen=True)
class Coherent:
    """Predict hidden cells anywhere, and the next cells along rows and columns."""

    share: float = 0.25
    """Of the pages of a batch, those that are asked in lines."""

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise UserError(
                f"objective.share must be above 0 and at most 1, got {self.share} (none at all: the objective Masked)."
            )

    @property
    def visibility(self) -> Visibility:
        """What the network must keep to."""
        return Visibility.FULL

    @property
    def loss_kind(self) -> LossKind:
        """What the loss means."""
        return "nll_upper_bound"

    def example(self, ids: Tensor, geometry: Geometry, mask_id: int, generator: torch.Generator) -> Example:
        """``ids (b, n)`` in cell order; which cells are hidden comes from ``generator``."""
        scattered = Masked().example(ids, geometry, mask_id, generator)
        assert scattered.weights is not None
        rows = ids.shape[0]
        start = float(torch.rand((), generator=generator))
        # Every row is in lines with probability share, and a batch has as near to share * b of them as can be.
        lined = torch.tensor([int((i + 1) * self.share + start) > int(i * self.share + start) for i in range(rows)])
        hidden, weights = lines(geometry, rows, generator)
        lined, hidden, weights = lined.to(ids.device)[:, None], hidden.to(ids.device), weights.to(ids.device)
        inputs = torch.where(lined, ids.masked_fill(hidden, mask_id), scattered.inputs)
        return Example(inputs, ids, torch.where(lined, weights, scattered.weights), scattered.count)


def lines(geometry: Geometry, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hidden cells and the weights of those asked for, ``(b, n)`` both: a random axis, direction and line a row."""
    coords, n = geometry.coords.cpu(), geometry.count
    keep = torch.ones(rows, n, dtype=torch.bool) if geometry.keep is None else geometry.keep.cpu()
    axis = torch.randint(0, coords.shape[1], (rows,), generator=generator)
    backwards = torch.randint(0, 2, (rows,), generator=generator).bool()
    place = torch.rand(rows, generator=generator)
    along = coords.t()[axis]
    along = torch.where(backwards[:, None], -along, along)
    # Only lines that hold a kept cell can be drawn: the place-th of the distinct ones.
    ranked = along.masked_fill(~keep, torch.iinfo(along.dtype).max).sort(dim=1).values
    new = torch.cat([torch.ones(rows, 1, dtype=torch.bool), ranked[:, 1:] != ranked[:, :-1]], dim=1)
    new &= ranked != torch.iinfo(along.dtype).max
    number = new.cumsum(dim=1)
    wanted = (place * number[:, -1]).long().minimum(number[:, -1] - 1).clamp(min=0) + 1
    line = ranked.gather(1, ((number == wanted[:, None]) & new).int().argmax(dim=1, keepdim=True))
    hidden, asked = (along >= line) & keep, (along == line) & keep
    return hidden, asked * (keep.sum(dim=1) / asked.sum(dim=1).clamp(min=1))[:, None]
