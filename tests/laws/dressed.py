"""Networks that need more than ids, dressed as ones that do not: so that every model meets the same laws.

A hybrid gets rows of n-gram models. Here they come from fixed random tables of what follows each input: normalised,
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
    return WithRows(network, len(config.orders)) if isinstance(config, Hybrid) else network


class WithRows(nn.Module):
    """A hybrid network with a table of rows, ``(v + 1, K, v)``."""

    def __init__(self, network: Any, orders: int) -> None:
        super().__init__()
        self.network, self.visibility = network, network.visibility
        self.vocabulary_size = v = network.vocabulary_size
        noise = torch.randn(v + 1, orders, v, generator=torch.Generator().manual_seed(3))
        self.register_buffer("table", torch.log_softmax(noise, dim=-1), persistent=False)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        return self.network(inputs, geometry, self.table[inputs])

    def new_state(self, batch: int, geometry: Geometry) -> Any:
        return self.network.new_state(batch, geometry)

    def step(self, inputs: Tensor, state: Any) -> Tensor:
        return self.network.step(inputs, state, self.table[inputs])
