"""Muon of sharded matrices: momentum is kept in shards, gathered one weight at a time, and orthogonalised whole.

A matrix cannot be orthogonalised in parts, so every process gathers the momentum that a step is made of, makes the
whole step and keeps its own rows: the numbers of ``Muon``, with the memory of a shard. Tested against ``Muon``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from semagram.training.muon import newton_schulz
from semagram.training.parameters import Part
from semagram.training.sharded import assign, rows_of, whole

Slot = tuple[int, int, int, bool]
"""Number of the part, first row, row after the last, whether the matrix lies on its side."""


class ShardedMuon:
    """As ``Muon``; ``state`` and ``restore`` are collective, and their tensors are those of ``Muon``."""

    def __init__(self, hidden: list[Part], momentum: float, weight_decay: float, steps: int) -> None:
        self.parts = hidden
        self._momentum, self._weight_decay, self._steps = momentum, weight_decay, steps
        self._momenta = [torch.zeros_like(part.parameter.detach()) for part in hidden]
        self._slots: dict[tuple[int, int], list[Slot]] = {}
        for number, part in enumerate(hidden):
            start = 0
            for rows in part.rows:
                columns = part.parameter.shape[1]
                shape = (max(rows, columns), min(rows, columns))
                self._slots.setdefault(shape, []).append((number, start, start + rows, rows < columns))
                start += rows

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of every matrix at learning rate ``rate``; collective."""
        for number, part in enumerate(self.parts):
            gradient = part.parameter.grad
            gradient = torch.zeros_like(part.parameter) if gradient is None else gradient
            momentum = self._momenta[number]
            momentum.lerp_(gradient, 1 - self._momentum)
            full = whole(gradient.lerp(momentum, self._momentum))
            change = torch.empty_like(full)
            for shape, slots in self._of(number):
                matrices = torch.stack([full[a:b].T if turned else full[a:b] for _, a, b, turned in slots])
                update = newton_schulz(matrices, self._steps)
                for (_, a, b, turned), step in zip(slots, update.unbind(0), strict=True):
                    change[a:b] = (step.T if turned else step) * (shape[0] / shape[1]) ** 0.5
            mine = part.parameter.detach().to_local()  # type: ignore[attr-defined]
            if self._weight_decay:
                mine.mul_(1 - rate * self._weight_decay)
            mine.add_(rows_of(change, part.parameter), alpha=-rate)

    def state(self) -> dict[str, Tensor]:
        """The momentum of all matrices of a shape, stacked, by name: what ``Muon`` has, as copies; collective."""
        full = [whole(momentum) for momentum in self._momenta]
        found = {}
        for (rows, columns), slots in self._slots.items():
            matrices = [full[number][a:b].T if turned else full[number][a:b] for number, a, b, turned in slots]
            found[f"momentum.{rows}x{columns}"] = torch.stack(matrices)
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what ``state`` gave; collective."""
        full = [torch.zeros(m.shape, device=m.device) for m in self._momenta]
        for (rows, columns), slots in self._slots.items():
            for (number, a, b, turned), matrix in zip(slots, state[f"momentum.{rows}x{columns}"], strict=True):
                full[number][a:b] = matrix.T if turned else matrix
        for momentum, values in zip(self._momenta, full, strict=True):
            assign(momentum, values)

    def _of(self, number: int) -> Iterator[tuple[tuple[int, int], list[Slot]]]:
        """The slots of one part, by shape."""
        for shape, slots in self._slots.items():
            mine = [slot for slot in slots if slot[0] == number]
            if mine:
                yield shape, mine
