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
    Piecewise,
    RMSNorm,
    ScaleNorm,
)
from semagram.feedforward import basis as bases
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.mixers import (
    AdaptiveSpan,
    ALiBi,
    Alike,
    Attention,
    BucketedBias,
    Convolution,
    DynamicBias,
    Forgetting,
    Interpolation,
    Landmarks,
    LatentAttention,
    LearnedSink,
    Llama3,
    Memory,
    MixedRotary,
    Neighbourhood,
    NoPositions,
    NTKAware,
    OutputGate,
    Parallel,
    Rotary,
    Routed,
    Segments,
    SelectiveScan,
    Sigmoid,
    SparseConvolution,
    StateSpace,
    TailFocus,
    TalkingHeads,
    TokenShift,
    TopK,
    Tree,
    UntiedBias,
    ValueResidual,
    Window,
    YaRN,
    ZeroSink,
)
from semagram.models import (
    Electra,
    Hierarchical,
    Hourglass,
    Hybrid,
    Level,
    Merged,
    MultiToken,
    Page,
    Repeated,
    Stage,
    Transformer,
    Whole,
)
from semagram.models import Window as WindowModel
from semagram.models.embedding import Embedding, LearnedPositions, SinusoidalPositions
from semagram.models.head import Head
from semagram.models.hierarchical_compress import AttendBack, Pyramid
from semagram.models.hierarchical_look_up import LookUp
from semagram.models.hierarchical_losses import NextLatent, Reconstruct
from semagram.models.hierarchical_merge import GatedAdd, Separable
from semagram.models.hourglass_back import LookBack, Smoothed, Unfold
from semagram.models.hourglass_boundaries import AfterSpaces
from semagram.models.hourglass_boundaries import Fixed as FixedSize
from semagram.models.hourglass_learnt import Routing, Surprise
from semagram.models.hourglass_pool import Join, Last, Weigh
from semagram.models.joins import DepthAttention, GRUGate, Highway, HyperConnections, Plus, Reversible
from semagram.models.layers import Layers, Letters, Macaron, SandwichOrder
from semagram.models.residual import Residual
from semagram.models.scales import Fixed, LayerScale, ReZero
from semagram.models.scales import Gate as ConditionGate
from semagram.models.skips import Reinjection, UNetSkips
from semagram.objectives import Bert, Coherent, NextToken, PrefixLM
from semagram.predictors import CellularAutomaton, Unmasking
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
    StateSpace: {CAUSAL},
    SelectiveScan: {CAUSAL},
    TailFocus: {CAUSAL},
    Tree: {CAUSAL},
    SparseConvolution: {CAUSAL},
    Neighbourhood: {CAUSAL, FULL},
    Landmarks: {FULL},
    Routed: {FULL},
    Alike: {FULL},
    Parallel: {CAUSAL},
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
TWO_LEVELS = (Level(width=WIDTH), Level(factor=4, stride=2, width=WIDTH))
A_STAGE = Stage(boundaries=FixedSize(2), width=WIDTH)

