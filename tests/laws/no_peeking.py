"""Law 1, on the network: change what an output may not see, and it does not move by one bit.

The oracle is the layout's own ranks (a cell may see cells of a strictly smaller rank) or, for masked models, what is
hidden; it never asks the network or the geometry. The reverse is asked too: what an output may see moves something,
since a deaf network keeps the law for nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws.broken import require
from laws.cases import Case
from semagram.layouts import Visibility
from semagram.objectives import Coherent

LAW = "no peeking"
DEAF = "what may be seen is seen"


def check(network: Any, case: Case) -> None:
    """The law on one network, with every objective that trains for its visibility."""
    for objective in case.objectives():
        if case.visibility is Visibility.CAUSAL:
            causal(network, case, objective)
        elif case.visibility is Visibility.OTHERS:
            others(network, case, objective)
        else:
            masked(network, case, objective)


def logits_by_cell(network: Any, case: Case, objective: Any, ids: Tensor) -> Tensor:
    """``(b, n, v)`` in cell order, of the inputs that the objective makes of ``ids`` with a fixed generator."""
    geometry = case.geometry()
    example = objective.example(ids, geometry, case.vocabulary, torch.Generator().manual_seed(5))
    with torch.no_grad():
        presented = network(example.inputs, geometry)
    return torch.empty_like(presented).index_copy_(1, geometry.order, presented)


def causal(network: Any, case: Case, objective: Any) -> None:
    """Cells in turn are changed; only cells of a later rank may move."""
    ids, rank = case.ids(), case.layout.positions().rank
    before = logits_by_cell(network, case, objective, ids)
    heard = False
    for cell in some_cells(rank):
        changed = ids.clone()
        changed[:, cell] = (changed[:, cell] + 1) % case.vocabulary
        moved = (logits_by_cell(network, case, objective, changed) != before).any(-1).any(0)
        may = rank > rank[cell]
        leak = moved & ~may
        require(
            not leak.any(),
            LAW,
            f"changing cell {cell} (rank {int(rank[cell])}) moved the logits of cells {leak.nonzero()[:, 0].tolist()}, "
            f"of ranks {rank[leak].tolist()}",
        )
        heard = heard or bool(moved.any())
    require(heard or case.layout.count == 1 or case.vocabulary == 1, DEAF, "no change of any cell moved any logit")


def others(network: Any, case: Case, objective: Any) -> None:
    """Cells in turn are changed; everything may move but the cell's own logits."""
    ids, rank = case.ids(), case.layout.positions().rank
    before = logits_by_cell(network, case, objective, ids)
    heard = False
    for cell in some_cells(rank):
        changed = ids.clone()
        changed[:, cell] = (changed[:, cell] + 1) % case.vocabulary
        moved = (logits_by_cell(network, case, objective, changed) != before).any(-1).any(0)
        require(not moved[cell], LAW, f"changing cell {cell} moved its own logits")
        heard = heard or bool(moved.any())
    require(heard or case.layout.count == 1 or case.vocabulary == 1, DEAF, "no change of any cell moved any logit")


def some_cells(rank: Tensor, most: int = 4) -> list[int]:
    """All cells of a small canvas; of a larger one the first, the last and some between, in order of writing."""
    order = rank.argsort()
    n = order.numel()
    return order.tolist() if n <= most else [int(order[i * (n - 1) // (most - 1)]) for i in range(most)]


def masked(network: Any, case: Case, objective: Any) -> None:
    """The ids of hidden cells are changed: nothing at all may move; visible cells are not asked for."""
    ids = case.ids()
    example = objective.example(ids, case.geometry(), case.vocabulary, torch.Generator().manual_seed(5))
    hidden = example.inputs == case.vocabulary
    require(hidden.any(dim=1).all(), LAW, "a row hides nothing, so its loss asks for what it shows")
    asked = example.weights != 0 if example.weights is not None else torch.ones_like(hidden)
    require(not (asked & ~hidden).any(), LAW, "cells that are shown are asked for (their weight is not 0)")
    before = logits_by_cell(network, case, objective, ids)
    other = torch.where(hidden, (ids + 1) % case.vocabulary, ids)
    moved = logits_by_cell(network, case, objective, other) != before
    require(not moved.any(), LAW, "changing only hidden cells moved the logits")
    # Lines may hide all that a mixer which sees one cell back could hear.
    in_reach = hearing_is_possible(case) and not isinstance(objective, Coherent)
    if (~hidden).any() and case.vocabulary > 1 and in_reach:
        shown = torch.where(hidden, ids, (ids + 1) % case.vocabulary)
        moved = (logits_by_cell(network, case, objective, shown) != before) & hidden[:, :, None]
        require(moved.any(), DEAF, "changing all visible cells moved no hidden cell's logits")


def hearing_is_possible(case: Case) -> bool:
    """A model without blocks looks at each cell alone."""
    return getattr(case.model, "depth", 1) > 0
