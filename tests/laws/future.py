"""Law 1, on a predictor: what is not written yet does not move an answer by one bit.

Two canvases are written alike up to a cell and differently from there. Everything answered before (the choice of cells,
their distributions, and the earlier rows of a parallel ``read``) must be equal to the bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws.broken import require
from laws.company import told

LAW = "no peeking"


def check_predictor(predictor: Any, layout: Any, ids: Tensor) -> None:
    """``ids (b, n)``: of the cells for the stepwise question, in order of writing for ``read``."""
    n = layout.count
    answers, cells = told(predictor, layout, ids)
    for cut in sorted({0, 1, n // 2, n - 1} & set(range(n))):
        later = torch.zeros_like(ids, dtype=torch.bool).scatter(1, cells[:, cut:], True)
        changed = torch.where(later, (ids + 1) % predictor.vocabulary_size, ids)
        again, again_cells = told(predictor, layout, changed)
        group = predictor.open(layout, ids.shape[0]).next_positions.shape[1]
        known = cut // group * group + group  # the group that holds the cut was asked before any of it was written
        require(torch.equal(again_cells[:, :known], cells[:, :known]), LAW, f"ids after {cut} cells changed the order")
        require(torch.equal(again[:, :known], answers[:, :known]), LAW, f"ids after {cut} cells changed an answer")
        if predictor.fixed_order:
            read = predictor.open(layout, ids.shape[0]).read(ids)
            other = torch.cat([ids[:, :cut], (ids[:, cut:] + 1) % predictor.vocabulary_size], dim=1)
            read_again = predictor.open(layout, ids.shape[0]).read(other)
            same = torch.equal(read[:, : cut + 1], read_again[:, : cut + 1])
            require(same, LAW, f"read: ids from place {cut} on changed rows up to it")


def check_order(predictor: Any, layout: Any, ids: Tensor) -> None:
    """The coming cells are unwritten ones, and over the whole canvas each comes exactly once."""
    _, cells = told(predictor, layout, ids)
    for row in cells.tolist():
        require(sorted(row) == list(range(layout.count)), "every cell once", f"the cells were {row}")
