"""What fits what, written out: so that neither a wrong refusal nor a wrong permission can hide.

The walk derives variants by itself; here stands what it cannot know. A new part needs a row in ``VISIBILITIES`` (a test
says so), and nothing else unless its sizes must fit something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from laws.foreign_tokenizers import tokenizer_file
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
from semagram.mixers import (
    ALiBi,
    Attention,
    BucketedBias,
    Convolution,
    DynamicBias,
    Forgetting,
    Interpolation,
    LatentAttention,
    LearnedSink,
    Llama3,
    Memory,
    NoPositions,
    NTKAware,
    OutputGate,
    Rotary,
    Segments,
    Sigmoid,
    TokenShift,
    TopK,
    ValueResidual,
    Window,
    YaRN,
    ZeroSink,
)
from semagram.models import Hybrid, Transformer
from semagram.models.embedding import Embedding, LearnedPositions, SinusoidalPositions
from semagram.models.head import Head
from semagram.models.joins import DepthAttention, GRUGate, Highway, HyperConnections, Plus, Reversible
from semagram.models.layers import Layers, Letters, Macaron, SandwichOrder
from semagram.models.residual import Residual
from semagram.models.scales import Fixed, LayerScale, ReZero
from semagram.models.scales import Gate as ConditionGate
from semagram.models.skips import Reinjection, UNetSkips
from semagram.predictors import Unmasking
from semagram.text.pretrained import Pretrained
from semagram.text.tokenizers import BPE

CAUSAL, FULL, OTHERS = Visibility.CAUSAL, Visibility.FULL, Visibility.OTHERS

WIDTH = 16
"""Model width of the walk: four heads of four features, so that every head has a plane for each of two axes."""

VISIBILITIES: dict[type, set[Visibility]] = {
    Attention: {CAUSAL, FULL},
    Convolution: {CAUSAL},
    LatentAttention: {CAUSAL, FULL},
    TokenShift: {CAUSAL, FULL},
    Segments: {CAUSAL},
}
"""What each mixer can keep to. Stated here and not read from the part, so that a part cannot excuse itself."""

NARROWED: dict[type, Callable[[Any], bool]] = {
    Attention: lambda mixer: (
        mixer.forgetting is not None or mixer.selective or getattr(mixer.positions, "decay", None) is not None
    ),
}
"""Configurations that look back only, of mixers that can do more."""
COUNTS_SLOTS: set[type] = {Segments}
"""Mixers whose borders are counted from the first slot: padding before a text moves them (what is in it does not)."""

BASELINES: dict[type, Callable[[], Any]] = {
    Sequence: lambda: Sequence(7),
    Grid: lambda: Grid(3, 4),
    Streams: lambda: Streams(4, 2),
    Transformer: lambda: Transformer(width=WIDTH, depth=1),
    Hybrid: lambda: Hybrid(network=Transformer(width=WIDTH, depth=1), orders=(1, 2), main_order=2),
    MLP: lambda: MLP(multiple=2.0),
    Gated: lambda: Gated(multiple=1.5),
    Convolution: lambda: Convolution(kernel=3),
    Segments: lambda: Segments(segment=3, memory=2),
    RMSNorm: lambda: RMSNorm(epsilon=1e-3),
    LayerNorm: lambda: LayerNorm(epsilon=1e-3),
    ScaleNorm: lambda: ScaleNorm(epsilon=1e-3),
    AdaptiveRMSNorm: lambda: AdaptiveRMSNorm(condition_width=3, epsilon=1e-3),
    AdaptiveLayerNorm: lambda: AdaptiveLayerNorm(condition_width=3, epsilon=1e-3),
    LearnedPositions: lambda: LearnedPositions(capacity=16),
    ConditionGate: lambda: ConditionGate(condition_width=3),
    Experts: lambda: Experts(experts=3, chosen=2, multiple=1.0),
    BPE: lambda: BPE(vocabulary_size=260),
    Pretrained: lambda: Pretrained(tokenizer_file(256)),
    BucketedBias: lambda: BucketedBias(buckets=6, farthest=5),
    DynamicBias: lambda: DynamicBias(hidden=4, depth=1),
    Forgetting: lambda: Forgetting(memory=1.0),
    LatentAttention: lambda: LatentAttention(heads=2, rank=6, content_width=4, rotary_width=4, value_width=5),
    Memory: lambda: Memory(slots=2),
    TopK: lambda: TopK(keys=2),
    Window: lambda: Window(size=3),
    YaRN: lambda: YaRN(factor=4.0, trained_length=20_000, slow=0.5),
    Llama3: lambda: Llama3(trained_length=20_000, fast=100.0),
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
        Attention(sharpness=None, scale=0.3, input_bias=True, output_bias=True),
        Attention(heads=4, key_value_heads=2, sink=Memory(3), gate=OutputGate("heads"), score_cap=3.0, gains="both"),
        Attention(heads=4, key_value_heads=1, bias=BucketedBias(6, 5), forgetting=Forgetting(1.0), reach=Window(4)),
        Attention(bias=ALiBi(heads=2), reach=Window(3, dilation=2), sink=LearnedSink()),
        Attention(bias=DynamicBias(4, 1), reach=Window(4), sink=ZeroSink(), weights=TopK(3)),
        Attention(positions=NoPositions(), bias=ALiBi()),
        Attention(heads=2, positions=Rotary(fraction=0.5)),
        Attention(heads=2, positions=Rotary(fraction=0.5, decay=6.0), reach=Window(5)),
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
        Residual(norms="both", join=GRUGate(), scale=ConditionGate(3)),
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
        Transformer(WIDTH, 2, mixer=Attention(value_residual=ValueResidual())),
        Transformer(WIDTH, 3, mixer=Attention(4, None, 2, value_residual=ValueResidual(0.4), reach=Window(3))),
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
    (Pretrained, "file"): (tokenizer_file(262),),
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
    (Rotary, "decay"): (None, 5.0),
    (Interpolation, "factor"): (3.0,),
    (NTKAware, "factor"): (3.0,),
    (YaRN, "factor"): (8.0,),
    (YaRN, "trained_length"): (2000,),
    (YaRN, "fast"): (2.0,),
    (YaRN, "slow"): (0.1,),
    (YaRN, "gain"): (None, 2.0),
    (Llama3, "factor"): (4.0,),
    (Attention, "gains"): ("heads", "features", "both"),
    (Attention, "score_cap"): (None, 1.5),
    (ALiBi, "heads"): (None, 2),
    (BucketedBias, "buckets"): (4,),
    (BucketedBias, "farthest"): (9,),
    (DynamicBias, "hidden"): (5,),
    (DynamicBias, "depth"): (2,),
    (OutputGate, "rank"): (None, 3),
    (LatentAttention, "heads"): (3,),
    (LatentAttention, "rank"): (7,),
    (LatentAttention, "query_rank"): (None, 3),
    (LatentAttention, "content_width"): (3,),
    (LatentAttention, "rotary_width"): (6,),
    (LatentAttention, "value_width"): (12,),
    (LatentAttention, "positions"): (Rotary(base=100.0), Rotary(scaling=NTKAware(3.0))),
    (Memory, "slots"): (1,),
    (Window, "size"): (2,),
    (Window, "dilation"): (2,),
    (Convolution, "kernel"): (1, 2, 5),
    (Segments, "mixer"): (Attention(heads=2), Attention(positions=NoPositions()), Attention(key_value_heads=2)),
    (Segments, "segment"): (1, 2, 64),
    (Segments, "memory"): (0, 1, 5, 64),
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
        Residual(scale=ConditionGate(3), drop=0.3),
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

ASKED_ELSEWHERE: set[tuple[type, str]] = {
    (Hybrid, "folds"),
    (Experts, "balance"),
    (Experts, "z_loss"),
    (Attention, "value_residual"),
    (Attention, "scale"),
    (Rotary, "fraction"),
}
"""Fields that do not reach the network (folds cut the training text) or only beside others (a scale
of plain products, a fraction of wide heads): the tests of their own shelf ask after them."""

ONE_BY_ONE: dict[type, set[str]] = {
    Attention: {
        "gains",
        "scale",
        "input_bias",
        "output_bias",
        "bias",
        "forgetting",
        "score_cap",
        "reach",
        "weights",
        "selective",
        "sink",
        "gate",
    },
    LatentAttention: {"heads", "rank", "query_rank", "content_width", "rotary_width", "value_width", "positions"},
    Rotary: {"fraction", "scaling", "decay"},
}
"""Fields of parts that have too many options to be paired with everything else: a variant that changes one of them
meets every layout and visibility, beside the baseline of the other parts."""

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
    (Rotary, {"fraction": 0.0}, "above 0"),
    (Rotary, {"fraction": 1.5}, "at most 1"),
    (Rotary, {"decay": 0.0}, "above 0"),
    (Interpolation, {"factor": 1.0}, "above 1"),
    (NTKAware, {"factor": 0.5}, "above 1"),
    (YaRN, {"factor": 1.0}, "above 1"),
    (YaRN, {"fast": 1.0, "slow": 2.0}, "fast > slow"),
    (YaRN, {"trained_length": 0}, "at least 1"),
    (YaRN, {"gain": 0.0}, "above 0"),
    (Llama3, {"factor": 1.0}, "above 1"),
    (Llama3, {"slow": 0.0}, "slow > 0"),
    (Attention, {"scale": 0.5}, "set sharpness to none"),
    (Attention, {"sharpness": None, "scale": 0.0}, "above 0"),
    (Attention, {"sharpness": None, "gains": "both"}, "set sharpness"),
    (Attention, {"score_cap": 0.0}, "above 0"),
    (Attention, {"selective": True, "reach": Window(3)}, "earlier queries"),
    (Attention, {"weights": Sigmoid(), "sink": ZeroSink()}, "share nothing"),
    (ALiBi, {"heads": 0}, "at least 1"),
    (BucketedBias, {"buckets": 5}, "even"),
    (BucketedBias, {"buckets": 2}, "at least 4"),
    (BucketedBias, {"farthest": 16}, "above buckets / 2"),
    (DynamicBias, {"hidden": 0}, "at least 1"),
    (DynamicBias, {"depth": 0}, "at least 1"),
    (OutputGate, {"rank": 0}, "at least 1"),
    (ValueResidual, {"own": 1.0}, "not including, 1"),
    (Memory, {"slots": 0}, "at least 1"),
    (TopK, {"keys": 0}, "at least 1"),
    (LatentAttention, {"rank": 0}, "at least 1"),
    (LatentAttention, {"query_rank": 0}, "at least 1"),
    (LatentAttention, {"rotary_width": 3}, "even"),
    (LatentAttention, {"positions": Rotary(fraction=0.5)}, "all of rotary_width"),
    (Window, {"size": 0}, "at least 1"),
    (Window, {"dilation": 0}, "at least 1"),
    (Window, {"size": 1, "dilation": 2}, "no effect"),
    (Convolution, {"kernel": 0}, "at least 1"),
    (Segments, {"segment": 0}, "at least 1"),
    (Segments, {"memory": -1}, "0 slots or more"),
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
    (ConditionGate, {"condition_width": 0}, "at least 1"),
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
    row = VISIBILITIES.get(type(mixer), set(mixer.visibilities()))
    return row & {CAUSAL} if NARROWED.get(type(mixer), lambda _: False)(mixer) else row


def one_by_one(part: Any) -> bool:
    """True when ``part``, or a part of it, differs from its defaults in a field of ``ONE_BY_ONE``."""
    if not is_dataclass(part):
        return False
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    own = ONE_BY_ONE.get(type(part), set())
    changed = any(values[name] != getattr(type(part)(), name) for name in own)
    return changed or any(one_by_one(value) for value in values.values())


def model_visibilities(model: Any) -> set[Visibility]:
    """A residual stream carries a slot's own input, so never OTHERS; n-grams read from left to right."""
    if isinstance(model, Hybrid):
        return model_visibilities(model.network) & {CAUSAL}
    if not hasattr(model, "mixer"):
        return set(model.visibilities())
    turns = (model.mixer, *(model.layers.alternate if isinstance(model, Transformer) else ()))
    return set.intersection(*(visibilities(mixer) for mixer in turns)) - {OTHERS}


def counts_slots(model: Any) -> bool:
    """True where leading padding rightly changes what a slot may see."""
    if isinstance(model, Hybrid):
        return counts_slots(model.network)
    model = model.decoder.blocks if hasattr(model, "decoder") else model
    turns = (getattr(model, "mixer", None), *(model.layers.alternate if hasattr(model, "layers") else ()))
    return any(type(mixer) in COUNTS_SLOTS for mixer in turns)


def part_visibilities(name: str, part: Any) -> set[Visibility]:
    """What a model with ``part`` in its field ``name`` can keep to, as far as that part decides it."""
    if name == "mixer":
        return visibilities(part) - {OTHERS}
    return model_visibilities(part) & {CAUSAL} if name == "network" else {CAUSAL, FULL, OTHERS}


def _attention_meaning(mixer: Any, model: Any) -> dict[str, Any]:
    return {"head_width": model.width // mixer.heads, "key_value_heads": mixer.heads}


MEANING_OF_NONE: dict[type, Callable[[Any, Any], dict[str, Any]]] = {Attention: _attention_meaning}
"""Fields whose none stands for a number that follows from others."""
