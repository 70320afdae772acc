"""A contestant of any family at a task, within processor seconds: networks, in order or not, and models that count.

Causal networks predict each answer from what stands before it. A network that sees all cells (FULL) is shown the
sequence with every answer hidden and says all of them at once: less is given to it, since causal readers are shown the
answers before. Hybrids get n-grams counted on sequences of their own; an ensemble trains each member with its share of
the time and answers with the mean. What counts is fitted to sequences laid end to end, and reads the judged ones so.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.comparison_contestants import Contestant, Counting, FromMembers, FromRecipe
from semagram.lab.tasks.contract import Batch, Task
from semagram.lab.tasks.solve import Solved
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Hybrid
from semagram.objectives.next_token import shifted
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.predictors.count_sheets import Counted
from semagram.predictors.experts import Experts
from semagram.predictors.hybrid import Informed
from semagram.training.optimisers import AdamW
from semagram.training.seeds import seed_network
from semagram.verbs.score import score

JUDGED_ON = 256
"""Sequences, which nobody was trained on."""
COUNTED = 2000
"""Sequences that models which count are fitted to."""
BATCH = 32
RATE = AdamW(rate=2e-3, weight_decay=0.01)


def attempt(contestant: Contestant, task: Task, cpu_seconds: float, seed: int) -> Solved:
    """Train for ``cpu_seconds`` (what counts is fitted to ``COUNTED`` sequences instead), then judge.

    ``UserError`` for a run that was brought ready.
    """
    held_out = task.sample(JUDGED_ON, torch.Generator().manual_seed(2 * seed + 1))
    began = time.process_time()
    if isinstance(contestant, Counting):
        return _counted(contestant, task, held_out, seed, began)
    if isinstance(contestant, FromMembers):
        experiments = contestant.experiments
    elif isinstance(contestant, FromRecipe):
        experiments = (contestant.experiment,)
    else:
        raise UserError("a run that was brought ready cannot be asked to learn a task.")
    share, chances, steps, parameters = cpu_seconds / len(experiments), [], 0, 0
    for number, experiment in enumerate(experiments):
        network, done = _trained(experiment, task, share, seed + 1000 * number)
        chances.append(_log_probs(network, held_out, task))
        steps += done
        parameters += sum(p.numel() for p in network.parameters())
    answers = held_out.ids[held_out.scored]
    mean = torch.stack(chances).logsumexp(dim=0) - torch.tensor(float(len(chances))).log()
    right = float((mean.argmax(-1) == answers).float().mean())
    nats = float(F.nll_loss(mean, answers))
    return Solved(right, nats, task.chance, steps, time.process_time() - began, parameters)


def _trained(experiment: Experiment, task: Task, cpu_seconds: float, seed: int) -> tuple[Any, int]:
    """The network after its time, and its steps. The learning rate falls with the time that is left."""
    visibility = experiment.objective.visibility
    if visibility is Visibility.OTHERS:
        raise UserError(f"{experiment.name} is trained for OTHERS visibility, which gives no likelihood of an answer.")
    learning = torch.Generator().manual_seed(2 * seed)
    seed_network(seed)
    if isinstance(experiment.model, BoostedTrees):
        raise UserError(f"{experiment.name} grows trees; name the contestant trees, which is fitted.")
    network: Any = experiment.model.build(task.vocabulary_size, Sequence(task.length), visibility)
    stepped = network
    if isinstance(experiment.model, Hybrid):
        ids = task.sample(COUNTED, torch.Generator().manual_seed(2 * seed + 10**6)).ids.numpy().reshape(-1)
        network = Informed(network, Experts(Counted.of(ids, task.vocabulary_size, experiment.model.orders)))
    stepper = RATE.build(stepped)
    began, done, spent = time.process_time(), 0, 0.0
    while spent < cpu_seconds or done == 0:
        example = task.sample(BATCH, learning)
        logits = _asked(network, example, task)
        loss = F.cross_entropy(logits, example.ids[example.scored])
        stepped.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(stepped.parameters(), 1.0)
        done += 1
        stepper.step(min(1.0, done / 20) * max(0.02, 1.0 - spent / cpu_seconds))
        spent = time.process_time() - began
    return network, done


def _asked(network: Any, batch: Batch, task: Task) -> Tensor:
    """Logits of the scored tokens, ``(k, v)``."""
    visibility: Visibility = network.visibility
    geometry = Geometry.of(Sequence(task.length).positions(), visibility)
    if visibility is Visibility.CAUSAL:
        return network(shifted(batch.ids, task.vocabulary_size), geometry)[batch.scored]
    return network(batch.ids.masked_fill(batch.scored, task.vocabulary_size), geometry)[batch.scored]


def _log_probs(network: Any, batch: Batch, task: Task) -> Tensor:
    network.eval()
    with torch.no_grad():
        return F.log_softmax(_asked(network, batch, task).float(), dim=-1)


def _counted(contestant: Counting, task: Task, held_out: Batch, seed: int, began: float) -> Solved:
    ids = task.sample(COUNTED, torch.Generator().manual_seed(2 * seed)).ids.numpy().reshape(-1)
    predictor = contestant.config.fit(ids, task.vocabulary_size)
    found = score(predictor, held_out.ids.numpy().reshape(-1))
    asked = held_out.scored.numpy().reshape(-1)
    right, nats = float((found.ranks[asked] == 1).mean()), float(found.nats[asked].mean())
    return Solved(right, nats, task.chance, 0, time.process_time() - began, 0)
