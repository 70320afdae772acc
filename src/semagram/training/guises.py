"""A run's network in its guises: the one that is trained, and the plain one that is scored, sampled from and saved.

Without shards they are one object. With shards the plain one is a twin whose weights are gathered when they are asked
for, so nothing else in a run need know of shards. ``faster`` is what ``compile`` and Fabric made of the network.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from semagram.training.recompute import recompute, undo
from semagram.training.settings import Training
from semagram.training.sharded import gather_into, scatter_from
from semagram.training.strategies import Sharded

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule


class Guises:
    """See the module. ``network`` is as it was built; from here on it belongs to the run."""

    def __init__(self, network: nn.Module, settings: Training, fabric: Fabric) -> None:
        sharded = isinstance(settings.strategy, Sharded)
        self.plain: nn.Module = copy.deepcopy(network).to(fabric.device) if sharded else network
        """Its names and its own arithmetic are saved and scored."""
        self._trained, self._twins = network, sharded
        self._again = recompute(network) if settings.recompute else []
        compiled: Any = torch.compile(network) if settings.compile else network
        self.faster: _FabricModule = fabric.setup_module(compiled)
        """What is called in training."""

    @property
    def trained(self) -> nn.Module:
        """The one that holds the parameters that are stepped."""
        return self._trained

    def train(self) -> None:
        """Dropout and the like are on."""
        self.plain.train()
        self._trained.train()

    def collect(self) -> None:
        """Bring the plain one up to date; with shards every process must ask."""
        if self._twins:
            gather_into(self.plain, self._trained)

    def hand_out(self) -> None:
        """The plain one's weights were restored: give them to the one that is trained."""
        if self._twins:
            scatter_from(self.plain, self._trained)

    def release(self) -> None:
        """Leave the network as it was built."""
        undo(self._again)
