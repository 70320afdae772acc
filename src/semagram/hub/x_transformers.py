"""Models of x-transformers with their weights as models of ours: ``from_x_transformers(model)``.

A ``TransformerWrapper`` of a ``Decoder`` or an ``Encoder`` is read from its modules, setting by setting (and an
``XTransformer`` and a ``ViTransformerWrapper`` by the files beside). Three things keep a setting that we do not know
from slipping through: attributes that are known and not supported are refused by name; every parameter must have been
read, or is named; and in the end both are asked about the same random ids. Tested against x-transformers in
over seventy settings, to 1e-5.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import LayerNorm
from semagram.hub.hugging_face import Loaded
from semagram.hub.peer_parts.branches import blocks_of, close_enough, fill_blocks
from semagram.hub.peer_parts.claims import Claims, kind_of, refuse, unsupported
from semagram.hub.peer_parts.norms import fill_norm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models.embedding import Embedding, LearnedPositions, SinusoidalPositions
from semagram.models.head import Head
from semagram.models.transformer import Transformer


def from_x_transformers(model: Any, begin: int = 0) -> Loaded:
    """Ours with the weights of ``model``; the reserved id, which stands before a text, shows the row of ``begin``.

    Raises ``UserError`` naming the first setting that has no counterpart here.
    """
    if kind_of(model) == "AutoregressiveWrapper":
        model = model.net
    if kind_of(model) == "XTransformer":
        from semagram.hub.x_encoder_decoder import from_x_encoder_decoder

        return from_x_encoder_decoder(model, begin)
    if kind_of(model) == "ViTransformerWrapper":
        from semagram.hub.x_vision import from_x_vision

        return from_x_vision(model)
    if kind_of(model) != "TransformerWrapper":
        raise UserError(f"from_x_transformers reads a TransformerWrapper, got {type(model).__name__}.")
    refuse_wrapper(model)
    layers = model.attn_layers
    table = model.token_emb.emb.weight
    if not 0 <= begin < len(table):
        raise UserError(f"begin must be an id from 0 to {len(table) - 1}, got {begin}.")
    blocks = blocks_of(layers)
    tied = not isinstance(model.to_logits, nn.Module)
    if not tied and (kind_of(model.to_logits) != "Linear" or model.to_logits.out_features != len(table)):
        raise unsupported("to_logits, or logits_dim,")
    if kind_of(model.post_emb_norm) and not isinstance(blocks.norm, LayerNorm):
        raise unsupported(f"post_emb_norm beside {type(blocks.norm).__name__}")
    config = Transformer(
        width=blocks.width,
        depth=blocks.depth,
        mixer=blocks.mixer,
        feedforward=blocks.feedforward,
        norm=blocks.norm,
        shift=None,
        tied=tied,
        logit_cap=None,
        residual=blocks.residual,
        layers=blocks.layers,
        embedding=Embedding(
            positions_of(model),
            normalise=bool(kind_of(model.post_emb_norm)),
            unit_rows=bool(model.token_emb.l2norm_embed),
            registers=model.num_memory_tokens,
        ),
        head=Head(
            scale=float(model.tie_embedding_scale) if tied else 1.0, bias=not tied and model.to_logits.bias is not None
        ),
    )
    visibility = Visibility.CAUSAL if layers.causal else Visibility.FULL
    capacity = int(model.max_seq_len)
    network: Any = config.build(len(table), Sequence(capacity), visibility)
    _fill(network, model, begin)
    loaded = Loaded("x-transformers", config, network.eval(), visibility, capacity, len(table))
    _compare(loaded, model)
    return loaded


def refuse_wrapper(model: Any, headless: bool = False) -> None:
    """What a wrapper may have beside embedding and head, and ours has not; ``headless``: it only encodes."""
    refuse(
        model,
        embeds=None,
        ff_deep_embed=None,
        recycling=False,
        looped=False,
        cls_token=None,
        attn_pool=None,
        average_pool_embed=False,
        to_mixture=None,
        sigsoftmax_logits=False,
        has_multiple_heads=False,
        add_continuous_pred_head=False,
        memory_tokens_interspersed_every=None,
    )
    if kind_of(model.project_emb):
        raise unsupported("emb_dim (its widening has a bias)")
    if model.to_logits is None and not headless:
        raise unsupported("return_only_embed")
    if model.token_emb.l2norm_embed and not isinstance(model.to_logits, nn.Module):
        raise unsupported("l2norm_embed beside tie_embedding (its head takes the rows as they are)")


def positions_of(model: Any) -> LearnedPositions | SinusoidalPositions | None:
    """Our config of a wrapper's positions."""
    kind = kind_of(model.pos_emb)
    if kind == "AbsolutePositionalEmbedding":
        return LearnedPositions(len(model.pos_emb.emb.weight))
    if kind == "ScaledSinusoidalEmbedding":
        return SinusoidalPositions(scaled=True)
    if isinstance(model.pos_emb, nn.Module) and kind:
        raise unsupported(f"the positions {kind}")
    return None


def _fill(network: Any, model: Any, begin: int) -> None:
    """All weights; raises ``UserError`` for parameters that have no place."""
    claims = Claims()
    table: Tensor = model.token_emb.emb.weight
    claims.put(network.embedding.weight, table, torch.cat([table, table[begin : begin + 1]]))
    if network.entry is not None and network.entry.places is not None:
        fill_places(network.entry.places, model, claims)
    if network.embedding_norm is not None:
        fill_norm(network.embedding_norm, model.post_emb_norm, claims)
    if network.head is not None:
        claims.put(network.head.weight, model.to_logits.weight)
        if model.to_logits.bias is not None:
            claims.put(network.head_bias, model.to_logits.bias)
    if network.blocks.registers is not None:
        claims.put(network.blocks.registers, model.memory_tokens)
    fill_blocks(network.blocks, network.norm, model.attn_layers, claims)
    claims.check(model)


def fill_places(places: Any, model: Any, claims: Claims) -> None:
    """The weights of a wrapper's positions; theirs are multiplied or normalised when used."""
    if kind_of(model.pos_emb) == "ScaledSinusoidalEmbedding":
        claims.put(places.factor, model.pos_emb.scale)
        return
    rows = model.pos_emb.emb.weight * model.pos_emb.scale
    rows = F.normalize(rows, dim=-1) if model.pos_emb.l2norm_embed else rows
    claims.put(places.tables[0].weight, model.pos_emb.emb.weight, rows)


@torch.no_grad()
def _compare(loaded: Loaded, model: Any) -> None:
    """Ask both; raises ``UserError`` when they disagree: then there is a setting that nothing above knows."""
    count = min(loaded.capacity, 12)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, loaded.vocabulary_size, (2, count), generator=generator)
    ids = ids.to(next(model.parameters()).device)
    geometry = Geometry.line(count, loaded.visibility, like=ids)
    network: Any = loaded.network.to(ids.device)
    condition = None
    if network.condition_width is not None:
        condition = torch.randn(2, network.condition_width, generator=generator).to(ids.device)
    training = model.training
    model.eval()
    theirs = model(ids) if condition is None else model(ids, condition=condition)
    model.train(training)
    mine = network(ids, geometry) if condition is None else network(ids, geometry, condition)
    if not close_enough(mine, theirs):
        raise unsupported(f"a setting without parameters (logits differ by {float((mine - theirs).abs().max()):.1e})")
