"""One training step: batch, example, loss, gradient, clip, optimiser. Everything in it depends on (seed, step) only."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semagram.feedforward.twice import twice_differentiable
from semagram.layouts.geometry import Geometry
from semagram.objectives import Example, Objective, auxiliary_of, weighted_nats
from semagram.training.batches import Batches
from semagram.training.seeds import Purpose, seed_network, seed_of
from semagram.training.sharded import whole
from semagram.training.stepper import Stepper

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule


class BesideText(Protocol):
    """What a network is given beside the ids of the training text: what n-grams say, or tags."""

    def rows(self, starts: NDArray[np.int64], count: int) -> NDArray[Any]:
        """``(b, count, ...)`` of the places ``start .. start + count - 1``."""
        ...


class Diverged(Exception):
    """The loss or its gradient is not finite, or the loss is past all sense; the weights were not touched."""


def losses(
    network: Any, objective: Objective, example: Example, geometry: Geometry, rows: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of an example, nats a token, and by name what else is trained: of the objective, and of parts of the
    network. The one place where training asks the network.

    ``rows (b, n, ...)``: what n-gram models say there, or labellers, for a network that is given it.
    """
    if example.keep is not None or example.prefix:
        where = geometry.coords, geometry.order, geometry.visibility
        geometry = Geometry(*where, keep=example.keep, prefix=example.prefix)
    logits = network(example.inputs, geometry) if rows is None else network(example.inputs, geometry, rows)
    beside = auxiliary_of(objective, logits, example)
    of_parts = getattr(network, "auxiliary_losses", None)
    return weighted_nats(logits, example), beside if of_parts is None else {**beside, **of_parts()}


