"""A synthetic task: sequences whose scored tokens follow from what stands before them, so that the right loss is known.

A task is a frozen dataclass. ``sample`` draws sequences by a generator, so a set is named by its seed; ``expected``
says, before anything is run, what the literature says of it. Only scored tokens are asked and judged; the rest is the
question. Every answer here follows from what stands before it (or, of ``Memorise``, from the one table there is): its
floor is 0 nats, which a test finds again by solvers, and guessing costs ``chance`` nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """``ids (b, n)`` int64 and ``scored (b, n)`` bool: which tokens must be known from those before them."""

    ids: Tensor
    scored: Tensor


class Task(Protocol):
    """What every task offers."""

    @property
    def length(self) -> int:
        """Tokens of a sequence, n."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Ids are 0..v-1."""
        ...

    @property
    def chance(self) -> float:
        """Nats a scored token of a guesser who knows which answers there can be."""
        ...

    @property
    def expected(self) -> str:
        """What the literature says of it."""
        ...

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``count`` fresh sequences."""
        ...


def distinct(count: int, of: int, wanted: int, generator: torch.Generator) -> Tensor:
    """``(count, wanted)`` int64: in each row ``wanted`` different numbers below ``of``, in random order."""
    return torch.rand(count, of, generator=generator).argsort(dim=1)[:, :wanted]


def drawn(count: int, size: int, of: int, generator: torch.Generator) -> Tensor:
    """``(count, size)`` int64: independent numbers below ``of``."""
    return torch.randint(of, (count, size), generator=generator)
