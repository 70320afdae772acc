"""A ``ViTransformerWrapper`` of x-transformers with its weights as a classifier of ours; tested to 1e-5."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from semagram.errors import UserError
from semagram.feedforward import LayerNorm
from semagram.hub.hugging_face import Loaded
from semagram.hub.peer_parts.branches import blocks_of, close_enough, fill_blocks
from semagram.hub.peer_parts.claims import Claims, kind_of, unsupported
from semagram.hub.peer_parts.norms import fill_norm
from semagram.layouts import Visibility
from semagram.models.classifier import Classifier
from semagram.models.patches import LearnedPatches
from semagram.models.pooling import Mean
from semagram.models.vision import Vision


def from_x_vision(model: Any) -> Loaded:
    """Ours with the weights of a ``ViTransformerWrapper`` with classes; ``loaded.network(images)`` are its logits.

    Raises ``UserError`` naming the first setting that has no counterpart here.
    """
    if kind_of(model) != "ViTransformerWrapper":
        raise UserError(f"from_x_vision reads a ViTransformerWrapper, got {type(model).__name__}.")
    if kind_of(model.mlp_head) != "Linear":
        raise unsupported("a ViTransformerWrapper without num_classes")
    if kind_of(model.post_emb_norm):
        raise unsupported("post_emb_norm of a ViTransformerWrapper")
    blocks = blocks_of(model.attn_layers)
    if not isinstance(blocks.norm, LayerNorm):
        raise unsupported(f"a ViTransformerWrapper (its patches have layer norms) with {type(blocks.norm).__name__}")
    if model.attn_layers.rotary_pos_emb is not None:
        raise unsupported("rotary positions along the patches of a ViTransformerWrapper")
    if model.attn_layers.rel_pos is not None:
        raise unsupported("a bias along the patches of a ViTransformerWrapper")
    first, linear, second = model.patch_to_embedding
    side = math.isqrt(model.pos_embedding.shape[1]) * model.patch_size
    vision = Vision(
        (side, side),
        (model.patch_size, model.patch_size),
        linear.in_features // model.patch_size**2,
        blocks,
        LearnedPatches(),
        patch_norm=True,
        registers=len(model.register_tokens) if model.has_register_tokens else 0,
    )
    config = Classifier(vision, model.mlp_head.out_features, Mean())
    network: Any = config.build().eval()
    ours, claims = network.encoder, Claims()
    fill_norm(ours.patch_norm, first, claims)
    fill_norm(ours.embedding_norm, second, claims)
    for mine, theirs in ((ours.embedding, linear), (network.head, model.mlp_head)):
        claims.put(mine.weight, theirs.weight)
        claims.put(mine.bias, theirs.bias)
    claims.put(ours.positions.embedding.weight, model.pos_embedding)
    if model.has_register_tokens:
        claims.put(ours.registers, model.register_tokens)
    fill_blocks(ours.stack, ours.stack.norm, model.attn_layers, claims)
    claims.check(model)
    _compare(network, model, (vision.channels, side, side))
    return Loaded("x-transformers", config, network, Visibility.FULL, model.pos_embedding.shape[1], 0)


@torch.no_grad()
def _compare(network: nn.Module, model: Any, shape: tuple[int, int, int]) -> None:
    """Ask both; raises ``UserError`` when they disagree."""
    image = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    training = model.training
    model.eval()
    theirs = model(image)
    model.train(training)
    if not close_enough(network(image), theirs):
        raise unsupported("a setting without parameters")
