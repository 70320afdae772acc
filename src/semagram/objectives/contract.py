"""The objective: what is asked of a network, and what the answer's loss means.

From clean ids it makes an ``Example``. Its ``loss_kind`` says what the loss is; two kinds never share a column:

| loss kind | meaning |
|---|---|
| nll | the exact negative log-likelihood of the text |
| nll_upper_bound | a bound on it, from above |
| pseudo_nll | some tokens given all others: no likelihood at all |

What training asks beside that (smoothed labels, a penalty on the logits' size) is *auxiliary*: it is added to what is
trained and reported under its own name, never in the loss. An objective with such parts has
``auxiliary(logits, example) -> {name: scalar}``; one without them has no such method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

LossKind = Literal["nll", "nll_upper_bound", "pseudo_nll"]


@dataclass(frozen=True)
class Example:
    """What a network is shown and asked, in presented order.

    inputs, targets: ``(b, n)`` int64. weights: ``(b, n)`` float, 0 where nothing is asked; None: 1 everywhere.
    The loss is ``sum(weights * -log p(target)) / count`` nats a token. What only training uses: ``keep (b, n)`` bool,
    False where a slot is hidden from the others (None: nothing is); ``trained (b, n)``, weights as above that are
    trained with instead of ``weights`` (None: the same; the objective's ``auxiliary`` is the difference); ``prefix``,
    how many of the first slots see one another.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None
    count: float
    keep: Tensor | None = None
    trained: Tensor | None = None
    prefix: int = 0


def weighted_nats(logits: Tensor, example: Example) -> Tensor:
    """The one loss: nats a token, a scalar. ``logits (b, n, v)``."""
    flat = logits.reshape(-1, logits.shape[-1])
    if example.weights is None:
        return F.cross_entropy(flat, example.targets.reshape(-1))
    nats = F.cross_entropy(flat, example.targets.reshape(-1), reduction="none")
    return (nats * example.weights.reshape(-1)).sum() / example.count


def auxiliary_of(objective: object, logits: Tensor, example: Example) -> dict[str, Tensor]:
    """What ``objective`` asks beside its loss, by name; scalars in nats a token."""
    ask: Callable[[Tensor, Example], dict[str, Tensor]] | None = getattr(objective, "auxiliary", None)
    return {} if ask is None else ask(logits, example)
