"""Centred: every cell is predicted from all the others, in one pass. Needs OTHERS visibility.

The network is shown the clean canvas and must not use a cell for itself, so nothing is hidden and every cell is asked
for. The loss is a pseudo-likelihood (Besag 1975): each factor is exact, their product is not the probability of the
text, and it is always below the NLL's worth of surprise. It never stands beside a likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind


@dataclass(frozen=True)
class Centred:
    """Predict each cell from what stands around it."""

    @property
    def visibility(self) -> Visibility:
        """What the network must keep to."""
        return Visibility.OTHERS

    @property
    def loss_kind(self) -> LossKind:
        """What the loss means."""
        return "pseudo_nll"

    def example(self, ids: Tensor, geometry: Geometry, mask_id: int, generator: torch.Generator) -> Example:
        """``ids (b, n)`` in cell order. Random numbers are not needed."""
        return Example(ids, ids, None, float(ids.numel()))
