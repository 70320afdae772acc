"""Cross-attention of x-transformers: plain, or of cosines, with shared key heads."""

from __future__ import annotations

from typing import Any

import torch

from semagram.hub.peer_parts.attention import Order, attention_of
from semagram.hub.peer_parts.claims import Claims, kind_of, unsupported
from semagram.mixers import Attention, CrossAttention


class Bare:
    """What ``attention_of`` asks of the layers around: of cross-attention there is nothing to tell."""

    add_value_residual = False
    rotary_pos_emb = None
    rel_pos = None


def cross_of(layers: Any) -> CrossAttention:
    """Our config of the cross-attention in all ``layers``; raises ``UserError`` for parts that ours has not."""
    letters = zip(layers.layers, layers.layer_types, strict=True)
    found = {attention_of(_bare(layer[1]), Bare, True) for layer, letter in letters if letter == "c"}
    if len(found) != 1:
        raise unsupported("cross-attention that differs from layer to layer")
    it = found.pop()
    plain = Attention(it.heads, it.head_width, it.key_value_heads, it.positions, it.sharpness)
    if it != plain:
        raise unsupported("cross-attention with parts of its own")
    return CrossAttention(it.heads, it.head_width, it.key_value_heads, sharpness=it.sharpness)


def _bare(layer: Any) -> Any:
    while kind_of(layer) != "Attention":
        layer = layer.fn
    return layer


def fill_cross(ours: Any, theirs: Any, claims: Claims) -> None:
    """The weights."""
    order = Order(ours.heads, ours.key_value_heads, ours.head_width, 0)
    claims.put(ours.queries.weight, theirs.to_q.weight, order.queries(theirs.to_q.weight))
    claims.put(ours.keys_values.weight, theirs.to_k.weight, torch.cat([theirs.to_k.weight, theirs.to_v.weight]))
    claims.claim(theirs.to_v.weight)
    if kind_of(theirs.to_out) != "Linear":
        raise unsupported("Attention.project_out=False in cross-attention")
    claims.put(ours.outward.weight, theirs.to_out.weight, order.dealt(theirs.to_out.weight.t()).t())
