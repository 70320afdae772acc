"""Can this network learn this task? Train on fresh sequences, judge on others that it never saw."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from semagram.errors import UserError
from semagram.lab.tasks.contract import Batch, Task
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Model
from semagram.objectives.next_token import shifted
from semagram.training.optimisers import Muon, Optimiser
from semagram.training.seeds import seed_network


@dataclass(frozen=True)
class Solved:
    """How far it came."""

    accuracy: float
    """Share of scored tokens that were the likeliest."""
    nats: float
    """A scored token; the floor is 0."""
    chance: float
    """Nats of guessing."""
    steps: int
    cpu_seconds: float
    parameters: int


def solve(
    model: Model,
    task: Task,
    steps: int,
    *,
    seed: int = 0,
    batch: int = 32,
    optimiser: Optimiser | None = None,
    judged_on: int = 512,
    enough: float = 0.999,
) -> Solved:
    """Train a causal ``model`` on ``task``, at most ``steps`` of ``batch`` sequences; stops when ``enough`` are right.

    ``UserError`` for a model that cannot be causal, and for fewer than one step.
    """
    if steps < 1:
        raise UserError(f"solve needs at least 1 step, got {steps}.")
    began = time.process_time()
    layout = Sequence(task.length)
    seed_network(seed)
    network = model.build(task.vocabulary_size, layout, Visibility.CAUSAL)
    assert isinstance(network, nn.Module)
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    stepper = (optimiser or Muon(rate=0.02, head_rate=0.004, adam_rate=0.01)).build(network)
    # Sequences to learn from and to be judged by come from different streams of numbers.
    learning = torch.Generator().manual_seed(2 * seed)
    held_out = task.sample(judged_on, torch.Generator().manual_seed(2 * seed + 1))
    done = 0
    while done < steps:
        example = task.sample(batch, learning)
        loss = _nats(network, example, geometry, task.vocabulary_size)
        network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        done += 1
        stepper.step(min(1.0, done / 50) * max(0.02, 1.0 - done / steps))
        if done % 100 == 0 and judge(network, held_out, geometry)[0] >= enough:
            break
    accuracy, nats = judge(network, held_out, geometry)
    parameters = sum(p.numel() for p in network.parameters())
    return Solved(accuracy, nats, task.chance, done, time.process_time() - began, parameters)


def judge(network: nn.Module, batch: Batch, geometry: Geometry) -> tuple[float, float]:
    """Share of scored tokens that are the likeliest, and nats a scored token."""
    network.eval()
    with torch.no_grad():
        logits = network(shifted(batch.ids, int(network.vocabulary_size)), geometry)  # type: ignore[arg-type]
    network.train()
    asked, answers = logits[batch.scored], batch.ids[batch.scored]
    return float((asked.argmax(-1) == answers).float().mean()), float(F.cross_entropy(asked, answers))


def _nats(network: nn.Module, batch: Batch, geometry: Geometry, vocabulary_size: int) -> torch.Tensor:
    logits = network(shifted(batch.ids, vocabulary_size), geometry)
    return F.cross_entropy(logits[batch.scored], batch.ids[batch.scored])