BASELINES: dict[type, Callable[[], Any]] = {
    Sequence: lambda: Sequence(7),
    Grid: lambda: Grid(3, 4),
    Streams: lambda: Streams(4, 2),
    Transformer: lambda: Transformer(width=WIDTH, depth=1),
    Hybrid: lambda: Hybrid(network=Transformer(width=WIDTH, depth=1), orders=(1, 2), main_order=2),
    MultiToken: lambda: MultiToken(network=Transformer(width=WIDTH, depth=1), ahead=2),
    Electra: lambda: Electra(Transformer(width=WIDTH, depth=1), Transformer(width=24, depth=1), weight=5.0),
    Coherent: lambda: Coherent(share=0.75),
    Bert: lambda: Bert(share=0.5, randomised=0.25, shown=0.25),
    Hierarchical: lambda: Hierarchical(width=WIDTH, depth=2, levels=TWO_LEVELS),
    Hourglass: lambda: Hourglass(stages=(A_STAGE,), width=WIDTH, depth=1),
    Level: lambda: Level(factor=4, stride=2, width=WIDTH),
    Stage: lambda: A_STAGE,
    AfterSpaces: lambda: AfterSpaces((0,)),
    MLP: lambda: MLP(multiple=2.0),
    Gated: lambda: Gated(multiple=1.5),
    WindowModel: lambda: WindowModel(context=3, width=WIDTH),
    Piecewise: lambda: Piecewise(basis=bases.Continuous(order=2, segments=2)),
    Page: lambda: Page(width=WIDTH, depth=1, local=Neighbourhood(heads=2, rows=3, columns=3)),
    Landmarks: lambda: Landmarks(heads=4, count=2),
    Routed: lambda: Routed(heads=4, side=2, blocks=2),
    Alike: lambda: Alike(heads=4, share=0.3),
    AdaptiveSpan: lambda: AdaptiveSpan(start=0.5, softness=3.0),
    Neighbourhood: lambda: Neighbourhood(heads=4, rows=3, columns=3),
    Convolution: lambda: Convolution(kernel=3),
    Segments: lambda: Segments(segment=3, memory=2),
    StateSpace: lambda: StateSpace(heads=2, expand=1.0, state=4, kernel=3),
    TailFocus: lambda: TailFocus(kernels=(2, 2), strides=(2, 1), focus=(2, 1, 1)),
    Tree: lambda: Tree(levels=2),
    SparseConvolution: lambda: SparseConvolution(kernel=2, levels=2),
    SelectiveScan: lambda: SelectiveScan(expand=1.0, state=3, rank=2, kernel=3),
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
    UntiedBias: lambda: UntiedBias(features=4, base=10.0),
    Forgetting: lambda: Forgetting(memory=1.0),
    LatentAttention: lambda: LatentAttention(heads=2, rank=6, content_width=4, rotary_width=4, value_width=5),
    Memory: lambda: Memory(slots=2),
    Parallel: lambda: Parallel(beside=StateSpace(heads=2, expand=1.0, state=4, kernel=3)),
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
        Attention(4, None, 2, bias=UntiedBias(4, 10.0, reset=True), reach=Window(4), sink=Memory(2)),
        Attention(4, None, 2, talking=TalkingHeads(), reach=Window(3), sink=ZeroSink(), score_cap=2.0),
        Attention(talking=TalkingHeads(), forgetting=Forgetting(1.0), weights=TopK(2)),
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
    Neighbourhood: (
        Neighbourhood(heads=2, rows=2, columns=4, dilation=2, border="clip", causal_rows=True, global_heads=1),
        Neighbourhood(heads=2, rows=3, columns=3, positions=MixedRotary(), sharpness=None),
    ),
}
"""Variants that differ in several fields at once."""

CONTEXTS: dict[type, tuple[Any, ...]] = {
    Layers: (Layers(loops=3),),
    RMSNorm: (RMSNorm(gain=True),),
    Unmasking: (Unmasking(choice="random"), Unmasking(schedule="cosine", steps=3)),
}
"""Further starting points of one-field changes: for fields that act only beside certain values of others."""

ACTS_WHEN: dict[tuple[type, str], Callable[[Any], bool]] = {
    (Layers, "fewest_loops"): lambda layers: layers.loops > 1,
    (RMSNorm, "from_one"): lambda norm: norm.gain,
    (Unmasking, "seed"): lambda writing: writing.choice == "random",
    (Unmasking, "steps"): lambda writing: writing.schedule != "constant",
    (Unmasking, "schedule"): lambda writing: writing.schedule != "constant",
    (Unmasking, "cells"): lambda writing: writing.schedule == "constant",
}
"""Fields that cannot act in every context; ``test_options`` asserts that they are refused in the others."""