def highest_sane_loss(vocabulary_size: int) -> float:
    """Nats a token above which a run has exploded: five times those of knowing nothing, and ten more."""
    return 5 * math.log(vocabulary_size) + 10


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """``take(step, factor)`` takes one. ``network`` is what Fabric made of the network."""

    fabric: Fabric
    network: _FabricModule
    objective: Objective
    geometry: Geometry
    half_geometry: Geometry | None
    batches: Batches
    stepper: Stepper
    mask_id: int
    seed: int
    accumulate: int
    clip: float | None
    generator: torch.Generator
    beside_text: BesideText | None = None
    beside: dict[str, float] = field(default_factory=dict)
    """What else was trained in the last step, by name (of this process's rows)."""

    def gradient(self, step: int, halved: bool = False) -> float:
        """Set the gradients of the batch of ``step``; its loss, nats a token. Raises ``Diverged``.

        ``halved``: every line is read as two lines of half its length.
        """
        geometry = self.geometry
        batch = self.batches.at(step)
        ids, starts = batch.ids.to(geometry.coords.device), batch.starts
        if halved and self.half_geometry is not None:
            geometry = self.half_geometry
            ids = ids.reshape(-1, geometry.count)
            starts = np.stack([starts, starts + geometry.count], axis=1).reshape(-1)
        self.generator.manual_seed(seed_of(self.seed, step, Purpose.EXAMPLE))
        whole = self.objective.example(ids, geometry, self.mask_id, self.generator)
        seed_network(seed_of(self.seed, step, Purpose.NETWORK, self.fabric.global_rank))
        parts = split_rows(whole, self.fabric.world_size, self.fabric.global_rank, self.accumulate)
        total = torch.zeros((), device=ids.device)
        for i, part in enumerate(parts):
            with self._waiting(i < len(parts) - 1):
                first = (self.fabric.global_rank * len(parts) + i) * len(part.inputs)
                rows = self._rows(starts[first : first + len(part.inputs)], geometry)
                with self._differentiable():
                    loss, beside = losses(self.network, self.objective, part, geometry, rows)
                    loss = loss / len(parts)
                    self._backward(sum((extra / len(parts) for extra in beside.values()), loss))
            total += loss.detach()
            for name, extra in beside.items():
                self.beside[name] = self.beside.get(name, 0.0) * (i > 0) + extra.item() / len(parts)
        value = self._mean_of_processes(total).item()
        if not value <= highest_sane_loss(self.mask_id):
            raise Diverged(f"the training loss is {value:.4g} nats a token")
        return value

    def take(self, factor: float) -> None:
        """Clip the gradients, step the weights at ``factor`` of the peak rates. Raises ``Diverged``."""
        if self.clip is not None:
            norm = whole(self._clip(self.clip))
            if not bool(norm.isfinite()):
                raise Diverged(f"the norm of the gradient is {norm.item():.4g}")
        self.stepper.step(factor)
        self.stepper.forget_gradients()

    def example(self, step: int) -> tuple[Tensor, Geometry]:
        """The inputs of the batch of ``step``, whole lines, and where they stand; nothing is changed by asking."""
        ids = self.batches.at(step).ids.to(self.geometry.coords.device)
        generator = torch.Generator().manual_seed(seed_of(self.seed, step, Purpose.EXAMPLE))
        return self.objective.example(ids, self.geometry, self.mask_id, generator).inputs, self.geometry

    def whereabouts(self, step: int) -> str:
        """A sentence on where the batch of ``step`` begins in the text."""
        starts = self.batches.at(step).starts.tolist()
        shown = ", ".join(map(str, starts[:8])) + (f", ... ({len(starts)} in all)" if len(starts) > 8 else "")
        return f"Its batch begins at the training tokens {shown}."

    def _differentiable(self) -> Any:
        """Where the optimiser differentiates gradients, parts are asked for forms that allow it."""
        return twice_differentiable() if self.stepper.second_order else nullcontext()

    def _backward(self, loss: Tensor) -> None:
        if not self.stepper.second_order:
            self.fabric.backward(loss)
            return
        with warnings.catch_warnings():
            # The cycle that torch warns of, between a parameter and its gradient, is cut when gradients are forgotten.
            warnings.filterwarnings("ignore", message="Using backward\\(\\) with create_graph=True")
            self.fabric.backward(loss, create_graph=True)

    def _clip(self, most: float) -> Tensor:
        """The norm of the gradient before it was clipped."""
        if not self.stepper.second_order:
            return nn.utils.clip_grad_norm_(self.stepper.parameters, most)
        held = [p for p in self.stepper.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad.detach() for p in held if p.grad is not None])
        share = (most / (norm + 1e-6)).clamp(max=1.0)
        for parameter in held:
            assert parameter.grad is not None
            parameter.grad = parameter.grad * share  # not in place: its graph is still needed
        return norm

    def _rows(self, starts: NDArray[np.int64], geometry: Geometry) -> Tensor | None:
        """What stands beside lines that begin at these training tokens."""
        if self.beside_text is None:
            return None
        return torch.from_numpy(self.beside_text.rows(starts, geometry.count)).to(geometry.coords.device)

    def _waiting(self, wait: bool) -> Any:
        """With several processes, gradients are exchanged at the last part only."""
        if self.fabric.world_size == 1 or not wait:
            return nullcontext()
        return self.fabric.no_backward_sync(self.network)

    def _mean_of_processes(self, value: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return value
        mean = self.fabric.all_reduce(value, reduce_op="mean")
        assert isinstance(mean, Tensor)
        return mean


def split_rows(example: Example, processes: int, rank: int, parts: int) -> list[Example]:
    """This process's rows of an example, in ``parts`` equal parts whose mean loss is the whole's."""
    if processes * parts == 1:
        return [example]
    rows = example.inputs.shape[0] // (processes * parts)
    found = []
    for part in range(parts):
        first = (rank * parts + part) * rows
        cut = slice(first, first + rows)
        weights, keep, trained = (
            None if t is None else t[cut] for t in (example.weights, example.keep, example.trained)
        )
        count = example.count / (processes * parts)
        found.append(Example(example.inputs[cut], example.targets[cut], weights, count, keep, trained, example.prefix))
    return found
