"""How a branch's output y joins the stream h: by sum, through a gated recurrent unit, through a highway gate.

    Plus      keep * h + y            skip scaling: NormFormer (arXiv 2110.09456), DeepNet (2203.00555)
    GRUGate   GRUCell(input y, state h)                   GTrXL, 1910.06764
    Highway   (1 - t) * h + t * y,  t = sigmoid(W h + b)   1505.00387

A branch reads with ``read(h)`` and writes with ``write``. A join may keep more than one vector a position (see
``hyper_connections.py``, ``depth_attention.py``, ``reversible.py``): its config then has ``open`` and ``close``.
Everything happens position by position, so a join needs no state. Tested against x-transformers and the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.models.depth_attention import DepthAttention
from semagram.models.hyper_connections import HyperConnections
from semagram.models.reversible import Reversible


class Join(Protocol):
    """One branch's way in and out of the stream; a module."""

    def read(self, h: Any) -> tuple[Tensor, Any]:
        """What the branch is shown, ``(b, n, d)``, and what ``write`` must be given."""
        ...

    def write(self, carry: Any, y: Tensor) -> Any:
        """The stream after the branch said ``y (b, n, d)``."""
        ...


@dataclass(frozen=True)
class Plus:
    """The sum, the stream's share scaled if wanted."""

    keep: float = 1.0
    """What the stream is multiplied by before the branch is added."""
    learned: bool = False
    """Learn ``keep``, a number a feature."""

    def __post_init__(self) -> None:
        if not self.keep > 0:
            raise UserError(f"Plus keep must be above 0, got {self.keep}.")

    def build(self, width: int, index: int, norm: Any) -> PlusJoin:
        """The module of branch ``index``."""
        return PlusJoin(self, width)


@dataclass(frozen=True)
class GRUGate:
    """A gated recurrent unit whose state is the stream and whose input is the branch."""

    def build(self, width: int, index: int, norm: Any) -> GRUJoin:
        """The module of branch ``index``."""
        return GRUJoin(width)


@dataclass(frozen=True)
class Highway:
    """A gate a feature, read from the stream, between stream and branch."""

    start: float = -1.0
    """The gate's bias at the beginning; below 0 the stream is carried rather than replaced."""

    def build(self, width: int, index: int, norm: Any) -> HighwayJoin:
        """The module of branch ``index``."""
        return HighwayJoin(self, width)


class PlusJoin(nn.Module):
    """See ``Plus``."""

    def __init__(self, config: Plus, width: int) -> None:
        super().__init__()
        self.keep = nn.Parameter(torch.full((width,), config.keep)) if config.learned else config.keep

    def read(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The stream itself, twice."""
        return h, h

    def write(self, h: Tensor, y: Tensor) -> Tensor:
        """``keep * h + y``."""
        return h + y if isinstance(self.keep, float) and self.keep == 1.0 else h * self.keep + y


class GRUJoin(nn.Module):
    """See ``GRUGate``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(width, width)

    def read(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The stream itself, twice."""
        return h, h

    def write(self, h: Tensor, y: Tensor) -> Tensor:
        """The unit's new state."""
        return self.cell(y.reshape(-1, y.shape[-1]), h.reshape(-1, h.shape[-1])).view_as(h)


class HighwayJoin(nn.Module):
    """See ``Highway``."""

    def __init__(self, config: Highway, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.start = config.start
        self.initialise()

    def initialise(self) -> None:
        """The same gate everywhere."""
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, self.start)

    def read(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The stream itself, twice."""
        return h, h

    def write(self, h: Tensor, y: Tensor) -> Tensor:
        """``h + t * (y - h)``."""
        return torch.lerp(h, y, torch.sigmoid(self.gate(h)))


Joins = Plus | GRUGate | Highway | HyperConnections | DepthAttention | Reversible
"""All of them."""
ManyStreams = HyperConnections | DepthAttention | Reversible
"""Those that keep more than one vector a position."""
