"""The six models of x-transformers' README of 2020, in semagram: a few lines each, at the sizes printed there.

    python examples/six_models.py

GPT-3 is built on torch's meta device, where tensors have shapes and no numbers. All six run there in the tests.
"""

from __future__ import annotations

import torch
from torch import Tensor

from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, CrossAttention
from semagram.models import Blocks, Classifier, Decoder, Encoder, EncoderDecoder, Transformer, Vision
from semagram.objectives.next_token import shifted

SIX = Blocks(width=512, depth=6, mixer=Attention(heads=8))


def encoder_decoder() -> Tensor:
    """Full encoder and decoder, with masks on both sides."""
    decoder = Decoder(SIX, CrossAttention(heads=8))
    model = EncoderDecoder(Encoder(256, SIX), decoder).build(256)

    source, target = torch.randint(0, 256, (1, 1024)), torch.randint(0, 256, (1, 1024))
    source_keep, keep = torch.ones_like(source).bool(), torch.ones_like(target).bool()

    # Each slot is shown the token before its own, the first a reserved id: so the first token is asked for too.
    return model(source, shifted(target, 256), source_keep, keep)  # (1, 1024, 256)


def decoder_only() -> Tensor:
    """A decoder as GPT has it."""
    config = Transformer(width=512, depth=12, mixer=Attention(heads=8))
    model = config.build(20_000, Sequence(1024), Visibility.CAUSAL)

    x = torch.randint(0, 256, (1, 1024))
    return model(x, Geometry.line(1024, Visibility.CAUSAL, like=x))  # (1, 1024, 20000)


def gpt3() -> torch.nn.Module:
    """GPT-3's sizes: shapes without numbers, since nobody can run it here."""
    config = Transformer(width=12_288, depth=96, mixer=Attention(heads=96, head_width=128))
    with torch.device("meta"):
        return config.build(50_000, Sequence(2048), Visibility.CAUSAL)


def encoder_only() -> Tensor:
    """An encoder as BERT has it: logits at every position, padding seen by nobody."""
    config = Transformer(width=512, depth=12, mixer=Attention(heads=8))
    model = config.build(20_000, Sequence(1024), Visibility.FULL)

    x = torch.randint(0, 256, (1, 1024))
    keep = torch.ones_like(x).bool()
    return model(x, Geometry.line(1024, Visibility.FULL, keep, like=x))  # (1, 1024, 20000)


def image_classifier() -> Tensor:
    """A vision transformer; rotary attention sees rows and columns."""
    vision = Vision(image=(256, 256), patch=(32, 32), blocks=SIX)
    model = Classifier(vision, classes=1000).build()

    image = torch.randn(1, 3, 256, 256)
    return model(image)  # (1, 1000)


def image_to_caption() -> Tensor:
    """A decoder that looks at what a vision transformer sees."""
    vision = Vision(image=(256, 256), patch=(32, 32), blocks=SIX)
    model = EncoderDecoder(vision, Decoder(SIX, CrossAttention(heads=8))).build(20_000)

    image, caption = torch.randn(1, 3, 256, 256), torch.randint(0, 20_000, (1, 1024))
    return model(image, shifted(caption, 20_000))  # (1, 1024, 20000)


SHAPES = {
    encoder_decoder: (1, 1024, 256),
    decoder_only: (1, 1024, 20_000),
    encoder_only: (1, 1024, 20_000),
    image_classifier: (1, 1000),
    image_to_caption: (1, 1024, 20_000),
}
"""What the README says comes out (of the first it says 512, which contradicts its own vocabulary of 256)."""


if __name__ == "__main__":
    for example, shape in SHAPES.items():
        with torch.no_grad():
            print(f"{example.__name__}: {tuple(example().shape)}, as printed: {shape}")
    print(f"gpt3: {sum(p.numel() for p in gpt3().parameters()) / 1e9:.1f} billion parameters")
