"""What fits what, written out: so that neither a wrong refusal nor a wrong permission can hide.

The walk derives variants by itself; here stands what it cannot know. A new part needs a row in ``VISIBILITIES`` (a test
says so), and nothing else unless its sizes must fit something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semagram.feedforward import MLP, Gated, LayerNorm, RMSNorm
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.mixers import (
    Attention,
    Convolution,
    Landmarks,
    MixedRotary,
    Neighbourhood,
    NoPositions,
    Rotary,
    TokenShift,
)
from semagram.models import Hybrid, Merged, Page, Repeated, Transformer, Whole
from semagram.objectives import Coherent
from semagram.predictors import Unmasking
from semagram.text.tokenizers import BPE

CAUSAL, FULL, OTHERS = Visibility.CAUSAL, Visibility.FULL, Visibility.OTHERS

WIDTH = 16
"""Model width of the walk: four heads of four features, so that every head has a plane for each of two axes."""

VISIBILITIES: dict[type, set[Visibility]] = {
    Attention: {CAUSAL, FULL},
    Convolution: {CAUSAL},
    TokenShift: {CAUSAL, FULL},
    Neighbourhood: {CAUSAL, FULL},
    Landmarks: {FULL},
}
"""What each mixer can keep to. Stated here and not read from the part, so that a part cannot excuse itself."""

BASELINES: dict[type, Callable[[], Any]] = {
    Sequence: lambda: Sequence(7),
    Grid: lambda: Grid(3, 4),
    Streams: lambda: Streams(4, 2),
    Transformer: lambda: Transformer(width=WIDTH, depth=1),
    Hybrid: lambda: Hybrid(network=Transformer(width=WIDTH, depth=1), orders=(1, 2), main_order=2),
    Page: lambda: Page(width=WIDTH, depth=1, local=Neighbourhood(heads=2, rows=3, columns=3)),
    MLP: lambda: MLP(multiple=2.0),
    Gated: lambda: Gated(multiple=1.5),
    Landmarks: lambda: Landmarks(heads=4, count=2),
    Neighbourhood: lambda: Neighbourhood(heads=4, rows=3, columns=3),
    Convolution: lambda: Convolution(kernel=3),
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
    Neighbourhood: (
        Neighbourhood(heads=2, rows=2, columns=4, dilation=2, border="clip", causal_rows=True, global_heads=1),
        Neighbourhood(heads=2, rows=3, columns=3, positions=MixedRotary(), sharpness=None),
    ),
}
"""Variants that differ in several fields at once."""

CONTEXTS: dict[type, tuple[Any, ...]] = {
    Unmasking: (Unmasking(choice="random"), Unmasking(schedule="cosine", steps=3)),
}
"""Further starting points of one-field changes: for fields that act only beside certain values of others."""

ACTS_WHEN: dict[tuple[type, str], Callable[[Any], bool]] = {
    (Unmasking, "seed"): lambda writing: writing.choice == "random",
    (Unmasking, "steps"): lambda writing: writing.schedule != "constant",
    (Unmasking, "schedule"): lambda writing: writing.schedule != "constant",
    (Unmasking, "cells"): lambda writing: writing.schedule == "constant",
}
"""Fields that cannot act in every context; ``test_options`` asserts that they are refused in the others."""

CANDIDATES: dict[tuple[type, str], tuple[Any, ...]] = {
    (Sequence, "length"): (5,),
    (Grid, "height"): (1,),
    (Grid, "width"): (5,),
    (Grid, "scan"): ("rows", "snake", "random"),
    (Grid, "laying"): ("rows", "spiral"),
    (Streams, "length"): (3,),
    (Streams, "axes_count"): (1, 3),
    (Attention, "sharpness"): (None, 4.0),
    (Attention, "heads"): (1, 2, 4),
    (Attention, "head_width"): (4, 6, None),
    (Attention, "key_value_heads"): (1, 2, None),
    (Rotary, "base"): (100.0, 10_000.0),
    (Neighbourhood, "heads"): (2,),
    (Neighbourhood, "rows"): (1,),
    (Neighbourhood, "columns"): (2,),
    (Neighbourhood, "dilation"): (2,),
    (Neighbourhood, "global_heads"): (1,),
    (Neighbourhood, "reach"): (2.0,),
    (Neighbourhood, "positions"): (MixedRotary(), NoPositions()),
    (Neighbourhood, "sharpness"): (None,),
    (Landmarks, "heads"): (2,),
    (Landmarks, "count"): (3,),
    (Landmarks, "positions"): (NoPositions(),),
    (Landmarks, "sharpness"): (None,),
    (MixedRotary, "base"): (10.0, 100.0),
    (Convolution, "kernel"): (1, 2, 5),
    (Transformer, "width"): (24, 32),
    (Transformer, "depth"): (0, 2),
    (Transformer, "dropout"): (0.0, 0.5),
    (Transformer, "logit_cap"): (None, 2.0, 15.0),
    (Page, "width"): (24,),
    (Page, "depth"): (0, 1, 2),
    (Page, "local"): (Neighbourhood(heads=2, rows=2, columns=5, global_heads=1),),
    (Page, "whole"): (Whole(Attention(heads=2), every=1), Whole(Attention(heads=1), every=2), Whole(Landmarks(2, 3))),
    (Page, "merged"): (Merged(side=2, depth=1), Merged(side=3, depth=2)),
    (Page, "repeated"): (Repeated(times=2), Repeated(times=3, drawn=True)),
    (Page, "feedforward"): (Gated(multiple=1.5),),
    (Page, "norm"): (LayerNorm(),),
    (Page, "logit_cap"): (None, 15.0),
    (Hybrid, "network"): (
        Transformer(width=WIDTH, depth=2, tied=True),
        Transformer(width=WIDTH, depth=1, logit_cap=None, shift=None, norm=LayerNorm()),
        Transformer(width=WIDTH, depth=1, mixer=Convolution(), dropout=0.5),
        Transformer(width=WIDTH, depth=0),
    ),
    (Hybrid, "orders"): ((1, 2, 3),),
    (Hybrid, "main_order"): (1,),
    (Unmasking, "cells"): (1, 2, 3),
    (Coherent, "share"): (1.0,),
    (Unmasking, "schedule"): ("cosine", "linear"),
    (Unmasking, "steps"): (2, 3),
    (Unmasking, "block"): (None, 2, 5),
}
"""Values for fields whose neighbours must fit other fields."""

ASKED_ELSEWHERE: set[tuple[type, str]] = {
    (Hybrid, "folds"),
    (Grid, "seed"),
    (Grid, "order"),
    (Unmasking, "order"),
}
"""Fields that do not reach the network (folds cut the training text; seed and orders act beside one scan or choice):
the tests of their own shelf ask after them."""

REFUSED: list[tuple[type, dict[str, Any], str]] = [
    (Sequence, {"length": 0}, "at least 1"),
    (Grid, {"height": 0}, "at least 1"),
    (Grid, {"width": 0}, "at least 1"),
    (Grid, {"seed": 3}, "random"),
    (Grid, {"order": (1, 0)}, "given"),
    (Grid, {"height": 1, "width": 2, "scan": "given", "order": (1, 1)}, "each of the 2 places"),
    (Streams, {"length": 0}, "at least 1"),
    (Streams, {"axes_count": 0}, "at least 1"),
    (Attention, {"heads": 0}, "at least 1"),
    (Attention, {"heads": 4, "key_value_heads": 3}, "must divide"),
    (Attention, {"heads": 4, "key_value_heads": 0}, "must divide"),
    (Attention, {"head_width": 0}, "at least 1"),
    (Attention, {"head_width": -2}, "at least 1"),
    (Attention, {"sharpness": 0.0}, "above 0"),
    (Rotary, {"base": 1.0}, "above 1"),
    (MixedRotary, {"base": 1.0}, "above 1"),
    (Neighbourhood, {"heads": 0}, "at least 1"),
    (Neighbourhood, {"rows": 0}, "at least 1"),
    (Neighbourhood, {"columns": 0}, "at least 1"),
    (Neighbourhood, {"dilation": 0}, "at least 1"),
    (Neighbourhood, {"heads": 4, "global_heads": 4}, "fewer than heads"),
    (Neighbourhood, {"sharpness": 0.0}, "above 0"),
    (Neighbourhood, {"reach": 0.0}, "above 0"),
    (Landmarks, {"count": 0}, "at least 1"),
    (Landmarks, {"heads": 0}, "at least 1"),
    (Landmarks, {"sharpness": 0.0}, "above 0"),
    (Convolution, {"kernel": 0}, "at least 1"),
    (MLP, {"multiple": 0.0}, "above 0"),
    (Gated, {"multiple": -1.0}, "above 0"),
    (RMSNorm, {"epsilon": -1.0}, "above 0"),
    (RMSNorm, {"epsilon": 0.0}, "above 0"),
    (LayerNorm, {"epsilon": 0.0}, "above 0"),
    (Transformer, {"width": 0}, "at least 1"),
    (Transformer, {"depth": -1}, "at least 0"),
    (Transformer, {"dropout": 1.0}, "not including, 1"),
    (Transformer, {"dropout": -0.1}, "not including, 1"),
    (Transformer, {"logit_cap": 0.0}, "above 0"),
    (Page, {"width": 0}, "at least 1"),
    (Page, {"depth": -1}, "at least 0"),
    (Whole, {"every": 0}, "at least 1"),
    (Merged, {"side": 1}, "at least 2"),
    (Merged, {"depth": 0}, "at least 1"),
    (Repeated, {"times": 1}, "at least 2"),
    (Page, {"logit_cap": 0.0}, "above 0"),
    (Hybrid, {"orders": ()}, "ascending"),
    (Hybrid, {"orders": (2, 1)}, "ascending"),
    (Hybrid, {"orders": (1, 2), "main_order": 3}, "one of"),
    (Hybrid, {"folds": 1}, "at least 2"),
    (Unmasking, {"cells": 0}, "at least 1"),
    (Unmasking, {"choice": "confidence", "seed": 3}, "random"),
    (Unmasking, {"choice": "ranks", "seed": 3}, "random"),
    (Coherent, {"share": 0.0}, "above 0"),
    (Coherent, {"share": 1.5}, "at most 1"),
    (Unmasking, {"block": 0}, "at least 1"),
    (Unmasking, {"steps": 4}, "constant schedule"),
    (Unmasking, {"schedule": "cosine"}, "needs writing.steps"),
    (Unmasking, {"schedule": "linear"}, "needs writing.steps"),
    (Unmasking, {"schedule": "linear", "steps": 3, "cells": 2}, "writing.cells 2|2"),
    (Unmasking, {"choice": "given"}, "must be there"),
    (Unmasking, {"order": (1, 0)}, "given"),
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
    if isinstance(model, Page):
        return part_visibilities("merged", model.merged) & part_visibilities("whole", model.whole) - {OTHERS}
    return visibilities(model.mixer) - {OTHERS} if hasattr(model, "mixer") else set(model.visibilities())


def part_visibilities(name: str, part: Any) -> set[Visibility]:
    """What a model with ``part`` in its field ``name`` can keep to, as far as that part decides it."""
    if name == "mixer":
        return visibilities(part) - {OTHERS}
    if name == "whole":
        return {CAUSAL, FULL, OTHERS} if part is None else visibilities(part.attention)
    if name == "merged":  # a super-token has seen all of its cells
        return {FULL} if part is not None else {CAUSAL, FULL, OTHERS}
    return model_visibilities(part) & {CAUSAL} if name == "network" else {CAUSAL, FULL, OTHERS}


def _attention_meaning(mixer: Any, model: Any) -> dict[str, Any]:
    return {"head_width": model.width // mixer.heads, "key_value_heads": mixer.heads}


MEANING_OF_NONE: dict[type, Callable[[Any, Any], dict[str, Any]]] = {Attention: _attention_meaning}
"""Fields whose none stands for a number that follows from others."""
