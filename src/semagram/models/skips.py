"""Ways from below to above that leave out the blocks between: U-Net skips, and the input given again to every branch.

    UNetSkips     before block l of the upper half: x = W [x of the mirrored block; x]        U-ViT, arXiv 2209.12152
    Reinjection   every branch reads h + sigmoid(w x0) V x0, x0 what entered the stack        DEQ, 1909.01377

W begins as "x as it is", V at 0. Tested against x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class UNetSkips:
    """The upper half of the blocks is shown what entered the lower half, the last block the first's input."""

    def build(self, width: int, runs: int) -> nn.ModuleDict:
        """A linear map for each run of a block in the upper half, by its number."""
        first = (runs + 1) // 2
        return nn.ModuleDict({str(number): SkipMap(width) for number in range(first, runs)})


@dataclass(frozen=True)
class Reinjection:
    """Every branch is shown again what entered the stack."""

    gated: bool = False
    """Let a position say how much of it."""

    def build(self, width: int) -> ReinjectionLayer:
        """The module."""
        return ReinjectionLayer(width, self.gated)


Skips = UNetSkips | Reinjection


class SkipMap(nn.Module):
    """``(b, n, d), (b, n, d) -> (b, n, d)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.both = nn.Linear(2 * width, width, bias=False)
        self.initialise()

    def initialise(self) -> None:
        """The skipped part says nothing."""
        width = self.both.out_features
        with torch.no_grad():
            self.both.weight.copy_(torch.cat([torch.zeros(width, width), torch.eye(width)], dim=1))

    def forward(self, x: Tensor, below: Tensor) -> Tensor:
        """Position by position."""
        return self.both(torch.cat([below, x], dim=-1))


class ReinjectionLayer(nn.Module):
    """``(b, n, d) -> (b, n, d)``."""

    def __init__(self, width: int, gated: bool) -> None:
        super().__init__()
        self.again = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, 1, bias=False) if gated else None
        self.initialise()

    def initialise(self) -> None:
        """Nothing is given again."""
        nn.init.zeros_(self.again.weight)

    def forward(self, x: Tensor) -> Tensor:
        """What every branch is shown beside the stream."""
        again = self.again(x)
        return again if self.gate is None else again * torch.sigmoid(self.gate(x))