CANDIDATES: dict[tuple[type, str], tuple[Any, ...]] = {
    (Pretrained, "file"): (tokenizer_file(262),),
    (Sequence, "length"): (5,),
    (Grid, "height"): (1,),
    (Grid, "width"): (5,),
    (Grid, "scan"): ("rows", "snake", "random"),
    (Grid, "laying"): ("rows", "spiral"),
    (Streams, "length"): (3,),
    (Streams, "axes_count"): (1, 3),
    (Streams, "tags"): (),
    (Streams, "combine"): (),
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
    (UntiedBias, "features"): (6,),
    (UntiedBias, "base"): (100.0,),
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
    (Neighbourhood, "heads"): (2,),
    (Neighbourhood, "rows"): (1,),
    (Neighbourhood, "columns"): (2,),
    (Neighbourhood, "dilation"): (2,),
    (Neighbourhood, "global_heads"): (1,),
    (Neighbourhood, "reach"): (2.0,),
    (Neighbourhood, "positions"): (MixedRotary(), NoPositions()),
    (Neighbourhood, "sharpness"): (None,),
    (AdaptiveSpan, "start"): (1.5,),
    (AdaptiveSpan, "softness"): (2.0,),
    (Routed, "heads"): (2,),
    (Routed, "side"): (1, 3),
    (Routed, "blocks"): (1, 3),
    (Routed, "positions"): (NoPositions(),),
    (Routed, "sharpness"): (None,),
    (Alike, "heads"): (2,),
    (Alike, "share"): (0.5,),
    (Alike, "positions"): (NoPositions(),),
    (Alike, "sharpness"): (None,),
    (Landmarks, "heads"): (2,),
    (Landmarks, "count"): (3,),
    (Landmarks, "positions"): (NoPositions(),),
    (Landmarks, "sharpness"): (None,),
    (Parallel, "attention"): (Attention(key_value_heads=2, reach=Window(2)),),
    (Parallel, "beside"): (SelectiveScan(expand=1.0, state=3, rank=2, kernel=3), Convolution(3), TokenShift()),
    (MixedRotary, "base"): (10.0, 100.0),
    (Convolution, "kernel"): (1, 2, 5),
    (Segments, "mixer"): (Attention(heads=2), Attention(positions=NoPositions()), Attention(key_value_heads=2)),
    (Segments, "segment"): (1, 2, 64),
    (Segments, "memory"): (0, 1, 5, 64),
    (Transformer, "width"): (24, 32),
    (Transformer, "depth"): (0, 2),
    (Transformer, "dropout"): (0.0, 0.5),
    (Transformer, "logit_cap"): (None, 2.0, 15.0),
    (Page, "width"): (24,),
    (Page, "depth"): (0, 1, 2),
    (Page, "local"): (Neighbourhood(heads=2, rows=2, columns=5, global_heads=1),),
    (Page, "whole"): (
        Whole(Attention(heads=2), every=1),
        Whole(Attention(heads=1), every=2),
        Whole(Landmarks(2, 3)),
        Whole(Routed(2, 2, 2)),
    ),
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
    (Hybrid, "matches"): ((2, 3),),
    (Unmasking, "cells"): (1, 2, 3),
    (MultiToken, "network"): (Transformer(width=WIDTH, depth=2, tied=True), Transformer(width=24, depth=0)),
    (MultiToken, "ahead"): (1, 4),
    (Electra, "generator"): (Transformer(width=24, depth=1, tied=True, shift=None),),
    (Electra, "discriminator"): (Transformer(width=WIDTH, depth=2, norm=LayerNorm()),),
    (NextToken, "z_loss"): (0.01,),
    (NextToken, "smoothing"): (0.2,),
    (NextToken, "forget"): (0.5,),
    (NextToken, "noise"): (0.5,),
    (PrefixLM, "least"): (0.3,),
    (PrefixLM, "most"): (0.5,),
    (AttendBack, "heads"): (2,),
    (LookUp, "heads"): (2,),
    (LookBack, "heads"): (2,),
    (Weigh, "heads"): (2,),
    (Level, "factor"): (8,),
    (Level, "stride"): (1, 4),
    (Level, "width"): (24,),
    (Level, "attention_norm"): (LayerNorm(), RMSNorm(gain=True)),
    (Level, "heads"): (2,),
    (Level, "head_width"): (6,),
    (Level, "window"): ("full", "none", 2),
    (Stage, "boundaries"): (FixedSize(3), AfterSpaces((0,)), Surprise(0.5)),
    (Stage, "pool"): (Last(), Weigh(2), Join()),
    (Stage, "back"): (Unfold(), LookBack(2, 2)),
    (Stage, "width"): (24,),
    (Stage, "before"): (0, 2),
    (Stage, "after"): (0, 2),
    (Stage, "heads"): (2,),
    (Stage, "window"): (2, "element"),
    (AfterSpaces, "ids"): ((1,), (0, 1)),
    (Surprise, "threshold"): (10.0,),
    (Level, "recurrence"): (StateSpace(2, state=4, kernel=2), SelectiveScan(state=4, kernel=2)),
    (Hierarchical, "width"): (24,),
    (Hierarchical, "depth"): (1, 3),
    (Hierarchical, "levels"): (
        (Level(width=WIDTH, window=2), Level(factor=2, width=12, heads=2), Level(factor=4, stride=4, width=WIDTH)),
        (Level(width=WIDTH, window="none"), Level(factor=4, width=WIDTH, window="full")),
        (Level(width=WIDTH), Level(factor=4, stride=2, width=WIDTH, window="full")),
        (Level(width=WIDTH), Level(factor=4, stride=2, width=WIDTH, recurrence=StateSpace(2, state=4, kernel=2))),
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
        (Stage(FixedSize(3), Join(), Unfold(), width=WIDTH, before=0, window="element"),),
        (Stage(AfterSpaces((0,)), Weigh(2), LookBack(2, 2), width=WIDTH, heads=2, window=2),),
        (Stage(Surprise(0.5), Last(), width=WIDTH, after=0),),
        (Stage(Routing(), Last(), Smoothed(), width=WIDTH), Stage(FixedSize(2), Join(), Unfold(), width=12, heads=2)),
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
    (CellularAutomaton, "share"): (0.5,),
    (CellularAutomaton, "temperature"): (1.0,),
    # One of each basis: their own fields are walked in tests/feedforward, so that the pairs stay few.
    (Piecewise, "basis"): (bases.Discontinuous(1, 2), bases.BSpline(2, 3), bases.Constant(3)),
    (Piecewise, "hidden"): ((1.5,),),
    (WindowModel, "context"): (1, 2),
    (WindowModel, "width"): (9,),
    (WindowModel, "hidden"): (0, 2),
    (WindowModel, "links"): (None, bases.Discontinuous(1, 2)),
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
    (Coherent, "share"): (1.0,),
    (Unmasking, "schedule"): ("cosine", "linear"),
    (Unmasking, "steps"): (2, 3),
    (Unmasking, "block"): (None, 2, 5),
}
"""Values for fields whose neighbours must fit other fields."""

ASKED_ELSEWHERE: set[tuple[type, str]] = {
    (Hybrid, "folds"),
    (Experts, "balance"),
    (Experts, "z_loss"),
    (Attention, "value_residual"),
    (AdaptiveSpan, "penalty"),
    (Attention, "scale"),
    (Rotary, "fraction"),
    (MultiToken, "weight"),
    (Electra, "share"),
    (Electra, "weight"),
    (Piecewise, "frugal"),
    (Grid, "seed"),
    (Grid, "order"),
    (Streams, "tags"),
    (Streams, "combine"),
    (Unmasking, "order"),
}
"""Fields that do not reach the network (folds cut the training text, weights are of auxiliary losses), not its numbers
(frugal saves memory), or only beside others (a scale of plain products, a fraction of wide heads): the tests of
their own shelf ask after them."""

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
        "talking",
        "dropout",
    },
    LatentAttention: {"heads", "rank", "query_rank", "content_width", "rotary_width", "value_width", "positions"},
    Rotary: {"fraction", "scaling", "decay"},
    Segments: {"mixer", "segment", "memory"},
    StateSpace: {"heads", "expand", "state", "kernel", "links"},
    SelectiveScan: {"expand", "state", "rank", "kernel", "links"},
    TailFocus: {"kernels", "strides", "focus", "links"},
    Tree: {"levels", "links"},
    SparseConvolution: {"kernel", "levels", "links"},
    Neighbourhood: {
        "rows",
        "columns",
        "dilation",
        "border",
        "causal_rows",
        "causal_columns",
        "global_heads",
        "reach",
        "positions",
        "sharpness",
    },
    Landmarks: {"heads", "count", "positions", "sharpness"},
    Routed: {"heads", "side", "blocks", "positions", "sharpness"},
    Alike: {"heads", "share", "positions", "sharpness"},
}
"""Fields of parts that have too many options to be paired with everything else: a variant that changes one of them
meets every layout and visibility, beside the baseline of the other parts."""

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
    (UntiedBias, {"features": 5}, "even"),
    (UntiedBias, {"features": 2}, "at least 4"),
    (UntiedBias, {"base": 1.0}, "above 1"),
    (TalkingHeads, {"before": False, "after": False}, "mix nothing"),
    (Attention, {"dropout": 1.0}, "not including, 1"),
    (MLP, {"dropout": -0.1}, "not including, 1"),
    (Gated, {"dropout": 1.0}, "not including, 1"),
    (Attention, {"talking": TalkingHeads(), "heads": 1}, "at least 2 heads"),
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
    (MixedRotary, {"base": 1.0}, "above 1"),
    (Neighbourhood, {"heads": 0}, "at least 1"),
    (Neighbourhood, {"rows": 0}, "at least 1"),
    (Neighbourhood, {"columns": 0}, "at least 1"),
    (Neighbourhood, {"dilation": 0}, "at least 1"),
    (Neighbourhood, {"heads": 4, "global_heads": 4}, "fewer than heads"),
    (Neighbourhood, {"sharpness": 0.0}, "above 0"),
    (Neighbourhood, {"reach": 0.0}, "above 0"),
    (Landmarks, {"count": 0}, "at least 1"),
    (AdaptiveSpan, {"start": 0.0}, "above 0"),
    (AdaptiveSpan, {"softness": 0.0}, "above 0"),
    (AdaptiveSpan, {"penalty": -1.0}, "0 or more"),
    (Routed, {"heads": 0}, "at least 1"),
    (Routed, {"side": 0}, "at least 1"),
    (Routed, {"blocks": 0}, "at least 1"),
    (Routed, {"sharpness": 0.0}, "above 0"),
    (Alike, {"heads": 0}, "at least 1"),
    (Alike, {"share": 0.6}, "at most 0.5"),
    (Alike, {"sharpness": 0.0}, "above 0"),
    (Landmarks, {"heads": 0}, "at least 1"),
    (Landmarks, {"sharpness": 0.0}, "above 0"),
    (Convolution, {"kernel": 0}, "at least 1"),
    (Segments, {"segment": 0}, "at least 1"),
    (Segments, {"memory": -1}, "0 slots or more"),
    (WindowModel, {"context": 0}, "at least 1"),
    (WindowModel, {"width": 0}, "at least 1"),
    (WindowModel, {"hidden": -1}, "at least 0"),
    (WindowModel, {"links": bases.Constant(surrogate=False)}, "surrogate"),
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
    (Transformer, {"embedding": Embedding(registers=2), "mixer": Attention(reach=Window(3))}, "neighbours only"),
    (Embedding, {"categories": (2, 0)}, "at least 1"),
    (Head, {"scale": 0.0}, "above 0"),
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
    (Hybrid, {"matches": (3, 2)}, "ascending"),
    (Unmasking, {"cells": 0}, "at least 1"),
    (MultiToken, {"ahead": 0}, "at least 1"),
    (MultiToken, {"weight": 0.0}, "above 0"),
    (Electra, {"share": 0.0}, "above 0"),
    (Electra, {"weight": -1.0}, "above 0"),
    (NextToken, {"z_loss": -0.1}, "from 0 to 1"),
    (NextToken, {"smoothing": 1.0}, "not including, 1"),
    (NextToken, {"forget": -0.5}, "not including, 1"),
    (NextToken, {"noise": 1.0}, "not including, 1"),
    (PrefixLM, {"least": -0.1}, "not including, 1"),
    (PrefixLM, {"most": 1.0}, "not including, 1"),
    (PrefixLM, {"most": 0.5, "least": 0.6}, "at most objective.most"),
    (Bert, {"share": 0.0}, "above 0"),
    (Bert, {"randomised": 1.0}, "not including, 1"),
    (Bert, {"randomised": 0.5, "shown": 0.5}, "leave cells"),
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
    (NextLatent, {"rollouts": 0}, "at least 1"),
    (Stage, {"width": 10}, "even width"),
    (Stage, {"before": -1}, "at least 0"),
    (Stage, {"window": 0}, "at least 1"),
    (Stage, {"boundaries": AfterSpaces((0,)), "window": "element"}, "needs Fixed"),
    (Stage, {"before": 0, "after": 0, "window": 3}, "no window"),
    (Hourglass, {"width": 10}, "even width"),
    (Hourglass, {"sharpness": 0.0}, "above 0"),
    (Hourglass, {"dropout": 1.0}, "not including, 1"),
    (Hourglass, {"logit_cap": 0.0}, "above 0"),
    (FixedSize, {"size": 1}, "at least 2"),
    (AfterSpaces, {"ids": ()}, "at least 0"),
    (Surprise, {"threshold": 0.0}, "above 0"),
    (Surprise, {"rank": 0}, "at least 1"),
    (Routing, {"ratio": 1.0}, "above 1"),
    (Routing, {"weight": 0.0}, "above 0"),
    (Weigh, {"heads": 0}, "at least 1"),
    (LookBack, {"last": 0}, "at least 1"),
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


