"""An ``XTransformer`` with its weights as an ``EncoderDecoder`` of ours; read part by part as ``x_transformers.py``.

Tested against x-transformers to 1e-5, with padding in the source.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from semagram.errors import UserError
from semagram.hub.hugging_face import Loaded
from semagram.hub.peer_parts.branches import blocks_of, close_enough, fill_blocks
from semagram.hub.peer_parts.claims import Claims, kind_of, unsupported
from semagram.hub.peer_parts.cross import cross_of
from semagram.hub.x_transformers import fill_places, positions_of, refuse_wrapper
from semagram.layouts import Visibility
from semagram.models.decoder import Decoder
from semagram.models.encoder import Encoder
from semagram.models.encoder_decoder import EncoderDecoder


def from_x_encoder_decoder(model: Any, begin: int = 0) -> Loaded:
    """Ours with the weights of an ``XTransformer``; the reserved id, which begins a target, shows the row of ``begin``.

    Raises ``UserError`` naming the first setting that has no counterpart here.
    """
    if kind_of(model) != "XTransformer":
        raise UserError(f"from_x_encoder_decoder reads an XTransformer, got {type(model).__name__}.")
    source, target = model.encoder, model.decoder.net
    for wrapper in (source, target):
        refuse_wrapper(wrapper, headless=wrapper is source)
        if kind_of(wrapper.post_emb_norm) or wrapper.num_memory_tokens or wrapper.token_emb.l2norm_embed:
            raise unsupported("post_emb_norm, memory tokens or unit rows in an XTransformer")
    if kind_of(target.to_logits) != "Linear" or target.to_logits.bias is not None:
        raise unsupported("to_logits of an XTransformer that is no linear map")
    tables = [wrapper.token_emb.emb.weight for wrapper in (source, target)]
    shared, v = tables[0] is tables[1], len(tables[1])
    if not 0 <= begin < v:
        raise UserError(f"begin must be an id from 0 to {v - 1}, got {begin}.")
    config = EncoderDecoder(
        Encoder(len(tables[0]), blocks_of(source.attn_layers), positions_of(source), normalise=False),
        Decoder(
            blocks_of(target.attn_layers, cross=True),
            cross_of(target.attn_layers),
            logit_cap=None,
            positions=positions_of(target),
            normalise=False,
        ),
        shared=shared,
    )
    network: Any = config.build(v).eval()
    claims = Claims()
    for ours, theirs, table in zip((network.encoder, network.decoder), (source, target), tables, strict=True):
        if ours.embedding is not None:
            claims.put(ours.embedding.weight, table, torch.cat([table, table[begin : begin + 1]]))
        if ours.places is not None:
            fill_places(ours.places, theirs, claims)
        fill_blocks(ours.stack, ours.stack.norm, theirs.attn_layers, claims)
    claims.put(network.decoder.head.weight, target.to_logits.weight)
    claims.check(model)
    _compare(network, model, len(tables[0]))
    return Loaded("x-transformers", config, network, Visibility.CAUSAL, int(target.max_seq_len), v)


@torch.no_grad()
def _compare(network: nn.Module, model: Any, sources: int) -> None:
    """Ask both; raises ``UserError`` when they disagree."""
    generator = torch.Generator().manual_seed(0)
    count = min(12, int(model.encoder.max_seq_len), int(model.decoder.net.max_seq_len))
    source = torch.randint(0, sources, (2, count), generator=generator)
    inputs = torch.randint(0, network.vocabulary_size, (2, count), generator=generator)  # type: ignore[call-overload]
    training = model.training
    model.eval()
    theirs = model.decoder.net(inputs, context=model.encoder(source, return_embeddings=True))
    model.train(training)
    if not close_enough(network(source, inputs), theirs):
        raise unsupported("a setting without parameters")
