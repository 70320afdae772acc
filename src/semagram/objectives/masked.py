"""Masked, any order: hide m random cells and ask for them, given the rest. Needs FULL visibility.

With m uniform on 1..n and weight n / m on each hidden cell, the loss is exactly the mean, over all orders of writing,
of the negative log-likelihood in that order: an upper bound on that of the best mixture of orders (order-agnostic
models: arXiv 1310.1757, 2110.02037; masked diffusion: 2406.04329). In one batch the m are spread evenly over 1..n (a
stratified draw), which keeps the mean and lowers the variance. Padding cells (``geometry.keep``) are no cells of the
page: never hidden, never asked for, not counted. Tested: its mean over every mask of a small page equals the mean
over every order of that page's negative log-likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind


@dataclass(frozen=True)
class Masked:
    """Predict hidden cells, wherever they stand, from the visible ones."""

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
        rows, n = ids.shape
        start = torch.rand((), generator=generator)
        uniform = (torch.arange(rows) / rows + start) % 1.0
        drawn = torch.rand(rows, n, generator=generator)
        if geometry.keep is None:
            cells, total = torch.full((rows,), n), float(ids.numel())
        else:  # padding comes last in the draw, so that it is never hidden and never asked for
            keep = geometry.keep.cpu()
            drawn, cells = drawn.masked_fill(~keep, 2.0), keep.sum(dim=1)
            total = float(cells.sum())
        hidden_count = (uniform * cells).long().minimum((cells - 1).clamp(min=0)) + 1
        place = drawn.argsort(dim=1).argsort(dim=1)
        hidden = (place < hidden_count.minimum(cells)[:, None]).to(ids.device)
        weights = hidden * (hidden_count.reciprocal() * cells).to(ids.device)[:, None]
        return Example(ids.masked_fill(hidden, mask_id), ids, weights, total)
