"""Networks that need more than ids, dressed as ones that do not: so that every model meets the same laws.

A conditioned network gets fixed random conditions, and categories, a function of each slot's own input. A hybrid gets
rows of n-gram models. Here they come from fixed random tables of what follows each input: normalised,
a function of the slot's own input alone (so they can leak nothing), equal in every build.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from semagram.layouts.geometry import Geometry
from semagram.models import Hybrid


def dressed(config: Any, network: Any) -> Any:
    """``network`` behind the bare ``Network`` contract."""
    if isinstance(config, Hybrid):
        return WithRows(network, config.experts)
    categories = getattr(getattr(config, "embedding", None), "categories", ())
    width = getattr(network, "condition_width", None)
    return network if width is None and not categories else Steered(network, width, categories)


class Steered(nn.Module):
    """A network with a condition and categories, both fixed functions of each slot's own input."""

    def __init__(self, network: Any, width: int | None, categories: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.visibility = network, network.visibility
        self.vocabulary_size = v = network.vocabulary_size
        generator = torch.Generator().manual_seed(4)
        conditions = None if width is None else torch.randn(v + 1, width, generator=generator)
        sorts = torch.stack([torch.arange(v + 1) % size for size in categories], dim=1) if categories else None
        self.register_buffer("conditions", conditions, persistent=False)
        self.register_buffer("sorts", sorts, persistent=False)

    def given(self, inputs: Tensor) -> list[Tensor | None]:
        return [None if table is None else table[inputs] for table in (self.conditions, self.sorts)]

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        return self.network(inputs, geometry, *self.given(inputs))

    def new_state(self, batch: int, geometry: Geometry) -> Any:
        return self.network.new_state(batch, geometry)

    def step(self, inputs: Tensor, state: Any) -> Tensor:
        return self.network.step(inputs, state, *self.given(inputs))


class WithRows(nn.Module):
    """A hybrid network with a table of rows, ``(v + 1, K, v)``."""

    def __init__(self, network: Any, experts: int) -> None:
        super().__init__()
        self.network, self.visibility = network, network.visibility
        self.vocabulary_size = v = network.vocabulary_size
        noise = torch.randn(v + 1, experts, v, generator=torch.Generator().manual_seed(3))
        self.register_buffer("table", torch.log_softmax(noise, dim=-1), persistent=False)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        return self.network(inputs, geometry, self.table[inputs])

    def new_state(self, batch: int, geometry: Geometry) -> Any:
        return self.network.new_state(batch, geometry)

    def step(self, inputs: Tensor, state: Any) -> Tensor:
        return self.network.step(inputs, state, self.table[inputs])
