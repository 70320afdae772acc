"""Knowing a book by heart: how much of 120 KB of prose a network of 16 characters of context learns, and how fast.

    python benchmarks/memorise.py [TEXT] [--seeds 5] [--share 1.0] [--json]

Accuracy is on the text that was learnt: a measure of storage, not of understanding; the *ceiling* is the best that any
model with so much context can do, and a suffix look-up has it at once. Goals, in processor seconds of one thread:
99.5 % in 300; with at most 150,000 parameters in 600; without a hidden layer 95 % in 120. Beside each stands a
rectifier network of as many parameters, given the same processor time. ``--share`` multiplies all times. TEXT: any text
source; by default the language reference that comes with Python.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rounds import environment
from semagram.feedforward.basis import Continuous, Discontinuous
from semagram.lab.memorisation import ceiling
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Window
from semagram.objectives.next_token import shifted
from semagram.text import Characters, load_text
from semagram.training.batches import Batches
from semagram.training.optimisers import AdamW

CHARACTERS, CONTEXT, LENGTH, ROWS = 120_000, 16, 256, 4


@dataclass(frozen=True)
class Task:
    """A network, its time and its goal."""

    name: str
    model: Window
    seconds: float
    goal: float
    most: int | None = None
    """Parameters that it may have."""


TASKS = (
    Task("no hidden layer", Window(CONTEXT, 250, 0, Discontinuous(1, 2)), 120, 0.95),
    Task("one hidden layer", Window(CONTEXT, 250, 1, Continuous(2, 2)), 300, 0.995),
    Task("small", Window(CONTEXT, 90, 1, Continuous(2, 2)), 600, 0.995, 150_000),
)


def size(model: Window, vocabulary: int) -> int:
    """Parameters."""
    network = model.build(vocabulary, Sequence(LENGTH), Visibility.CAUSAL)
    return sum(p.numel() for p in network.parameters())


def fitted(model: Window, vocabulary: int, wanted: int) -> Window:
    """The same with the largest width that has at most ``wanted`` parameters."""
    low, high = 1, 4096
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(replace(model, width=middle), vocabulary) <= wanted else (low, middle - 1)
    return replace(model, width=low)


def accuracy(network: nn.Module, ids: Tensor) -> float:
    """Share of the tokens that are the first guess, each with all of its context."""
    right, size = 0, 4096
    with torch.no_grad():
        for start in range(0, len(ids), size):
            first = max(0, start - CONTEXT)
            part = ids[None, first : start + size]
            geometry = Geometry.line(part.shape[1], Visibility.CAUSAL, like=part)
            guesses = network(shifted(part, network.vocabulary_size), geometry).argmax(-1)[0]  # type: ignore[arg-type]
            right += int((guesses == part[0])[start - first :].sum())
    return right / len(ids)


def memorise(model: Window, ids: Tensor, vocabulary: int, seconds: float, seed: int) -> tuple[float, float, int]:
    """Train for ``seconds`` of processor time; accuracy, seconds and steps."""
    torch.manual_seed(seed)
    network = model.build(vocabulary, Sequence(LENGTH), Visibility.CAUSAL)
    stepper = AdamW(rate=6e-3, beta2=0.99, weight_decay=0.0).build(network)
    batches = Batches(ids.numpy(), LENGTH, ROWS, seed)
    geometry = Geometry.of(Sequence(LENGTH).positions(), Visibility.CAUSAL)
    began, step = time.process_time(), 0
    while (share := (time.process_time() - began) / seconds) < 1:
        rows = batches.at(step).ids
        logits = network(shifted(rows, vocabulary), geometry)
        F.cross_entropy(logits[:, CONTEXT:].flatten(0, 1), rows[:, CONTEXT:].flatten()).backward()
        stepper.step(min(1.0, (step + 1) / 50, (1 - share) / 0.9))
        stepper.forget_gradients()
        step += 1
    return accuracy(network.eval(), ids), time.process_time() - began, step


def main() -> None:
    """Print a table, or with ``--json`` one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text", nargs="*", default=["pydocs"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    text = load_text(tuple(options.text)).text[:CHARACTERS]
    tokenizer = Characters().train(text)
    encoded, v = tokenizer.encode(text), tokenizer.vocabulary_size
    ids = torch.from_numpy(encoded.astype("int64"))
    best = ceiling(encoded, CONTEXT)
    rows: list[dict[str, Any]] = []
    for task in TASKS:
        model = task.model if task.most is None else fitted(task.model, v, task.most)
        parameters = size(model, v)
        for name, contestant in (("piecewise", model), ("ReLU", fitted(replace(model, links=None), v, parameters))):
            told = [memorise(contestant, ids, v, task.seconds * options.share, seed) for seed in range(options.seeds)]
            reached = [accuracy for accuracy, _, _ in told]
            rows.append(
                {
                    "task": task.name,
                    "contestant": name,
                    "width": contestant.width,
                    "parameters": size(contestant, v),
                    "cpu_seconds": statistics.mean(seconds for _, seconds, _ in told),
                    "steps": round(statistics.mean(steps for _, _, steps in told)),
                    "accuracy": statistics.mean(reached),
                    "lowest": min(reached),
                    "highest": max(reached),
                    "goal": task.goal if name == "piecewise" else None,
                    "reached": min(reached) >= task.goal,
                }
            )
            if not options.json:
                r = rows[-1]
                print(
                    f"{r['task']:<17} {r['contestant']:<10} {r['parameters']:>9,} numbers {r['cpu_seconds']:>6.0f} s "
                    f"{100 * r['accuracy']:6.2f} % ({100 * r['lowest']:.2f} .. {100 * r['highest']:.2f})"
                    f"{'' if r['goal'] is None else f'  goal {100 * task.goal:.1f} %'}",
                    flush=True,
                )
    if options.json:
        about = {**environment(), "seeds": options.seeds, "share": options.share, "ceiling": best}
        print(json.dumps({**about, "networks": rows}, indent=2))
    else:
        print(f"ceiling with {CONTEXT} characters of context: {100 * best:.2f} %")


if __name__ == "__main__":
    main()
