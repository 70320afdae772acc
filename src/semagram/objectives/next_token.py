"""Next token: every cell is predicted from the cells written before it. Exact, needs CAUSAL visibility.

Slot i (in order of writing) asks for cell i and is shown the token of cell i - 1; the first is shown the reserved
id. So the first token is predicted too, and the loss is the exact negative log-likelihood of the canvas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind


@dataclass(frozen=True)
class NextToken:
    """Predict each token from those written before it."""

    @property
    def visibility(self) -> Visibility:
        """What the network must keep to."""
        return Visibility.CAUSAL

    @property
    def loss_kind(self) -> LossKind:
        """What the loss means."""
        return "nll"

    def example(self, ids: Tensor, geometry: Geometry, mask_id: int, generator: torch.Generator) -> Example:
        """``ids (b, n)`` in cell order. Random numbers are not needed."""
        targets = ids[:, geometry.order]
        return Example(shifted(targets, mask_id), targets, None, float(targets.numel()))


def shifted(targets: Tensor, mask_id: int) -> Tensor:
    """``(b, n)`` targets in order of writing -> the inputs: one to the right, the reserved id first."""
    first = torch.full_like(targets[:, :1], mask_id)
    return torch.cat([first, targets[:, :-1]], dim=1)
