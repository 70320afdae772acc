"""Talking heads: heads mix their scores, their weights, or both (arXiv 2003.02436).

    s'_g = sum_h B_gh s_h  before the weights,    a'_g = sum_h A_gh a_h  after them,    B and A (h, h)

B works on the plain scaled products, before caps, biases and what may not be seen, so that minus infinity is never
mixed; A on the weights, those of a sink included. Both start as the identity: a network begins as one without them.
Tested against x-transformers (each side, and both) and against the formula, head by head (``reference``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class TalkingHeads:
    """Let heads mix what they found."""

    before: bool = True
    """Mix the scores before they become weights."""
    after: bool = True
    """Mix the weights before they meet the values."""

    def __post_init__(self) -> None:
        if not (self.before or self.after):
            raise UserError("talking heads that mix nothing: before and after are both False; for none, leave it out.")

    def build(self, heads: int) -> TalkingHeadsMaps:
        """The two maps; raises ``UserError`` for a single head, which has nobody to talk to."""
        if heads < 2:
            raise UserError(f"talking heads need at least 2 heads, got {heads}.")
        return TalkingHeadsMaps(self, heads)


class TalkingHeadsMaps(nn.Module):
    """See ``TalkingHeads``; each side ``(b, h, ..., q, k) -> (b, h, ..., q, k)``."""

    def __init__(self, config: TalkingHeads, heads: int) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.eye(heads)) if config.before else None
        self.after = nn.Parameter(torch.eye(heads)) if config.after else None

    def of_scores(self, scores: Tensor) -> Tensor:
        """Before the weights."""
        return scores if self.before is None else mixed(self.before, scores)

    def of_weights(self, weights: Tensor) -> Tensor:
        """After them."""
        return weights if self.after is None else mixed(self.after, weights)


def mixed(share: Tensor, found: Tensor) -> Tensor:
    """``share (g, h)`` over the heads of ``(b, h, ...)``: -> ``(b, g, ...)``."""
    return (share @ found.flatten(2)).unflatten(2, found.shape[2:])


def reference(share: Tensor, found: Tensor) -> Tensor:
    """The same, head by head."""
    return torch.stack([sum(s * found[:, h] for h, s in enumerate(row)) for row in share], dim=1)  # type: ignore[arg-type]
