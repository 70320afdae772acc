"""One contestant of every family, of about equal size, for ``semagram compare --families`` and the big table.

Networks have 100 to 200 thousand trained numbers and read 128 tokens; what differs is the idea. All are trained by the
recipe of the baseline (small batches, Muon; windows of functions by AdamW, as their own recipe is). No family was
tuned: ``--trials`` gives each the same number of tries.
"""

from __future__ import annotations

from dataclasses import dataclass

from semagram.experiment import Experiment
from semagram.feedforward.basis import BSpline, Continuous
from semagram.lab.comparison_contestants import Contestant, Counting, FromMembers, FromRecipe
from semagram.layouts import Grid, Sequence
from semagram.mixers import Attention, Convolution, Neighbourhood, StateSpace, TailFocus
from semagram.models import Hierarchical, Hybrid, Level, Model, Page, Transformer, Whole, Window
from semagram.objectives import Masked
from semagram.predictors import Unmasking
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.predictors.ngram import NgramConfig
from semagram.predictors.suffix import SuffixConfig
from semagram.training.budget import Budget
from semagram.training.optimisers import AdamW, Muon
from semagram.training.settings import Training

LENGTH = 128
"""Tokens that every network reads at once."""


@dataclass(frozen=True)
class Family:
    """A family and the contestant that stands for it."""

    name: str
    line: str
    """What it is, in a line."""
    contestant: Contestant


def _training(**changed: object) -> Training:
    optimiser = Muon(rate=0.02, head_rate=0.004, adam_rate=0.01, momentum=0.9)
    settings: dict[str, object] = {"budget": Budget(60.0, "cpu_seconds"), "batch": 8, "optimiser": optimiser}
    settings |= {"warmup": 0.0, "threads": 1, "clip": None, "evaluate_every": 1.0, **changed}
    return Training(**settings)  # type: ignore[arg-type]


def _line(name: str, model: Model, **changed: object) -> Experiment:
    """A causal network on a line."""
    return Experiment(name=name, layout=Sequence(LENGTH), model=model, training=_training(**changed))


def _windowed(name: str, model: Model) -> Experiment:
    return _line(name, model, optimiser=AdamW(rate=3e-3), clip=1.0)


_TRANSFORMER = Transformer(width=64, depth=3, mixer=Attention(heads=4))
_MAMBA = Transformer(width=64, depth=3, mixer=StateSpace(heads=4, state=16))
_EXPERIMENTS = {
    "transformer": ("attention and MLPs, letter by letter", _line("transformer", _TRANSFORMER)),
    "mamba": ("a state space in the place of attention", _line("mamba", _MAMBA)),
    "convolution": (
        "each letter reads the last eight, layer by layer",
        _line("convolution", Transformer(width=64, depth=4, mixer=Convolution(kernel=8))),
    ),
    "tail_focus": (
        "near letters as they are, far ones in summaries",
        _line(
            "tail_focus",
            Transformer(width=40, depth=2, mixer=TailFocus(kernels=(8, 8), strides=(8, 8), focus=(16, 8, 4))),
        ),
    ),
    "hierarchical": (
        "letters, and elements of four and of sixteen of them",
        _line(
            "hierarchical",
            Hierarchical(
                width=40,
                depth=2,
                levels=(
                    Level(width=40, window=32),
                    Level(factor=4, stride=2, width=40, window=32),
                    Level(factor=16, stride=8, width=40, window="full"),
                ),
            ),
        ),
    ),
    "high_order": (
        "one hidden layer of piecewise quadratics on sixteen letters",
        _windowed("high_order", Window(context=16, width=96, hidden=1, links=Continuous(order=2, segments=2))),
    ),
    "kan": (
        "two hidden layers of cubic splines on eight letters (KAN)",
        _windowed("kan", Window(context=8, width=72, hidden=2, links=BSpline(order=3, segments=4))),
    ),
    "hybrid": ("n-grams that a transformer believes or not", _line("hybrid", Hybrid(network=_TRANSFORMER))),
    "page": (
        "letters on a page, in any order; scored in its own",
        Experiment(
            name="page",
            layout=Grid(8, LENGTH // 8),
            model=Page(width=64, depth=3, local=Neighbourhood(heads=4, rows=5, columns=9), whole=Whole(every=3)),
            objective=Masked(),
            writing=Unmasking(),
            training=_training(),
        ),
    ),
}
_COUNTING: dict[str, tuple[str, NgramConfig | SuffixConfig | BoostedTrees]] = {
    "ngram": ("Kneser-Ney of order 6", NgramConfig()),
    "suffix": ("the longest matches in the training text, over an n-gram", SuffixConfig()),
    "trees": ("gradient-boosted trees on eight letters (LightGBM)", BoostedTrees()),
}


def families() -> tuple[Family, ...]:
    """All of them; the transformer, the reference, first."""
    found = [Family(name, line, FromRecipe(name, e)) for name, (line, e) in _EXPERIMENTS.items()]
    pair = tuple(_EXPERIMENTS[name][1] for name in ("transformer", "mamba"))
    found.append(
        Family("ensemble", "a transformer and a state space, half the budget each", FromMembers("ensemble", pair))
    )
    found += [Family(name, line, Counting(name, config)) for name, (line, config) in _COUNTING.items()]
    return tuple(found)
