"""The objective: what is asked of a network, and what the answer's loss means.

From clean ids it makes an ``Example``. Its ``loss_kind`` says what the loss is; two kinds never share a column:

| loss kind | meaning |
|---|---|
| nll | the exact negative log-likelihood of the text |
| nll_upper_bound | a bound on it, from above |
| pseudo_nll | each token given all others: no likelihood at all |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

LossKind = Literal["nll", "nll_upper_bound", "pseudo_nll"]


@dataclass(frozen=True)
class Example:
    """What a network is shown and asked, in presented order.

    inputs, targets: ``(b, n)`` int64. weights: ``(b, n)`` float, 0 where nothing is asked; None: 1 everywhere.
    The loss is ``sum(weights * -log p(target)) / count`` nats a token.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None
    count: float


def weighted_nats(logits: Tensor, example: Example) -> Tensor:
    """The one loss: nats a token, a scalar. ``logits (b, n, v)``."""
    flat = logits.reshape(-1, logits.shape[-1])
    if example.weights is None:
        return F.cross_entropy(flat, example.targets.reshape(-1))
    nats = F.cross_entropy(flat, example.targets.reshape(-1), reduction="none")
    return (nats * example.weights.reshape(-1)).sum() / example.count
