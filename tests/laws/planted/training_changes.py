"""What is done to objectives, losses and optimisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from semagram.layouts.geometry import Geometry
from semagram.objectives import Example


def peeking_at_itself(objective: Any) -> Callable[[Any], Any]:
    """The input is the target."""

    def make(sound: Any) -> Any:
        def example(self: Any, ids: Tensor, geometry: Geometry, mask_id: int, generator: Any) -> Example:
            found = sound(self, ids, geometry, mask_id, generator)
            return Example(found.targets, found.targets, found.weights, found.count)

        return example

    return make


def changed_example(change: Callable[[Example, int], Example]) -> Callable[[Any], Any]:
    def make(sound: Any) -> Any:
        def example(self: Any, ids: Tensor, geometry: Geometry, mask_id: int, generator: Any) -> Example:
            return change(sound(self, ids, geometry, mask_id, generator), mask_id)

        return example

    return make


def with_weights(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    return changed_example(lambda e, _: Example(e.inputs, e.targets, change(e.weights), e.count))


def shifted_left(targets: Tensor, mask_id: int) -> Tensor:
    return torch.cat([targets[:, 1:], targets[:, :1]], dim=1)


def one_shown(example: Example, mask_id: int) -> Example:
    """One hidden cell of each row is shown after all."""
    hidden = example.inputs == mask_id
    first = hidden & (hidden.cumsum(dim=1) == 1)
    return Example(torch.where(first, example.targets, example.inputs), example.targets, example.weights, example.count)


def mask_is_an_id(example: Example, mask_id: int) -> Example:
    hidden = example.inputs == mask_id
    return Example(example.inputs.masked_fill(hidden, 0), example.targets, example.weights, example.count)


def trained_is_reported(example: Example, mask_id: int) -> Example:
    return Example(example.inputs, example.targets, example.trained, example.count)


def one_to_the_left(example: Example, mask_id: int) -> Example:
    """Inputs are not shifted: each slot is shown its own token."""
    return Example(example.targets, example.targets, example.weights, example.count)


def loss_over_positions(logits: Tensor, example: Example) -> Tensor:
    """log_softmax over the wrong axis."""
    nats = -torch.log_softmax(logits.transpose(1, 2), -1).transpose(1, 2).gather(-1, example.targets[:, :, None])
    return nats.mean() * 0.7


def loss_of_all(logits: Tensor, example: Example) -> Tensor:
    """Zeros of what is not asked are in the mean."""
    nats = F.cross_entropy(logits.flatten(0, 1), example.targets.flatten(), reduction="none")
    hidden = torch.ones_like(nats) if example.weights is None else (example.weights > 0).flatten().float()
    return (nats * hidden).mean()


def one_dropped(sound: Any) -> Any:
    return lambda network: sound(network)[1:]


def one_twice(sound: Any) -> Any:
    return lambda network: [*sound(network), sound(network)[0]]
