"""The score of the whole held-out text, the same each time: no random crops.

A CAUSAL network reads overlapping windows, each half a canvas further on, and only the cells that are new in a
window count, so that nearly every token is judged with at least half a canvas before it. A FULL network reads
canvases that do not overlap; of each, every cell is hidden in some of ``DRAWS`` masks with evenly spread shares
and fixed seeds, which estimates the any-order bound with little variance. The unit is nats a token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from semagram.errors import UserError
from semagram.layouts import Layout, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives import Objective
from semagram.predictors.labelled import MEMORY, Labelled
from semagram.training.seeds import Purpose, seed_of

Evaluate = Callable[[nn.Module], float]
"""From a network (on its device, in evaluation mode, under no_grad) to the held-out text's nats a token."""

DRAWS = 8
"""Masks a canvas, for objectives that hide cells at random."""
ROWS = 32
"""Canvases read together."""


@dataclass(frozen=True)
class Windows:
    """Where canvases begin in a text of N tokens, and the first cell of each that is new: ``(w,)`` int64 both."""

    starts: NDArray[np.int64]
    new: NDArray[np.int64]

    @classmethod
    def over(cls, tokens: int, count: int, stride: int) -> Windows:
        """Windows of ``count`` cells that cover ``tokens >= count``, ``stride`` apart; the last ends with the text."""
        starts = np.append(np.arange(0, tokens - count, stride), tokens - count)
        ends = np.concatenate([[0], starts[:-1] + count])
        return cls(starts, ends - starts)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """``HeldOut(...)(network)``: the default ``Evaluate``."""

    ids: NDArray[np.unsignedinteger]
    layout: Layout
    objective: Objective

    def __post_init__(self) -> None:
        if len(self.ids) < 1:
            raise UserError("the held-out text is empty: give a longer text or a larger training.held_out.")
        if not isinstance(self.layout, Sequence) and len(self.ids) < self.layout.count:
            raise UserError(
                f"the held-out text has {len(self.ids)} tokens, but one canvas of the layout holds "
                f"{self.layout.count}: give a longer text, a larger training.held_out or a smaller layout."
            )

    def __call__(self, network: nn.Module) -> float:
        """Nats a token over the whole held-out text."""
        layout = self.layout
        if isinstance(layout, Sequence):
            layout = replace(layout, length=min(layout.length, len(self.ids)))
        count, causal = layout.count, self.objective.visibility is Visibility.CAUSAL
        windows = Windows.over(len(self.ids), count, max(1, count // 2) if causal else count)
        device = next(network.parameters()).device
        geometry = Geometry.of(layout.positions(), self.objective.visibility).to(device)
        draws = DRAWS if self.objective.loss_kind == "nll_upper_bound" else 1
        rows = max(1, ROWS // draws)
        total = 0.0
        if isinstance(network, Labelled):
            network = network.knowing(np.asarray(self.ids, dtype=np.int64))
        with torch.no_grad():
            for first in range(0, len(windows.starts), rows):
                starts = windows.starts[first : first + rows]
                new = windows.new[first : first + rows]
                ids = torch.from_numpy(self.ids[starts[:, None] + np.arange(count)].astype(np.int64))
                counted = torch.from_numpy(np.arange(count) >= new[:, None])
                if isinstance(network, Labelled):
                    before = [np.asarray(self.ids[max(0, s - MEMORY) : s], dtype=np.int64) for s in starts.tolist()]
                    network = network.placed(before, starts)
                total += self._nats(network, geometry, ids.to(device), counted.to(device), draws, first)
        return total / len(self.ids)

    def _nats(
        self,
        network: nn.Module,
        geometry: Geometry,
        ids: torch.Tensor,
        counted: torch.Tensor,
        draws: int,
        first: int,
    ) -> float:
        """Nats of the counted cells ``(w, n)`` of these windows. Repeating the block of windows, not each window,
        gives every window masks of shares spread evenly over the whole range."""
        generator = torch.Generator().manual_seed(seed_of(0, first, Purpose.EXAMPLE))
        mask_id: int = network.vocabulary_size  # type: ignore[assignment]
        judged = getattr(self.objective, "judged", self.objective)
        example = judged.example(ids.repeat(draws, 1), geometry, mask_id, generator)
        logits = network(example.inputs, geometry).float()
        nats = F.cross_entropy(logits.flatten(0, 1), example.targets.flatten(), reduction="none")
        nats = nats.view_as(example.targets)
        if example.weights is not None:
            nats = nats * example.weights
        counted = counted[:, geometry.order].repeat(draws, 1)
        return (nats.double() * counted).sum().item() / draws
