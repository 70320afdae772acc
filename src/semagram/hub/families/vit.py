"""ViT as a classifier of images (arXiv 2010.11929); tested against transformers at random weights.

The class token's own position is added to the token; the convolution over patches is a linear map of their pixels.
"""

from __future__ import annotations

from semagram.errors import UserError
from semagram.feedforward import MLP, LayerNorm
from semagram.hub.checkpoint import Checkpoint
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.weights import Weights
from semagram.layouts.visibility import Visibility
from semagram.mixers import Attention, NoPositions
from semagram.models.classifier import Classifier
from semagram.models.patches import LearnedPatches
from semagram.models.pooling import First
from semagram.models.stack import Blocks
from semagram.models.vision import Vision


def vit(s: Settings, tensors: Tensors) -> Checkpoint:
    """ViT, DeiT-like ones without a distillation token."""
    tensors.unprefixed("vit.")
    tensors.leave(r"pooler\..*")
    width, depth = s.whole("hidden_size"), s.whole("num_hidden_layers")
    image, patch = (_pair(s, name) for name in ("image_size", "patch_size"))
    biased = bool(s.get("qkv_bias", True))
    w = Weights(tensors)
    # The convolution's kernels are (d, c, p, q); a patch is cut by rows, columns, then channels.
    kernels = tensors.take("embeddings.patch_embeddings.projection.weight")
    w.state["encoder.embedding.weight"] = kernels.permute(0, 2, 3, 1).flatten(1).contiguous()
    w.copy("encoder.embedding.bias", "embeddings.patch_embeddings.projection.bias")
    places = tensors.take("embeddings.position_embeddings")[0]
    w.state["encoder.class_token"] = tensors.take("embeddings.cls_token")[0] + places[:1]
    w.state["encoder.positions.embedding.weight"] = places[1:].contiguous()
    tensors.leave("embeddings.mask_token")
    for i in range(depth):
        ours, theirs = f"encoder.stack.{i}.", _layer(tensors, i)
        new = f"{theirs}attention.q_proj.weight" in tensors
        names = ("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj", "mlp.fc1", "mlp.fc2")
        if not new:
            inner = "attention.attention."
            names = tuple(f"{inner}{name}" for name in ("query", "key", "value"))
            names += ("attention.output.dense", "intermediate.dense", "output.dense")
        w.stacked(f"{ours}mixer.inward", *(theirs + name for name in names[:3]))
        w.linear(f"{ours}mixer.outward", theirs + names[3])
        w.linear(f"{ours}feedforward.up", theirs + names[4])
        w.linear(f"{ours}feedforward.down", theirs + names[5])
        w.norm(f"{ours}mixer_norm", f"{theirs}layernorm_before")
        w.norm(f"{ours}feedforward_norm", f"{theirs}layernorm_after")
    w.norm("encoder.stack.norm", "layernorm")
    w.linear("head", "classifier")
    classes = len(w.state["head.weight"])
    blocks = Blocks(
        width,
        depth,
        Attention(
            s.whole("num_attention_heads"),
            positions=NoPositions(),
            sharpness=None,
            input_bias=biased,
            output_bias=True,
        ),
        MLP(activation=s.activation("hidden_act", "gelu"), bias=True, hidden=s.whole("intermediate_size")),
        LayerNorm(s.get("layer_norm_eps", 1e-12), bias=True),
    )
    vision = Vision(
        image,
        patch,
        s.get("num_channels", 3),
        blocks,
        LearnedPatches(),
        normalise=False,
        class_token=True,
    )
    return Checkpoint(Classifier(vision, classes, First()), w.state, visibility=Visibility.FULL)


def _pair(s: Settings, name: str) -> tuple[int, int]:
    """One number for both sides, or two."""
    value = s.get(name, 0)
    sides = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UserError(f"config.json of a {s.family} model needs {name}, one or two whole numbers above 0.")
    return sides[0], sides[1]


def _layer(tensors: Tensors, index: int) -> str:
    """Where a layer's tensors are: the names changed between versions."""
    names = (f"encoder.layer.{index}.", f"layers.{index}.", f"encoder.layers.{index}.")
    return next((name for name in names if f"{name}layernorm_before.weight" in tensors), names[0])
