"""What fits what, written out: so that neither a wrong refusal nor a wrong permission can hide.

The walk derives variants by itself; here stands what it cannot know. A new part needs a row in ``VISIBILITIES`` (a test
says so), and nothing else unless its sizes must fit something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from semagram.feedforward import MLP, Gated, LayerNorm, RMSNorm
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.mixers import Attention, Convolution, CrossAttention, NoPositions, Rotary, Segments, TokenShift
from semagram.models import (
    Blocks,
    Classifier,
    Continuous,
    CrossStack,
    Decoder,
    Encoder,
    EncoderDecoder,
    Hybrid,
    MultiStream,
    Perceiver,
    Transformer,
    VectorEncoder,
    Vision,
)
from semagram.models.continuous import Gaussian
from semagram.models.patches import LearnedPatches, SinusoidalPatches
from semagram.models.pooling import AttentionPool
from semagram.predictors import Unmasking
from semagram.text.tokenizers import BPE

CAUSAL, FULL, OTHERS = Visibility.CAUSAL, Visibility.FULL, Visibility.OTHERS

WIDTH = 16
"""Model width of the walk: four heads of four features, so that every head has a plane for each of two axes."""

VISIBILITIES: dict[type, set[Visibility]] = {
    Attention: {CAUSAL, FULL},
    Convolution: {CAUSAL},
    TokenShift: {CAUSAL, FULL},
    Segments: {CAUSAL},
}
"""What each mixer can keep to. Stated here and not read from the part, so that a part cannot excuse itself."""

SMALL = Blocks(width=WIDTH, depth=1)
"""Of models by hand; what blocks may be made of is walked in ``Transformer``."""

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
    BPE: lambda: BPE(vocabulary_size=260),
    Encoder: lambda: Encoder(5, SMALL),
    VectorEncoder: lambda: VectorEncoder(2, SMALL),
    Vision: lambda: Vision((4, 6), (2, 2), 1, SMALL),
    Perceiver: lambda: Perceiver(Encoder(5, Blocks(WIDTH, 0)), 3, CrossStack(WIDTH), SMALL),
    CrossStack: lambda: CrossStack(WIDTH),
    Decoder: lambda: Decoder(SMALL),
    EncoderDecoder: lambda: EncoderDecoder(Encoder(7, SMALL), Decoder(SMALL)),
    Classifier: lambda: Classifier(Encoder(5, SMALL), 3),
    Continuous: lambda: Continuous(2, None, SMALL),
    MultiStream: lambda: MultiStream((("a", 5), ("b", 3)), SMALL),
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

BLOCKS = (Blocks(24, 1), Blocks(WIDTH, 2), Blocks(WIDTH, 1, norm=LayerNorm()), Blocks(WIDTH, 1, dropout=0.5))

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
    (Hybrid, "orders"): ((1, 2, 3),),
    (Hybrid, "main_order"): (1,),
    (Unmasking, "cells"): (1, 2, 3),
    (CrossAttention, "heads"): (1, 2),
    (CrossAttention, "head_width"): (6,),
    (CrossAttention, "key_value_heads"): (1, 2),
    (CrossAttention, "context_width"): (),
    (CrossAttention, "positions"): (),
    (CrossAttention, "sharpness"): (None, 4.0),
    **dict.fromkeys(
        ((k, "blocks") for k in (Encoder, VectorEncoder, Vision, Decoder, Continuous, MultiStream)), BLOCKS
    ),
    (Perceiver, "blocks"): BLOCKS[1:],
    (Perceiver, "encoder"): (VectorEncoder(2, Blocks(WIDTH, 0)), Vision((4, 6), (2, 2), 1, Blocks(24, 1))),
    (Perceiver, "looks"): (
        CrossStack(WIDTH, 2),
        CrossStack(WIDTH, feedforward=Gated()),
        CrossStack(WIDTH, norm=LayerNorm()),
    ),
    (CrossStack, "width"): (24,),
    (Vision, "image"): ((6, 6),),
    (Vision, "patch"): ((4, 3), (1, 2)),
    (Vision, "positions"): (LearnedPatches(), SinusoidalPatches(), SinusoidalPatches(10.0)),
    (Vision, "patch_dropout"): (0.5,),
    (EncoderDecoder, "encoder"): (
        Encoder(4, Blocks(24, 2)),
        Vision((4, 6), (2, 2), 1, SMALL, registers=1),
        VectorEncoder(2, SMALL),
        Perceiver(Encoder(5, Blocks(WIDTH, 0)), 3, CrossStack(WIDTH), SMALL),
    ),
    (EncoderDecoder, "decoder"): (
        Decoder(SMALL, CrossAttention(positions=Rotary())),
        Decoder(SMALL, CrossAttention(key_value_heads=2, sharpness=None), tied=True, logit_cap=None),
        Decoder(Blocks(WIDTH, 1, Convolution())),
        Decoder(Blocks(WIDTH, 1, Segments(segment=2, memory=1))),
    ),
    (Classifier, "encoder"): (Vision((4, 6), (2, 2), 1, SMALL), VectorEncoder(2, SMALL)),
    (Classifier, "pooling"): (AttentionPool(), AttentionPool(3, CrossAttention(sharpness=None))),
    (Continuous, "outputs"): (5,),
    (Continuous, "answer"): (Gaussian(),),
    (MultiStream, "streams"): ((("a", 5),), (("a", 5), ("b", 3), ("c", 2))),
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
    (Segments, {"segment": 0}, "at least 1"),
    (Segments, {"memory": -1}, "0 slots or more"),
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
    (Unmasking, {"choice": "confidence", "seed": 3}, "random"),
    (Unmasking, {"choice": "ranks", "seed": 3}, "random"),
    (BPE, {"vocabulary_size": 255}, "at least 256"),
    (CrossAttention, {"heads": 0}, "at least 1"),
    (CrossAttention, {"heads": 4, "key_value_heads": 3}, "must divide"),
    (CrossAttention, {"sharpness": 0.0}, "above 0"),
    (Encoder, {"vocabulary_size": 0}, "at least 1"),
    (Encoder, {"blocks": Blocks(mixer=Convolution())}, "Convolution cannot be FULL"),
    (VectorEncoder, {"features": 0}, "at least 1"),
    (Vision, {"patch": (3, 4)}, "do not fill"),
    (Vision, {"registers": -1}, "0 or more"),
    (Vision, {"patch_dropout": 1.0}, "not including, 1"),
    (SinusoidalPatches, {"base": 1.0}, "above 1"),
    (Perceiver, {"latents": 0}, "at least 1"),
    (Perceiver, {"base": 1.0}, "above 1"),
    (CrossStack, {"depth": 0}, "at least 1"),
    (Decoder, {"logit_cap": 0.0}, "above 0"),
    (Classifier, {"classes": 0}, "at least 1"),
    (AttentionPool, {"queries": 0}, "at least 1"),
    (Continuous, {"features": 0}, "at least 1"),
    (MultiStream, {"streams": (("a", 0),)}, "at least 1"),
    (MultiStream, {"streams": (("a", 2), ("a", 3))}, "each once"),
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


def counts_slots(model: Any) -> bool:
    """True where leading padding rightly changes what a slot may see."""
    if isinstance(model, Hybrid):
        return counts_slots(model.network)
    if isinstance(model, EncoderDecoder):
        model = model.decoder.blocks
    return type(getattr(model, "mixer", None)) in COUNTS_SLOTS


def part_visibilities(name: str, part: Any) -> set[Visibility]:
    """What a model with ``part`` in its field ``name`` can keep to, as far as that part decides it."""
    if name == "mixer":
        return visibilities(part) - {OTHERS}
    return model_visibilities(part) & {CAUSAL} if name == "network" else {CAUSAL, FULL, OTHERS}


def _attention_meaning(mixer: Any, model: Any) -> dict[str, Any]:
    return {"head_width": model.width // mixer.heads, "key_value_heads": mixer.heads}


MEANING_OF_NONE: dict[type, Callable[[Any, Any], dict[str, Any]]] = {Attention: _attention_meaning}
"""Fields whose none stands for a number that follows from others."""
