"""Masked language modelling as BERT does it: ask for a fixed share of the cells, given the rest. Needs FULL visibility.

Of a canvas a share of the cells is chosen (arXiv 1810.04805: 15 %); 80 % of them are masked, 10 % get a random id and
10 % stay as they are, so that the network must keep an opinion on what it is shown. All chosen cells are trained on,
with equal weight. The loss that is *reported* is that of the masked ones alone: a cell that is shown is no prediction
(on random text it is guessed far below ln v). It is a pseudo-likelihood at one share of masks, no bound and no
likelihood; use ``Masked`` where a number is wanted that compresses. Counts are exact in every canvas, not drawn.
Tested: shares, and the gradient against the cross-entropy over all chosen cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind, weighted_nats


@dataclass(frozen=True)
class Bert:
    """Predict a fixed share of the cells from the others."""

    share: float = 0.15
    """Of the cells, chosen; at least one a canvas."""
    randomised: float = 0.1
    """Share of the chosen that are shown as a random id."""
    shown: float = 0.1
    """Share of the chosen that are shown as they are."""

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"objective.share must be above 0 and at most 1, got {self.share}.")
        for name in ("randomised", "shown"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UserError(f"objective.{name} must be from 0 up to, not including, 1; got {getattr(self, name)}.")
        if self.randomised + self.shown >= 1.0:
            raise UserError(f"objective.shown must leave cells to mask beside randomised; got {self.shown}.")

    @property
    def visibility(self) -> Visibility:
        """What the network must keep to."""
        return Visibility.FULL

    @property
    def loss_kind(self) -> LossKind:
        """What the loss means."""
        return "pseudo_nll"

    def example(self, ids: Tensor, geometry: Geometry, mask_id: int, generator: torch.Generator) -> Example:
        """``ids (b, n)`` in cell order; the choice comes from ``generator``. Ids are 0 .. mask_id - 1."""
        rows, n = ids.shape
        chosen = max(1, round(self.share * n))
        changed, left = round(self.randomised * chosen), round(self.shown * chosen)
        masked = max(1, chosen - changed - left)
        place = torch.rand(rows, n, generator=generator).argsort(dim=1).argsort(dim=1).to(ids.device)
        noise = torch.randint(0, mask_id, (rows, n), generator=generator).to(ids.device)
        inputs = torch.where(place < masked, mask_id, ids)
        inputs = torch.where((place >= masked) & (place < masked + changed), noise, inputs)
        weights = (place < masked) * (n / masked)
        trained = (place < chosen) * (n / chosen)
        return Example(inputs, ids, weights, float(ids.numel()), trained=trained)

    def auxiliary(self, logits: Tensor, example: Example) -> dict[str, Tensor]:
        """``shown``: what must be added to the loss of the masked cells to get that of all chosen ones."""
        if not (self.randomised or self.shown) or example.trained is None:
            return {}
        whole = Example(example.inputs, example.targets, example.trained, example.count)
        return {"shown": weighted_nats(logits, whole) - weighted_nats(logits, example)}
