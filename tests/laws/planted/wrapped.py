"""A predictor of ours with one thing wrong: hooks on opening, asking, reading and writing of a sound one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Hook = Callable[["State", Any], Any]
"""``(state, sound value) -> value that is wrong``."""


def sound(state: State, value: Any) -> Any:
    """No fault."""
    return value


@dataclass
class Wrapped:
    """Behaves as ``inner`` but for its hooks. ``memory`` outlives canvases, as it must not."""

    inner: Any
    ask: Hook = sound
    read: Hook = sound
    write: Hook = sound
    positions: Hook = sound
    given: Hook = sound
    rewound: Hook = sound
    selected: Hook = sound
    extra_ids: int = 0
    shared: bool = False
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def vocabulary_size(self) -> int:
        return self.inner.vocabulary_size + self.extra_ids

    @property
    def context(self) -> int | None:
        return self.inner.context

    @property
    def fixed_order(self) -> bool:
        return self.inner.fixed_order

    def canvas(self, length: int) -> Any:
        return self.inner.canvas(length)

    def open(self, layout: Any, batch: int, given: Tensor | None = None) -> State:
        if self.shared and "state" in self.memory and self.memory["batch"] == batch:
            return self.memory["state"]
        state = State(self, layout, batch, given)
        self.memory.update(state=state, batch=batch)
        return state


class State:
    """The state of a canvas of a ``Wrapped``."""

    def __init__(self, outer: Wrapped, layout: Any, batch: int, given: Tensor | None) -> None:
        self.outer, self.layout, self.batch = outer, layout, batch
        self.memory, self.order = outer.memory, layout.positions().order()
        self.written = torch.zeros(batch, 0, dtype=torch.int64)
        if given is not None and outer.fixed_order:
            self.written = given[:, self.order][:, : int((given[0] >= 0).sum())]
        self.asked = 0
        self.inner = outer.inner.open(layout, batch, outer.given(self, given))

    @property
    def next_positions(self) -> Tensor:
        return self.outer.positions(self, self.inner.next_positions)

    def log_probs(self) -> Tensor:
        self.asked += 1
        return self.outer.ask(self, self.inner.log_probs())

    def write(self, ids: Tensor) -> None:
        self.inner.write(self.outer.write(self, ids))
        self.written = torch.cat([self.written, ids], dim=1)

    def read(self, ids: Tensor) -> Tensor:
        self.coming = ids
        answers = self.inner.read(ids)
        self.written = torch.cat([self.written, ids], dim=1)
        return self.outer.read(self, answers)

    def mark(self) -> object:
        return self.inner.mark(), self.written, self.asked

    def rewind(self, mark: object) -> None:
        inner, self.written, self.asked = mark  # type: ignore[misc]
        self.inner.rewind(self.outer.rewound(self, inner))

    def select(self, rows: Tensor) -> None:
        self.inner.select(self.outer.selected(self, rows))
        self.written = self.written[rows]


def normal(log_weights: Tensor) -> Tensor:
    """Normalised over the vocabulary."""
    return torch.log_softmax(log_weights, dim=-1)
