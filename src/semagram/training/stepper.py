"""The stepper: every parameter of a network, held exactly once, stepped together; its state is plain tensors.

AdamW (torch's fused kernel) holds some or all parameters, Muon the hidden matrices where it was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from semagram.training.muon import Muon
from semagram.training.parameters import Part
from semagram.training.sharded import is_shard, like_shard, whole

if TYPE_CHECKING:
    from semagram.training.muon_sharded import ShardedMuon

_STEPS = "steps"

AdamGroup = tuple[Sequence[Part], float, float]
"""Parameters, their peak rate, their weight decay."""


class Stepper:
    """The optimiser of a network. ``parameters`` lists what it holds."""

    def __init__(
        self,
        groups: Sequence[AdamGroup],
        betas: tuple[float, float],
        muon: tuple[Muon | ShardedMuon, float] | None = None,
        make: Callable[[list[dict[str, Any]]], torch.optim.Optimizer] | None = None,
        second_order: bool = False,
    ) -> None:
        """``make`` turns the groups into another optimiser than AdamW; ``second_order``: it differentiates gradients,
        which must come with their graph."""
        self.second_order = second_order
        self._parts = [part for parts, _, _ in groups for part in parts]
        self._muon, self._muon_rate = muon if muon is not None else (None, 0.0)
        held = self._parts + (self._muon.parts if self._muon else [])
        self.parameters: list[Tensor] = list({id(p.parameter): p.parameter for p in held}.values())
        listed: list[dict[str, Any]] = [
            {"params": [p.parameter for p in parts], "lr": rate, "peak": rate, "weight_decay": decay}
            for parts, rate, decay in groups
            if parts
        ]
        make = make or (lambda listed: torch.optim.AdamW(listed, betas=betas, fused=True))
        self._adam = make(listed) if listed else None

    def step(self, factor: float) -> None:
        """One step with every peak rate times ``factor``; parameters without a gradient count as gradient 0."""
        if self._muon is not None:
            self._muon.step(self._muon_rate * factor)
        if self._adam is not None:
            for group in self._adam.param_groups:
                group["lr"] = group["peak"] * factor
            self._adam.step()

    def rate(self, factor: float) -> float:
        """The learning rate of the hidden matrices (of everything, under AdamW) at this factor."""
        if self._muon is not None or self._adam is None:
            return self._muon_rate * factor
        return self._adam.param_groups[0]["peak"] * factor

    def forget_gradients(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """All state by name: ``muon.momentum.<shape>``, ``adam.<parameter>.<key>``; the tensors themselves, of shards
        the whole (then every process must ask)."""
        found = {f"muon.{name}": t for name, t in self._muon.state().items()} if self._muon is not None else {}
        if self._adam is not None:
            for part in self._parts:
                for key, value in self._adam.state[part.parameter].items():
                    found[f"adam.{part.name}.{key}"] = whole(value)
            # Some packages count steps in the group and not with each parameter.
            if isinstance(steps := self._adam.param_groups[0].get("step"), int):
                found[_STEPS] = torch.tensor(steps)
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what ``state`` gave; raises ``ValueError`` naming what is missing or unknown."""
        known: set[str] = set()
        if self._muon is not None:
            names = list(self._muon.state())
            known.update(f"muon.{name}" for name in names)
            self._muon.restore({name: _named(state, f"muon.{name}") for name in names})
        if self._adam is not None:
            for part in self._parts:
                prefix = f"adam.{part.name}."
                mine = {name: value for name, value in state.items() if name.startswith(prefix)}
                known.update(mine)
                kept = {name.removeprefix(prefix): value.clone() for name, value in mine.items()}
                if kept:
                    self._adam.state[part.parameter].update({k: _placed(v, part.parameter) for k, v in kept.items()})
            if _STEPS in state:
                known.add(_STEPS)
                for group in self._adam.param_groups:
                    group["step"] = int(state[_STEPS])
        unknown = sorted(set(state) - known)
        if unknown:
            raise ValueError(f"the optimiser has no state called {', '.join(unknown[:3])}.")


def _named(state: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise ValueError(f"the saved optimiser state lacks {name}.")
    return state[name]


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    """A saved state of a parameter where that is: on its device, in its shards."""
    value = value.to(parameter.device)
    return like_shard(value, parameter) if is_shard(parameter) and value.shape == parameter.shape else value