def _levels_unfit(given: dict[str, Any]) -> bool:
    """The head reads one level or all; shared weights need one width; without attention only the shift looks back."""
    levels = given.get("levels", ())
    return (
        bool(given.get("pooled") and given.get("predicting"))
        or bool(given.get("shared_attention") and len({level.width for level in levels}) > 1)
        or bool(given.get("shared_attention") and any(level.recurrence is not None for level in levels))
        or (not given.get("half_shift", True) and any(level.window == "none" for level in levels))
    )


UNFIT: dict[type, Callable[[dict[str, Any]], bool]] = {Hierarchical: _levels_unfit}
"""Values of several fields that must be refused together (``given``: some of a model's fields)."""


def unfit(kind: type, given: dict[str, Any]) -> bool:
    """True when these values of fields may not stand together."""
    return kind in UNFIT and UNFIT[kind](given)


CONDITIONED = (AdaptiveRMSNorm, AdaptiveLayerNorm, ConditionGate)
"""Parts that need a condition, which a Transformer alone is given."""


def takes(model: Any, part: Any) -> bool:
    """Whether a model may carry this part in a slot of its kind."""
    return isinstance(model, Transformer) or not isinstance(part, CONDITIONED)


def visibilities(mixer: Any) -> set[Visibility]:
    """The row of the mixer; a part that has none yet is walked with what it says of itself."""
    row = VISIBILITIES.get(type(mixer), set(mixer.visibilities()))
    return row & {CAUSAL} if NARROWED.get(type(mixer), lambda _: False)(mixer) else row


