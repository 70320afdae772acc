"""Truncated backpropagation through time: a long text is read segment by segment, the state is carried, gradients not.

    for nats in truncated(network, ids, segment):  nats.backward();  stepper.step(1.0);  stepper.forget_gradients()

Transformer-XL's way of training (arXiv 1901.02860). Any network that can be stepped is carried: with mixer ``Segments``
each layer remembers its inputs and maps them afresh, so that the maps learn what to remember; with ``Attention`` all
keys and values since the beginning are kept as they were made, and how to make them is learnt within segments only.
Losses are exact: every token is asked for once, given everything that the state remembers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.objectives.contract import Example, weighted_nats
from semagram.objectives.next_token import shifted


def truncated(network: Any, ids: Tensor, segment: int) -> Iterator[Tensor]:
    """The loss of each ``segment`` slots of ``ids (b, n)`` in turn, nats a token, a scalar to call ``backward`` on.

    The weights may be stepped between segments. ``UserError`` for an impossible segment, and for a network with
    dropout, which stepping does not know.
    """
    if segment < 1 or ids.shape[1] < 1:
        raise UserError(f"segment must be at least 1 and the text not empty, got {segment} and {ids.shape[1]} ids.")
    if any(isinstance(part, nn.Dropout) and part.p > 0 for part in network.modules()):
        raise UserError("a network with dropout cannot be trained by stepping: set dropout to 0.")
    state = network.new_state(len(ids), Geometry.line(ids.shape[1], Visibility.CAUSAL, like=ids))
    inputs = shifted(ids, network.vocabulary_size)
    for start in range(0, ids.shape[1], segment):
        part = slice(start, start + segment)
        targets = ids[:, part]
        with torch.enable_grad():
            logits = network.step(inputs[:, part], state)
            yield weighted_nats(logits, Example(inputs[:, part], targets, None, float(targets.numel())))
        cut_off(state)


def cut_off(state: Any) -> None:
    """Every tensor that a state holds, however deep, forgets how it was made."""
    if isinstance(state, dict):
        items = list(state.items())
        for key, value in items:
            state[key] = value.detach() if isinstance(value, Tensor) else value
            cut_off(state[key])
    elif isinstance(state, list):
        for index, value in enumerate(state):
            state[index] = value.detach() if isinstance(value, Tensor) else value
            cut_off(state[index])
    elif isinstance(state, tuple):
        for value in state:
            cut_off(value)
    elif hasattr(state, "__dict__") and not isinstance(state, (Tensor, nn.Module, Geometry)):
        cut_off(vars(state))
