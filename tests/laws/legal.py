"""What fits what, written out: so that neither a wrong refusal nor a wrong permission can hide.

The walk derives variants by itself; here stands what it cannot know. A new part needs a row in ``VISIBILITIES`` (a test
says so), and nothing else unless its sizes must fit something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semagram.feedforward import (
    MLP,
    AdaptiveLayerNorm,
    AdaptiveRMSNorm,
    DynamicErf,
    DynamicTanh,
    Experts,
    Gated,
    LayerNorm,
    RMSNorm,
    ScaleNorm,
)
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.mixers import Attention, Convolution, NoPositions, Rotary, TokenShift
from semagram.models import Hybrid, Transformer
from semagram.models.embedding import Embedding, LearnedPositions, SinusoidalPositions
from semagram.models.head import Head
from semagram.models.joins import DepthAttention, GRUGate, Highway, HyperConnections, Plus, Reversible
from semagram.models.layers import Layers, Letters, Macaron, SandwichOrder
from semagram.models.residual import Residual
from semagram.models.scales import Fixed, Gate, LayerScale, ReZero
from semagram.models.skips import Reinjection, UNetSkips
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

BASELINES: dict[type, Callable[[], Any]] = {
    Sequence: lambda: Sequence(7),
    Grid: lambda: Grid(3, 4),
    Streams: lambda: Streams(4, 2),
    Transformer: lambda: Transformer(width=WIDTH, depth=1),
    Hybrid: lambda: Hybrid(network=Transformer(width=WIDTH, depth=1), orders=(1, 2), main_order=2),
    MLP: lambda: MLP(multiple=2.0),
    Gated: lambda: Gated(multiple=1.5),
    Convolution: lambda: Convolution(kernel=3),
    RMSNorm: lambda: RMSNorm(epsilon=1e-3),
    LayerNorm: lambda: LayerNorm(epsilon=1e-3),
    ScaleNorm: lambda: ScaleNorm(epsilon=1e-3),
    AdaptiveRMSNorm: lambda: AdaptiveRMSNorm(condition_width=3, epsilon=1e-3),
    AdaptiveLayerNorm: lambda: AdaptiveLayerNorm(condition_width=3, epsilon=1e-3),
    LearnedPositions: lambda: LearnedPositions(capacity=16),
    Experts: lambda: Experts(experts=3, chosen=2, multiple=1.0),
    Gate: lambda: Gate(condition_width=3),
    BPE: lambda: BPE(vocabulary_size=260),
}
"""Tiny values; a class without a row is walked from its defaults."""

HOSTS: dict[str, Callable[[], Any]] = {"layers": lambda: Transformer(width=WIDTH, depth=3)}
"""Models that carry a part in the walk, where the baseline of models is too small for it."""

EXTRA: dict[type, tuple[Any, ...]] = {
    Attention: (
        Attention(heads=2, head_width=5, positions=NoPositions()),
        Attention(heads=4, key_value_heads=2, sharpness=None),
        Attention(heads=4, key_value_heads=1, positions=NoPositions(), sharpness=None),
        Attention(heads=3, head_width=6, key_value_heads=1),
    ),
    RMSNorm: (RMSNorm(gain=True, from_one=True),),
    MLP: (MLP(hidden=24), MLP(hidden=24, bias=True, activation="gelu", inner_norm=LayerNorm(bias=True))),
    Gated: (Gated(hidden=24), Gated(hidden=24, bias=True, inner_norm=RMSNorm(gain=True))),
    Residual: (
        Residual(norms="none", scale=ReZero()),
        Residual(norms="sandwich", parallel="shared_norm", drop=0.3),
        Residual(norms="output", parallel="own_norms"),
        Residual(norms="none", parallel="own_norms", scale=LayerScale()),
        Residual(norms="after", join=Plus(keep=2.0), start="by_depth"),
        Residual(norms="both", join=GRUGate(), scale=Gate(3)),
        Residual(join=HyperConnections(2, sinkhorn=None), parallel="own_norms"),
        Residual(join=DepthAttention(3), norms="sandwich", scale=LayerScale(), drop=0.3),
        Residual(join=Reversible(), norms="output", scale=ReZero()),
    ),
    Layers: (
        Layers(Letters("fa"), loops=2, fewest_loops=1),
        Layers(Macaron(), taper=0.5, alternate=(TokenShift(), Convolution(3))),
        Layers(distinct=2, loops=2),
        Layers(SandwichOrder(2), taper=2.0),
        Layers(Macaron(), skips=UNetSkips(), loops=2, fewest_loops=1),
        Layers(distinct=1, skips=Reinjection(gated=True)),
    ),
    Embedding: (
        Embedding(inner_width=5, unit_rows=True, root_width=True, positions=SinusoidalPositions(scaled=True)),
        Embedding(positions=LearnedPositions(16), categories=(2, 3), normalise=False),
        Embedding(registers=2, positions=SinusoidalPositions()),
    ),
    Transformer: (
        Transformer(
            WIDTH, 2, norm=LayerNorm(bias=True), residual=Residual("after"), tied=True, head=Head(True, 2.0, True)
        ),
        Transformer(WIDTH, 2, tied=True, embedding=Embedding(inner_width=5, unit_rows=True), head=Head(bias=True)),
        Transformer(WIDTH, 3, layers=Layers(distinct=1), residual=Residual(drop=0.3), tied=True),
        Transformer(WIDTH, 2, layers=Layers(alternate=(Convolution(3),)), residual=Residual(parallel="own_norms")),
        Transformer(WIDTH, 3, layers=Layers(distinct=1, loops=2), residual=Residual(join=DepthAttention())),
        Transformer(WIDTH, 3, layers=Layers(distinct=2), residual=Residual(join=Reversible()), norm=LayerNorm()),
        Transformer(WIDTH, 2, layers=Layers(skips=UNetSkips()), residual=Residual("after", drop=0.3), tied=True),
        Transformer(
            WIDTH, 2, layers=Layers(skips=Reinjection(gated=True)), residual=Residual(join=HyperConnections(3))
        ),
        Transformer(WIDTH, 2, embedding=Embedding(registers=3), layers=Layers(loops=2)),
        Transformer(
            WIDTH, 2, embedding=Embedding(registers=1, normalise=False), residual=Residual(join=HyperConnections(2))
        ),
        Transformer(WIDTH, 2, layers=Layers(alternate=(TokenShift(),), loops=2), feedforward=Gated(bias=True)),
    ),
}
"""Variants that differ in several fields at once."""

CONTEXTS: dict[type, tuple[Any, ...]] = {
    Layers: (Layers(loops=3),),
    RMSNorm: (RMSNorm(gain=True),),
    Unmasking: (Unmasking(choice="random"),),
}
"""Further starting points of one-field changes: for fields that act only beside certain values of others."""

ACTS_WHEN: dict[tuple[type, str], Callable[[Any], bool]] = {
    (Layers, "fewest_loops"): lambda layers: layers.loops > 1,
    (RMSNorm, "from_one"): lambda norm: norm.gain,
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
    (Transformer, "feedforward"): (
        Gated(1.5),
        Experts(3, 2, 1.0),
        MLP(2.0),
        MLP(hidden=24, bias=True, activation="gelu"),
        Gated(1.5, "gelu_tanh", bias=True, inner_norm=LayerNorm(bias=True)),
    ),
    (Transformer, "norm"): (
        RMSNorm(gain=True, from_one=True),
        LayerNorm(bias=True),
        ScaleNorm(),
        DynamicTanh(),
        DynamicErf(),
        AdaptiveRMSNorm(3),
        AdaptiveLayerNorm(3, bias=True),
    ),
    (Transformer, "residual"): (
        Residual("after"),
        Residual("sandwich", parallel="shared_norm"),
        Residual("both", scale=LayerScale()),
        Residual("output", join=Highway()),
        Residual("none", scale=ReZero()),
        Residual(parallel="own_norms", join=GRUGate()),
        Residual(scale=Gate(3), drop=0.3),
        Residual(join=Plus(0.5, learned=True), scale=Fixed(), start="by_depth"),
        Residual(join=HyperConnections(2)),
        Residual("sandwich", join=DepthAttention(rank=3)),
    ),
    (Transformer, "layers"): (
        Layers(Macaron()),
        Layers(Letters("aff")),
        Layers(loops=2),
        Layers(skips=Reinjection(gated=True)),
    ),
    (Transformer, "embedding"): (
        Embedding(LearnedPositions(16), normalise=False, root_width=True),
        Embedding(SinusoidalPositions(scaled=True), inner_width=5, unit_rows=True),
        Embedding(categories=(2, 3)),
    ),
    (Transformer, "head"): (Head(bias=True, scale=0.5), Head(transform=True)),
    (MLP, "inner_norm"): (None, LayerNorm(bias=True), DynamicTanh()),
    (Gated, "inner_norm"): (None, LayerNorm(bias=True), DynamicTanh()),
    (MLP, "hidden"): (None,),
    (Gated, "hidden"): (None,),
    (Residual, "parallel"): ("no", "own_norms", "shared_norm"),
    (LearnedPositions, "capacity"): (12, 20),
    (Fixed, "factor"): (0.25, 2.0),
    (Highway, "start"): (-2.0, 0.0),
    (Experts, "experts"): (4,),
    (Experts, "chosen"): (3,),  # with one, slots that all look alike (masked, one block) leave experts unused
    (Experts, "activation"): ("silu", "gelu"),
    (HyperConnections, "streams"): (2, 3),
    (HyperConnections, "sinkhorn"): (None, 1, 5),
    (DepthAttention, "rank"): (None, 3),
    (Residual, "drop"): (0.0, 0.3),
    (Layers, "alternate"): ((), (TokenShift(),), (TokenShift(), Convolution(3))),
    (Layers, "distinct"): (None, 1, 2),
    (Layers, "loops"): (1, 2),
    (Layers, "fewest_loops"): (None, 1),
    (Layers, "taper"): (0.5, 2.0),
    (Letters, "pattern"): ("af", "aff", "fa"),
    (SandwichOrder, "outer"): (1, 2),
    (Embedding, "inner_width"): (None, 5),
    (Embedding, "registers"): (0, 2),
    (Embedding, "categories"): ((), (3,), (2, 3)),
    (Hybrid, "orders"): ((1, 2, 3),),
    (Hybrid, "main_order"): (1,),
    (Unmasking, "cells"): (1, 2, 3),
}
"""Values for fields whose neighbours must fit other fields."""

ASKED_ELSEWHERE: set[tuple[type, str]] = {(Hybrid, "folds"), (Experts, "balance"), (Experts, "z_loss")}
"""Fields that do not reach the logits (folds cut the training text, auxiliary losses go their own way): the tests of
their own shelf ask after them."""

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
    (ScaleNorm, {"epsilon": 0.0}, "above 0"),
    (RMSNorm, {"from_one": True}, "needs gain"),
    (DynamicTanh, {"slope": 0.0}, "above 0"),
    (DynamicErf, {"slope": -1.0}, "above 0"),
    (AdaptiveRMSNorm, {"condition_width": 0}, "at least 1"),
    (AdaptiveLayerNorm, {"condition_width": 0}, "at least 1"),
    (MLP, {"hidden": 0}, "at least 1"),
    (MLP, {"multiple": 2.0, "hidden": 5}, "not both"),
    (Gated, {"multiple": 2.0, "hidden": 5}, "not both"),
    (Experts, {"experts": 1}, "at least 2"),
    (Experts, {"chosen": 9}, "from 1 to experts"),
    (Experts, {"multiple": 0.0}, "above 0"),
    (Experts, {"balance": -1.0}, "at least 0"),
    (LayerScale, {"start": 0.0}, "above 0"),
    (Fixed, {"factor": 0.0}, "above 0"),
    (Gate, {"condition_width": 0}, "at least 1"),
    (Plus, {"keep": 0.0}, "above 0"),
    (Residual, {"drop": 1.0}, "not including, 1"),
    (Residual, {"norms": "after", "parallel": "own_norms"}, "must not stand after"),
    (Residual, {"norms": "output", "parallel": "shared_norm"}, "norm before"),
    (HyperConnections, {"streams": 1}, "at least 2"),
    (HyperConnections, {"sinkhorn": 0}, "at least 1"),
    (DepthAttention, {"rank": 0}, "at least 1"),
    (Residual, {"join": Reversible(), "drop": 0.3}, "must be 0"),
    (Residual, {"join": HyperConnections(), "norms": "after"}, "keeps several"),
    (Layers, {"distinct": 0}, "at least 1"),
    (Layers, {"loops": 0}, "at least 1"),
    (Layers, {"fewest_loops": 1}, "below layers.loops"),
    (Layers, {"loops": 2, "fewest_loops": 2}, "below layers.loops"),
    (Layers, {"taper": 0.0}, "above 0"),
    (Letters, {"pattern": "axf"}, "letters a and f"),
    (SandwichOrder, {"outer": 0}, "at least 1"),
    (LearnedPositions, {"capacity": 0}, "at least 1"),
    (SinusoidalPositions, {"base": 1.0}, "above 1"),
    (Embedding, {"inner_width": 0}, "at least 1"),
    (Embedding, {"registers": -1}, "at least 0"),
    (Transformer, {"embedding": Embedding(registers=2), "mixer": Convolution()}, "Convolution"),
    (Embedding, {"categories": (2, 0)}, "at least 1"),
    (Head, {"scale": 0.0}, "above 0"),
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
    if not hasattr(model, "mixer"):
        return set(model.visibilities())
    turns = (model.mixer, *(model.layers.alternate if isinstance(model, Transformer) else ()))
    return set.intersection(*(visibilities(mixer) for mixer in turns)) - {OTHERS}


def part_visibilities(name: str, part: Any) -> set[Visibility]:
    """What a model with ``part`` in its field ``name`` can keep to, as far as that part decides it."""
    if name == "mixer":
        return visibilities(part) - {OTHERS}
    return model_visibilities(part) & {CAUSAL} if name == "network" else {CAUSAL, FULL, OTHERS}


def _attention_meaning(mixer: Any, model: Any) -> dict[str, Any]:
    return {"head_width": model.width // mixer.heads, "key_value_heads": mixer.heads}


MEANING_OF_NONE: dict[type, Callable[[Any, Any], dict[str, Any]]] = {Attention: _attention_meaning}
"""Fields whose none stands for a number that follows from others."""
