"""What fits what, written out: so that neither a wrong refusal nor a wrong permission can hide.

The walk derives variants by itself; here stands what it cannot know. A new part needs a row in ``VISIBILITIES`` (a test
says so), and nothing else unless its sizes must fit something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semagram.feedforward import MLP, Gated, LayerNorm, Piecewise, RMSNorm
from semagram.feedforward import basis as bases
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.mixers import (
    Attention,
    Convolution,
    NoPositions,
    Rotary,
    SelectiveScan,
    SparseConvolution,
    StateSpace,
    TailFocus,
    TokenShift,
    Tree,
)
from semagram.models import Hybrid, Transformer, Window
from semagram.predictors import CellularAutomaton, Unmasking
from semagram.text.tokenizers import BPE

CAUSAL, FULL, OTHERS = Visibility.CAUSAL, Visibility.FULL, Visibility.OTHERS

WIDTH = 16
"""Model width of the walk: four heads of four features, so that every head has a plane for each of two axes."""

VISIBILITIES: dict[type, set[Visibility]] = {
    Attention: {CAUSAL, FULL},
    Convolution: {CAUSAL},
    TokenShift: {CAUSAL, FULL},
    StateSpace: {CAUSAL},
    SelectiveScan: {CAUSAL},
    TailFocus: {CAUSAL},
    Tree: {CAUSAL},
    SparseConvolution: {CAUSAL},
}
"""What each mixer can keep to. Stated here and not read from the part, so that a part cannot excuse itself."""

BASELINES: dict[type, Callable[[], Any]] = {
    Sequence: lambda: Sequence(7),
    Grid: lambda: Grid(3, 4),
    Streams: lambda: Streams(4, 2),
    Transformer: lambda: Transformer(width=WIDTH, depth=1),
    Hybrid: lambda: Hybrid(network=Transformer(width=WIDTH, depth=1), orders=(1, 2), main_order=2),
    MLP: lambda: MLP(multiple=2.0),
    Gated: lambda: Gated(multiple=1.5),
    Window: lambda: Window(context=3, width=WIDTH),
    Piecewise: lambda: Piecewise(basis=bases.Continuous(order=2, segments=2)),
    Convolution: lambda: Convolution(kernel=3),
    StateSpace: lambda: StateSpace(heads=2, expand=1.0, state=4, kernel=3),
    TailFocus: lambda: TailFocus(kernels=(2, 2), strides=(2, 1), focus=(2, 1, 1)),
    Tree: lambda: Tree(levels=2),
    SparseConvolution: lambda: SparseConvolution(kernel=2, levels=2),
    SelectiveScan: lambda: SelectiveScan(expand=1.0, state=3, rank=2, kernel=3),
    RMSNorm: lambda: RMSNorm(epsilon=1e-3),
    LayerNorm: lambda: LayerNorm(epsilon=1e-3),
    BPE: lambda: BPE(vocabulary_size=260),
}
"""Tiny values; a class without a row is walked from its defaults."""

EXTRA: dict[type, tuple[Any, ...]] = {
    Attention: (
        Attention(heads=2, head_width=5, positions=NoPositions()),
        Attention(heads=4, key_value_heads=2, sharpness=None),
        Attention(heads=4, key_value_heads=1, positions=NoPositions(), sharpness=None),
        Attention(heads=3, head_width=6, key_value_heads=1),
    ),
}
"""Variants that differ in several fields at once."""

CONTEXTS: dict[type, tuple[Any, ...]] = {
    Unmasking: (Unmasking(choice="random"),),
}
"""Further starting points of one-field changes: for fields that act only beside certain values of others."""

ACTS_WHEN: dict[tuple[type, str], Callable[[Any], bool]] = {
    (Unmasking, "seed"): lambda writing: writing.choice == "random",
}
"""Fields that cannot act in every context; ``test_options`` asserts that they are refused in the others."""

CANDIDATES: dict[tuple[type, str], tuple[Any, ...]] = {
    (Sequence, "length"): (5,),
    (Grid, "height"): (1,),
    (Grid, "width"): (5,),
    (Streams, "length"): (3,),
    (Streams, "axes_count"): (1, 3),
    (Attention, "sharpness"): (None, 4.0),
    (Attention, "heads"): (1, 2, 4),
    (Attention, "head_width"): (4, 6, None),
    (Attention, "key_value_heads"): (1, 2, None),
    (Rotary, "base"): (100.0, 10_000.0),
    (Convolution, "kernel"): (1, 2, 5),
    (Transformer, "width"): (24, 32),
    (Transformer, "depth"): (0, 2),
    (Transformer, "dropout"): (0.0, 0.5),
    (Transformer, "logit_cap"): (None, 2.0, 15.0),
    (Hybrid, "network"): (
        Transformer(width=WIDTH, depth=2, tied=True),
        Transformer(width=WIDTH, depth=1, logit_cap=None, shift=None, norm=LayerNorm()),
        Transformer(width=WIDTH, depth=1, mixer=Convolution(), dropout=0.5),
        Transformer(width=WIDTH, depth=0),
    ),
    (Hybrid, "orders"): ((1, 2, 3),),
    (Hybrid, "main_order"): (1,),
    (Unmasking, "cells"): (1, 2, 3),
    (CellularAutomaton, "share"): (0.5,),
    (CellularAutomaton, "temperature"): (1.0,),
    # One of each basis: their own fields are walked in tests/feedforward, so that the pairs stay few.
    (Piecewise, "basis"): (bases.Discontinuous(1, 2), bases.BSpline(2, 3), bases.Constant(3)),
    (Piecewise, "hidden"): ((1.5,),),
    (Window, "context"): (1, 2),
    (Window, "width"): (9,),
    (Window, "hidden"): (0, 2),
    (Window, "links"): (None, bases.Discontinuous(1, 2)),
    (StateSpace, "heads"): (4,),
    (StateSpace, "expand"): (1.5,),
    (StateSpace, "state"): (3,),
    (StateSpace, "kernel"): (1,),
    (StateSpace, "links"): (bases.Continuous(1, 2),),
    (TailFocus, "kernels"): ((3, 1),),
    (TailFocus, "strides"): ((1, 1),),
    (TailFocus, "focus"): ((0, 0, 2),),
    (TailFocus, "links"): (bases.Continuous(1, 2),),
    (Tree, "levels"): (1, 3),
    (Tree, "links"): (bases.Continuous(1, 2),),
    (SparseConvolution, "kernel"): (3,),
    (SparseConvolution, "levels"): (1,),
    (SparseConvolution, "links"): (bases.Continuous(1, 2),),
    (SelectiveScan, "expand"): (1.5,),
    (SelectiveScan, "state"): (2,),
    (SelectiveScan, "rank"): (None, 3),
    (SelectiveScan, "kernel"): (1,),
    (SelectiveScan, "links"): (bases.Continuous(1, 2),),
}
"""Values for fields whose neighbours must fit other fields."""

ASKED_ELSEWHERE: set[tuple[type, str]] = {
    (Hybrid, "folds"),
    (Piecewise, "frugal"),
}
"""Fields that do not reach the network (folds cut the training text) or not its numbers (frugal saves memory): the
tests of their own shelf ask after them."""

REFUSED: list[tuple[type, dict[str, Any], str]] = [
    (Sequence, {"length": 0}, "at least 1"),
    (Grid, {"height": 0}, "at least 1"),
    (Grid, {"width": 0}, "at least 1"),
    (Streams, {"length": 0}, "at least 1"),
    (Streams, {"axes_count": 0}, "at least 1"),
    (Attention, {"heads": 0}, "at least 1"),
    (Attention, {"heads": 4, "key_value_heads": 3}, "must divide"),
    (Attention, {"heads": 4, "key_value_heads": 0}, "must divide"),
    (Attention, {"head_width": 0}, "at least 1"),
    (Attention, {"head_width": -2}, "at least 1"),
    (Attention, {"sharpness": 0.0}, "above 0"),
    (Rotary, {"base": 1.0}, "above 1"),
    (Convolution, {"kernel": 0}, "at least 1"),
    (Window, {"context": 0}, "at least 1"),
    (Window, {"width": 0}, "at least 1"),
    (Window, {"hidden": -1}, "at least 0"),
    (Window, {"links": bases.Constant(surrogate=False)}, "surrogate"),
    (CellularAutomaton, {"steps": -1}, "at least 0"),
    (CellularAutomaton, {"share": 0.0}, "above 0"),
    (CellularAutomaton, {"share": 1.5}, "at most 1"),
    (CellularAutomaton, {"temperature": -1.0}, "at least 0"),
    (StateSpace, {"heads": 0}, "at least 1"),
    (StateSpace, {"expand": 0.0}, "above 0"),
    (StateSpace, {"state": 0}, "at least 1"),
    (StateSpace, {"kernel": 0}, "at least 1"),
    (StateSpace, {"links": bases.Constant(surrogate=False)}, "surrogate"),
    (TailFocus, {"kernels": (4,), "strides": (4, 4)}, "a kernel and a stride a level"),
    (TailFocus, {"focus": (8, 8)}, "one focus more"),
    (TailFocus, {"focus": (0, 0, 0)}, "not 0 everywhere"),
    (TailFocus, {"focus": (4, 4, 0)}, "read by nobody"),
    (TailFocus, {"focus": (4, 4, 1)}, "cannot act"),
    (TailFocus, {"kernels": (0, 4)}, "at least 1"),
    (TailFocus, {"strides": (4, 0)}, "at least 1"),
    (Tree, {"levels": 0}, "at least 1"),
    (SparseConvolution, {"kernel": 1}, "at least 2"),
    (SparseConvolution, {"levels": 0}, "at least 1"),
    (SelectiveScan, {"rank": 0}, "at least 1"),
    (SelectiveScan, {"expand": -1.0}, "above 0"),
    (SelectiveScan, {"state": 0}, "at least 1"),
    (SelectiveScan, {"kernel": 0}, "at least 1"),
    (MLP, {"multiple": 0.0}, "above 0"),
    (Gated, {"multiple": -1.0}, "above 0"),
    (Piecewise, {"hidden": (2.0, 0.0)}, "above 0"),
    (Piecewise, {"basis": bases.Constant(surrogate=False)}, "surrogate"),
    (RMSNorm, {"epsilon": -1.0}, "above 0"),
    (RMSNorm, {"epsilon": 0.0}, "above 0"),
    (LayerNorm, {"epsilon": 0.0}, "above 0"),
    (Transformer, {"width": 0}, "at least 1"),
    (Transformer, {"depth": -1}, "at least 0"),
    (Transformer, {"dropout": 1.0}, "not including, 1"),
    (Transformer, {"dropout": -0.1}, "not including, 1"),
    (Transformer, {"logit_cap": 0.0}, "above 0"),
    (Hybrid, {"orders": ()}, "ascending"),
    (Hybrid, {"orders": (2, 1)}, "ascending"),
    (Hybrid, {"orders": (1, 2), "main_order": 3}, "one of"),
    (Hybrid, {"folds": 1}, "at least 2"),
    (Unmasking, {"cells": 0}, "at least 1"),
    (Unmasking, {"choice": "confidence", "seed": 3}, "random"),
    (Unmasking, {"choice": "ranks", "seed": 3}, "random"),
    (BPE, {"vocabulary_size": 255}, "at least 256"),
]
"""Values that must be refused, each with a word of the reason."""


def refused(kind: type, name: str, value: object) -> bool:
    """True when ``name=value`` alone is listed in ``REFUSED`` for this class."""
    return any(kind is k and given == {name: value} for k, given, _ in REFUSED)


def visibilities(mixer: Any) -> set[Visibility]:
    """The row of the mixer; a part that has none yet is walked with what it says of itself."""
    return VISIBILITIES.get(type(mixer), set(mixer.visibilities()))


def model_visibilities(model: Any) -> set[Visibility]:
    """A residual stream carries a slot's own input, so never OTHERS; n-grams read from left to right."""
    if isinstance(model, Hybrid):
        return model_visibilities(model.network) & {CAUSAL}
    return visibilities(model.mixer) - {OTHERS} if hasattr(model, "mixer") else set(model.visibilities())


def part_visibilities(name: str, part: Any) -> set[Visibility]:
    """What a model with ``part`` in its field ``name`` can keep to, as far as that part decides it."""
    if name == "mixer":
        return visibilities(part) - {OTHERS}
    return model_visibilities(part) & {CAUSAL} if name == "network" else {CAUSAL, FULL, OTHERS}


def _attention_meaning(mixer: Any, model: Any) -> dict[str, Any]:
    return {"head_width": model.width // mixer.heads, "key_value_heads": mixer.heads}


MEANING_OF_NONE: dict[type, Callable[[Any, Any], dict[str, Any]]] = {Attention: _attention_meaning}
"""Fields whose none stands for a number that follows from others."""
