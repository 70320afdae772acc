"""A text and an experiment so small that a step costs milliseconds.

With dropout and with lines that are halved at first, since those are what resuming could lose.
"""

import hashlib
import random
from dataclasses import replace
from pathlib import Path

from semagram.experiment import Experiment
from semagram.layouts import Grid, Sequence
from semagram.mixers import Attention
from semagram.models import Transformer
from semagram.objectives import Masked
from semagram.predictors.any_order import Unmasking
from semagram.training.budget import Budget
from semagram.training.progress import Silent
from semagram.training.settings import Training


def words(count: int = 1500, seed: int = 0) -> str:
    """Text with something to learn in it."""
    draw = random.Random(seed)
    return " ".join(
        draw.choice(["semagram", "heptapod", "ink", "ring", "time", "is", "not", "a"]) for _ in range(count)
    )


def experiment(steps: int = 12, dropout: float = 0.1, **training: object) -> Experiment:
    """Causal, on a line of 16."""
    settings = replace(Training(budget=Budget(steps, "steps"), batch=4, threads=1, halved=0.4), **training)
    model = Transformer(width=16, depth=2, mixer=Attention(heads=2), dropout=dropout)
    return Experiment(name="tiny", model=model, layout=Sequence(16), training=settings)


def page_experiment(steps: int = 12, **training: object) -> Experiment:
    """Any order, on a page of 4 x 5."""
    causal = experiment(steps, **{"halved": 0.0, **training})
    return replace(causal, layout=Grid(4, 5), objective=Masked(), writing=Unmasking())


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class At(Silent):
    """A watcher that does something after a step, once."""

    def __init__(self, step: int, do):
        self.at, self.do = step, do

    def step(self, moment):
        if moment.step == self.at:
            self.do()
