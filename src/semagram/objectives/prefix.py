"""Prefix language model: a beginning that is wholly visible, and next tokens after it. Needs CAUSAL visibility.

The cells of the prefix see one another whatever their order, and none of them is asked for; every later cell is
predicted from all cells before it (Liu et al. 2018, arXiv 1801.10198; UL2 and PaLM-2 use it: 2205.05131). Of each batch
the prefix is a share of the canvas drawn anew, none at all among them if ``least`` is 0: so the network is a
plain causal one as well, and that is how it is scored, audited and compressed, by an exact negative log-likelihood.
``CausalPredictor(network, layout, whole_prefix=True)`` reads what is given as a prefix when it writes. Only attention
heeds a prefix. Tested: the loss depends on the prefix in both directions and on no cell that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.contract import Example, LossKind
from semagram.objectives.next_token import NextToken, shifted


@dataclass(frozen=True)
class PrefixLM:
    """Predict each token after a wholly visible prefix of random length."""

    least: float = 0.0
    """Smallest share of the canvas that is prefix."""
    most: float = 0.75
    """Largest share."""

    def __post_init__(self) -> None:
        for name in ("least", "most"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UserError(f"objective.{name} must be from 0 up to, not including, 1; got {getattr(self, name)}.")
        if self.least > self.most:
            raise UserError(f"objective.least must be at most objective.most {self.most}, got {self.least}.")

    @property
    def visibility(self) -> Visibility:
        """What the network must keep to."""
        return Visibility.CAUSAL

    @property
    def loss_kind(self) -> LossKind:
        """What the loss means: exact, of what follows the prefix; on held-out text, of everything."""
        return "nll"

    @property
    def judged(self) -> NextToken:
        """By what held-out text is scored."""
        return NextToken()

    def example(self, ids: Tensor, geometry: Geometry, mask_id: int, generator: torch.Generator) -> Example:
        """``ids (b, n)`` in cell order; the prefix, one length for the batch, comes from ``generator``."""
        targets = ids[:, geometry.order]
        n = targets.shape[1]
        share = self.least + (self.most - self.least) * float(torch.rand((), generator=generator))
        known = min(round(share * n), n - 1)
        weights = (torch.arange(n, device=ids.device) >= known).float().expand_as(targets)
        # Slot ``known`` is shown the last token of the prefix, so the first known + 1 slots hold nothing else.
        prefix = known + 1 if known else 0
        asked = float(targets.shape[0] * (n - known))
        return Example(shifted(targets, mask_id), targets, weights, asked, prefix=prefix)
