"""What fits what, written out: so that neither a wrong refusal nor a wrong permission can hide.

The walk derives variants by itself; here stands what it cannot know. A new part needs a row in ``VISIBILITIES`` (a test
says so), and nothing else unless its sizes must fit something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semagram.feedforward import MLP, Gated, LayerNorm, RMSNorm
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.mixers import Attention, Convolution, NoPositions, Rotary, TokenShift
from semagram.models import Hierarchical, Hourglass, Hybrid, Level, Stage, Transformer
from semagram.models.hierarchical_compress import AttendBack, Pyramid
from semagram.models.hierarchical_look_up import LookUp
from semagram.models.hierarchical_losses import NextLatent, Reconstruct
from semagram.models.hierarchical_merge import GatedAdd, Separable
from semagram.models.hourglass_back import LookBack, Smoothed, Unfold
from semagram.models.hourglass_boundaries import AfterSpaces, Fixed
from semagram.models.hourglass_learnt import Routing, Surprise
from semagram.models.hourglass_pool import Join, Last, Weigh
from semagram.predictors import Unmasking
from semagram.text.tokenizers import BPE

CAUSAL, FULL, OTHERS = Visibility.CAUSAL, Visibility.FULL, Visibility.OTHERS

WIDTH = 16
"""Model width of the walk: four heads of four features, so that every head has a plane for each of two axes."""

VISIBILITIES: dict[type, set[Visibility]] = {
    Attention: {CAUSAL, FULL},
    Convolution: {CAUSAL},
    TokenShift: {CAUSAL, FULL},
}
"""What each mixer can keep to. Stated here and not read from the part, so that a part cannot excuse itself."""

TWO_LEVELS = (Level(width=WIDTH), Level(factor=4, stride=2, width=WIDTH))
A_STAGE = Stage(boundaries=Fixed(2), width=WIDTH)

BASELINES: dict[type, Callable[[], Any]] = {
    Sequence: lambda: Sequence(7),
    Grid: lambda: Grid(3, 4),
    Streams: lambda: Streams(4, 2),
    Transformer: lambda: Transformer(width=WIDTH, depth=1),
    Hybrid: lambda: Hybrid(network=Transformer(width=WIDTH, depth=1), orders=(1, 2), main_order=2),
    Hierarchical: lambda: Hierarchical(width=WIDTH, depth=2, levels=TWO_LEVELS),
    Hourglass: lambda: Hourglass(stages=(A_STAGE,), width=WIDTH, depth=1),
    Level: lambda: Level(factor=4, stride=2, width=WIDTH),
    Stage: lambda: A_STAGE,
    AfterSpaces: lambda: AfterSpaces((0,)),
    MLP: lambda: MLP(multiple=2.0),
    Gated: lambda: Gated(multiple=1.5),
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
    (AttendBack, "heads"): (2,),
    (LookUp, "heads"): (2,),
    (LookBack, "heads"): (2,),
    (Weigh, "heads"): (2,),
    (Level, "factor"): (8,),
    (Level, "stride"): (1, 4),
    (Level, "width"): (24,),
    (Level, "heads"): (2,),
    (Level, "head_width"): (6,),
    (Level, "window"): ("full", "none", 2),
    (Stage, "boundaries"): (Fixed(3), AfterSpaces((0,)), Surprise(0.5)),
    (Stage, "pool"): (Last(), Weigh(2), Join()),
    (Stage, "back"): (Unfold(), LookBack(2, 2)),
    (Stage, "width"): (24,),
    (Stage, "before"): (0, 2),
    (Stage, "after"): (0, 2),
    (Stage, "heads"): (2,),
    (Stage, "window"): (2, "element"),
    (AfterSpaces, "ids"): ((1,), (0, 1)),
    (Surprise, "threshold"): (10.0,),
    (Hierarchical, "width"): (24,),
    (Hierarchical, "depth"): (1, 3),
    (Hierarchical, "levels"): (
        (Level(width=WIDTH, window=2), Level(factor=2, width=12, heads=2), Level(factor=4, stride=4, width=WIDTH)),
        (Level(width=WIDTH, window="none"), Level(factor=4, width=WIDTH, window="full")),
        (Level(width=WIDTH), Level(factor=4, stride=2, width=WIDTH, window="full")),
    ),
    (Hierarchical, "predicting"): (1,),
    (Hierarchical, "into"): ("all", (0, 1)),
    (Hierarchical, "merge"): (GatedAdd(), LookUp(2, 2), Separable()),
    (Hierarchical, "compress"): (AttendBack(2), Pyramid(8)),
    (Hierarchical, "sharpness"): (None, 4.0),
    (Hierarchical, "feedforward"): (Gated(1.5),),
    (Hierarchical, "norm"): (LayerNorm(),),
    (Hierarchical, "end_norm"): (RMSNorm(gain=True),),
    (Hierarchical, "shift"): (None,),
    (Hierarchical, "dropout"): (0.5,),
    (Hierarchical, "logit_cap"): (None, 2.0),
    (Hierarchical, "losses"): ((NextLatent(), Reconstruct()),),
    (Hourglass, "stages"): (
        (Stage(Fixed(3), Join(), Unfold(), width=WIDTH, before=0, window="element"),),
        (Stage(AfterSpaces((0,)), Weigh(2), LookBack(2, 2), width=WIDTH, heads=2, window=2),),
        (Stage(Surprise(0.5), Last(), width=WIDTH, after=0),),
        (Stage(Routing(), Last(), Smoothed(), width=WIDTH), Stage(Fixed(2), Join(), Unfold(), width=12, heads=2)),
    ),
    (Hourglass, "width"): (24,),
    (Hourglass, "depth"): (0, 2),
    (Hourglass, "heads"): (2,),
    (Hourglass, "sharpness"): (None, 4.0),
    (Hourglass, "feedforward"): (Gated(1.5),),
    (Hourglass, "norm"): (LayerNorm(),),
    (Hourglass, "shift"): (None,),
    (Hourglass, "dropout"): (0.5,),
    (Hourglass, "logit_cap"): (None, 2.0),
}
"""Values for fields whose neighbours must fit other fields."""

ASKED_ELSEWHERE: set[tuple[type, str]] = {(Hybrid, "folds")}
"""Fields that do not reach the network (folds cut the training text): the tests of their own shelf ask after them."""

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
    (Hybrid, {"orders": ()}, "ascending"),
    (Hybrid, {"orders": (2, 1)}, "ascending"),
    (Hybrid, {"orders": (1, 2), "main_order": 3}, "one of"),
    (Hybrid, {"folds": 1}, "at least 2"),
    (Unmasking, {"cells": 0}, "at least 1"),
    (Level, {"factor": 0}, "at least 1"),
    (Level, {"factor": 4, "stride": 3}, "divide its factor 4"),
    (Level, {"width": 10, "heads": 4}, "divisible by heads"),
    (Level, {"head_width": 5}, "even"),
    (Level, {"window": 0}, "at least 1"),
    (Level, {"multiple": 0.0}, "above 0"),
    (Level, {"window": "none", "attention_norm": LayerNorm()}, "no attention"),
    (Hierarchical, {"depth": 0}, "at least 1"),
    (Hierarchical, {"predicting": 2}, "number of a level"),
    (Hierarchical, {"into": (1,)}, "hold the predicting level"),
    (Hierarchical, {"into": (0, 0)}, "different numbers"),
    (Hierarchical, {"pooled": True, "predicting": 1}, "reads all levels"),
    (Hierarchical, {"levels": (), "pooled": True}, "needs more levels"),
    (Hierarchical, {"levels": (Level(),), "merge": GatedAdd()}, "needs more levels"),
    (Hierarchical, {"levels": (Level(),), "losses": (NextLatent(),)}, "factor above 1"),
    (Hierarchical, {"sharpness": 0.0}, "above 0"),
    (Hierarchical, {"dropout": 1.0}, "not including, 1"),
    (Hierarchical, {"logit_cap": 0.0}, "above 0"),
    (AttendBack, {"heads": 0}, "at least 1"),
    (Pyramid, {"hidden": 0}, "at least 1"),
    (LookUp, {"last": 0}, "at least 1"),
    (Separable, {"kernel": 0}, "at least 1"),
    (NextLatent, {"weight": 0.0}, "above 0"),
    (Stage, {"width": 10}, "even width"),
    (Stage, {"before": -1}, "at least 0"),
    (Stage, {"window": 0}, "at least 1"),
    (Stage, {"boundaries": AfterSpaces((0,)), "window": "element"}, "needs Fixed"),
    (Stage, {"before": 0, "after": 0, "window": 3}, "no window"),
    (Hourglass, {"width": 10}, "even width"),
    (Hourglass, {"sharpness": 0.0}, "above 0"),
    (Hourglass, {"dropout": 1.0}, "not including, 1"),
    (Hourglass, {"logit_cap": 0.0}, "above 0"),
    (Fixed, {"size": 1}, "at least 2"),
    (AfterSpaces, {"ids": ()}, "at least 0"),
    (Surprise, {"threshold": 0.0}, "above 0"),
    (Surprise, {"rank": 0}, "at least 1"),
    (Routing, {"ratio": 1.0}, "above 1"),
    (Routing, {"weight": 0.0}, "above 0"),
    (Weigh, {"heads": 0}, "at least 1"),
    (LookBack, {"last": 0}, "at least 1"),
    (Unmasking, {"choice": "confidence", "seed": 3}, "random"),
    (Unmasking, {"choice": "ranks", "seed": 3}, "random"),
    (BPE, {"vocabulary_size": 255}, "at least 256"),
]
"""Values that must be refused, each with a word of the reason."""


def refused(kind: type, name: str, value: object) -> bool:
    """True when ``name=value`` alone is listed in ``REFUSED`` for this class."""
    return any(kind is k and given == {name: value} for k, given, _ in REFUSED)


def _levels_unfit(given: dict[str, Any]) -> bool:
    """The head reads one level or all; shared weights need one width; without attention only the shift looks back."""
    levels = given.get("levels", ())
    return (
        bool(given.get("pooled") and given.get("predicting"))
        or bool(given.get("shared_attention") and len({level.width for level in levels}) > 1)
        or (not given.get("half_shift", True) and any(level.window == "none" for level in levels))
    )


UNFIT: dict[type, Callable[[dict[str, Any]], bool]] = {Hierarchical: _levels_unfit}
"""Values of several fields that must be refused together (``given``: some of a model's fields)."""


def unfit(kind: type, given: dict[str, Any]) -> bool:
    """True when these values of fields may not stand together."""
    return kind in UNFIT and UNFIT[kind](given)


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
