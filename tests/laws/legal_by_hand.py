"""What ``legal.py`` says of models of texts, for those that are built by hand: sizes that fit, and what is refused.

Its rows are added to those of ``legal`` when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from laws import legal
from laws.legal import WIDTH
from semagram.feedforward import MLP, AdaptiveRMSNorm, Experts, Gated, LayerNorm, RMSNorm
from semagram.mixers import Convolution, CrossAttention, Rotary, Segments
from semagram.models import (
    Blocks,
    Classifier,
    Continuous,
    CrossStack,
    Decoder,
    Encoder,
    EncoderDecoder,
    Funnel,
    MultiStream,
    Perceiver,
    VectorEncoder,
    Vision,
)
from semagram.models.continuous import Gaussian
from semagram.models.embedding import SinusoidalPositions
from semagram.models.patches import LearnedPatches
from semagram.models.pooling import AttentionPool

SMALL = Blocks(width=WIDTH, depth=1)
"""What blocks may be made of is walked in ``Transformer``."""

BASELINES: dict[type, Callable[[], Any]] = {
    Encoder: lambda: Encoder(5, SMALL),
    VectorEncoder: lambda: VectorEncoder(2, SMALL),
    Vision: lambda: Vision((4, 6), (2, 2), 1, SMALL),
    Perceiver: lambda: Perceiver(Encoder(5, Blocks(WIDTH, 0)), 3, CrossStack(WIDTH), SMALL),
    CrossStack: lambda: CrossStack(WIDTH),
    Funnel: lambda: Funnel(Encoder(5, SMALL), (2,), SMALL),
    Decoder: lambda: Decoder(SMALL),
    EncoderDecoder: lambda: EncoderDecoder(Encoder(7, SMALL), Decoder(SMALL)),
    Classifier: lambda: Classifier(Encoder(5, SMALL), 3),
    Continuous: lambda: Continuous(2, None, SMALL),
    MultiStream: lambda: MultiStream((("a", 5), ("b", 3)), SMALL),
}

BLOCKS = (Blocks(24, 1), Blocks(WIDTH, 2), Blocks(WIDTH, 1, norm=LayerNorm()), Blocks(WIDTH, 1, dropout=0.5))

CANDIDATES: dict[tuple[type, str], tuple[Any, ...]] = {
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
    (Funnel, "blocks"): BLOCKS[1:],
    (Funnel, "encoder"): (VectorEncoder(2, SMALL), Encoder(4, Blocks(WIDTH, 2))),
    (Funnel, "stages"): ((1,), (2, 1)),
    (Funnel, "look"): (CrossAttention(), CrossAttention(heads=2, key_value_heads=1, positions=Rotary())),
    (Perceiver, "encoder"): (VectorEncoder(2, Blocks(WIDTH, 0)), Vision((4, 6), (2, 2), 1, Blocks(24, 1))),
    (Perceiver, "looks"): (
        CrossStack(WIDTH, 2),
        CrossStack(WIDTH, feedforward=Gated()),
        CrossStack(WIDTH, norm=LayerNorm()),
    ),
    (CrossStack, "width"): (24,),
    (CrossStack, "feedforward"): (MLP(activation="gelu"), Gated(), Experts(experts=3)),
    (CrossStack, "norm"): (LayerNorm(), RMSNorm(gain=True)),
    (Vision, "image"): ((6, 6),),
    (Vision, "patch"): ((4, 3), (1, 2)),
    (Vision, "positions"): (LearnedPatches(), SinusoidalPositions(), SinusoidalPositions(10.0)),
    (Vision, "patch_dropout"): (0.5,),
    (EncoderDecoder, "encoder"): (
        Encoder(4, Blocks(24, 2)),
        Vision((4, 6), (2, 2), 1, SMALL, registers=1),
        VectorEncoder(2, SMALL),
        Perceiver(Encoder(5, Blocks(WIDTH, 0)), 3, CrossStack(WIDTH), SMALL),
        Funnel(Encoder(5, SMALL), (1,), SMALL, restore=False),
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

REFUSED: list[tuple[type, dict[str, Any], str]] = [
    (CrossAttention, {"heads": 0}, "at least 1"),
    (CrossAttention, {"heads": 4, "key_value_heads": 3}, "must divide"),
    (CrossAttention, {"sharpness": 0.0}, "above 0"),
    (Encoder, {"vocabulary_size": 0}, "at least 1"),
    (Encoder, {"blocks": Blocks(mixer=Convolution())}, "FULL, and mixer Convolution cannot"),
    (VectorEncoder, {"features": 0}, "at least 1"),
    (Vision, {"patch": (3, 4)}, "do not fill"),
    (Vision, {"registers": -1}, "0 or more"),
    (Vision, {"patch_dropout": 1.0}, "not including, 1"),
    (Perceiver, {"latents": 0}, "at least 1"),
    (Perceiver, {"base": 1.0}, "above 1"),
    (CrossStack, {"depth": 0}, "at least 1"),
    (Funnel, {"stages": ()}, "at least 1"),
    (Funnel, {"stages": (2, 0)}, "at least 1"),
    (Funnel, {"blocks": Blocks(64)}, "one width"),
    (Funnel, {"encoder": Encoder(5, Blocks(128, 1), class_token=True)}, "pools pairs"),
    (Encoder, {"blocks": Blocks(norm=AdaptiveRMSNorm())}, "AdaptiveRMSNorm needs one"),
    (MultiStream, {"blocks": Blocks(norm=AdaptiveRMSNorm())}, "AdaptiveRMSNorm needs one"),
    (Decoder, {"logit_cap": 0.0}, "above 0"),
    (Classifier, {"classes": 0}, "at least 1"),
    (AttentionPool, {"queries": 0}, "at least 1"),
    (Continuous, {"features": 0}, "at least 1"),
    (MultiStream, {"streams": (("a", 0),)}, "at least 1"),
    (MultiStream, {"streams": (("a", 2), ("a", 3))}, "each once"),
]

legal.BASELINES.update(BASELINES)
legal.CANDIDATES.update(CANDIDATES)
legal.REFUSED.extend(REFUSED)