def one_by_one(part: Any) -> bool:
    """True when ``part``, or a part of it, differs from its baseline in a field of ``ONE_BY_ONE``."""
    if not is_dataclass(part):
        return False
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    own = ONE_BY_ONE.get(type(part), set())
    baseline = BASELINES.get(type(part), type(part))() if own else None
    changed = any(values[name] != getattr(baseline, name) for name in own)
    return changed or any(one_by_one(value) for value in values.values())


def model_visibilities(model: Any) -> set[Visibility]:
    """A residual stream carries a slot's own input, so never OTHERS; n-grams and further heads read from left to right,
    detection needs both sides."""
    if isinstance(model, (Hybrid, MultiToken)):
        return model_visibilities(model.network) & {CAUSAL}
    if isinstance(model, Page):
        return part_visibilities("merged", model.merged) & part_visibilities("whole", model.whole) - {OTHERS}
    if isinstance(model, Electra):
        return model_visibilities(model.generator) & model_visibilities(model.discriminator) & {FULL}
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
    if name == "whole":
        return {CAUSAL, FULL, OTHERS} if part is None else visibilities(part.attention)
    if name == "merged":  # a super-token has seen all of its cells
        return {FULL} if part is not None else {CAUSAL, FULL, OTHERS}
    wrapped = {"network": {CAUSAL}, "generator": {FULL}, "discriminator": {FULL}}
    return model_visibilities(part) & wrapped[name] if name in wrapped else {CAUSAL, FULL, OTHERS}


def _attention_meaning(mixer: Any, model: Any) -> dict[str, Any]:
    return {"head_width": model.width // mixer.heads, "key_value_heads": mixer.heads}


MEANING_OF_NONE: dict[type, Callable[[Any, Any], dict[str, Any]]] = {Attention: _attention_meaning}
"""Fields whose none stands for a number that follows from others."""
