"""Law 11: where a peer exists, agree with it: the same weights give the same logits and gradients.

Hugging Face's Llama (RMSNorm, SwiGLU, grouped-query attention, half-split rotary) and an x-transformers decoder
(squared-ReLU feedforward; interleaved rotary: the features of a head are permuted on the way over; gains less 1).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.cases import shaken
from laws.stepping import close, gap
from semagram.feedforward import MLP, Gated, RMSNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Transformer

V, WIDTH, DEPTH, HEADS, LENGTH = 11, 24, 2, 4, 9
HEAD_WIDTH = WIDTH // HEADS
LAYOUT = Sequence(LENGTH)


def ours(**fields: Any) -> Any:
    """A plain pre-norm transformer."""
    torch.manual_seed(0)
    config = Transformer(width=WIDTH, depth=DEPTH, logit_cap=None, shift=None, **fields)
    return shaken(config.build(V, LAYOUT, Visibility.CAUSAL)).eval()


def embedded(network: Any) -> Tensor:
    """The table of a peer that does not normalise its embedding: ours, normalised beforehand, ``(v + 1, d)``."""
    return network.embedding_norm(network.embedding.weight).detach()


def stacked_gradient(attention: Any) -> Tensor:
    """Of Llama's three projections, in our order."""
    return torch.cat([m.weight.grad for m in (attention.q_proj, attention.k_proj, attention.v_proj)])


def test_llama(count) -> None:
    transformers = pytest.importorskip("transformers")
    network = ours(
        mixer=Attention(heads=HEADS, key_value_heads=2, sharpness=None),
        feedforward=Gated(multiple=2.0, activation="silu"),
        norm=RMSNorm(gain=True, epsilon=1e-5),
    )
    settings = transformers.LlamaConfig(
        vocab_size=V + 1, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=DEPTH,
        num_attention_heads=HEADS, num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=LENGTH,
        rope_theta=10_000.0, tie_word_embeddings=False, attn_implementation="eager",
    )  # fmt: skip
    llama = transformers.LlamaForCausalLM(settings).eval()
    key = 2 * HEAD_WIDTH
    pairs: list[Any] = []

    def copy(to: Tensor, value: Tensor) -> None:
        with torch.no_grad():
            to.copy_(value)

    copy(llama.model.embed_tokens.weight, embedded(network))
    with torch.no_grad():
        llama.lm_head.weight[:V] = network.head.weight
    copy(llama.model.norm.weight, network.norm.gain)
    for block, layer in zip(network.blocks, llama.model.layers, strict=True):
        attention = layer.self_attn
        stacked = block.mixer.inward.weight.split([WIDTH, key, key])
        for part, projection in zip(stacked, (attention.q_proj, attention.k_proj, attention.v_proj), strict=True):
            copy(projection.weight, part)
        copy(attention.o_proj.weight, block.mixer.outward.weight)
        gate, up = block.feedforward.inward.weight.split(block.feedforward.hidden)
        copy(layer.mlp.gate_proj.weight, gate)
        copy(layer.mlp.up_proj.weight, up)
        copy(layer.mlp.down_proj.weight, block.feedforward.down.weight)
        copy(layer.input_layernorm.weight, block.mixer_norm.gain)
        copy(layer.post_attention_layernorm.weight, block.feedforward_norm.gain)
        pairs += [
            (block.mixer.inward.weight, lambda a=attention: stacked_gradient(a)),
            (block.feedforward.down.weight, lambda m=layer.mlp: m.down_proj.weight.grad),
            (block.mixer_norm.gain, lambda n=layer.input_layernorm: n.weight.grad),
        ]  # fmt: skip

    def answer(ids: Tensor) -> Tensor:
        return llama(input_ids=ids).logits[..., :V]

    compare(network, llama, answer, pairs)
    count("peers that agree in logits and gradients")


def compare(network: Any, theirs: nn.Module, answer: Any, pairs: list[Any]) -> None:
    """Logits to 1e-5, then gradients to 1e-4."""
    ids = torch.randint(0, V, (3, LENGTH), generator=torch.Generator().manual_seed(2))
    mine = network(ids, Geometry.of(LAYOUT.positions(), Visibility.CAUSAL))
    other = answer(ids)
    assert close(mine, other, 1e-5), gap(mine, other)
    for net, logits in ((network, mine), (theirs, other)):
        net.zero_grad()
        nn.functional.cross_entropy(logits.flatten(0, 1), ids.roll(-1, dims=1).flatten()).backward()
    for parameter, theirs_gradient in pairs:
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 1e-4, "no gradient to compare"
        assert close(parameter.grad, theirs_gradient(), 1e-4), gap(parameter.grad, theirs_gradient())


def interleaved(weight: Tensor) -> Tensor:
    """Rows ``(h * d_h, d)`` from planes (i, i + d_h / 2) to planes (2 i, 2 i + 1)."""
    heads = weight.reshape(-1, 2, HEAD_WIDTH // 2, weight.shape[1])
    return heads.transpose(1, 2).reshape(weight.shape)


def test_x_transformers(count) -> None:
    peers = pytest.importorskip("x_transformers")
    network = ours(
        mixer=Attention(heads=HEADS, sharpness=None),
        feedforward=MLP(multiple=4.0, activation="relu_squared"),
        norm=RMSNorm(gain=True, epsilon=1e-12),
    )
    decoder = peers.Decoder(
        dim=WIDTH, depth=DEPTH, heads=HEADS, attn_dim_head=HEAD_WIDTH, rotary_pos_emb=True, rotary_emb_dim=HEAD_WIDTH,
        use_rmsnorm=True, ff_relu_squared=True, ff_no_bias=True, ff_mult=4,
    )  # fmt: skip
    peer = peers.TransformerWrapper(
        num_tokens=V, max_seq_len=LENGTH, attn_layers=decoder, use_abs_pos_emb=False, emb_dropout=0.0
    ).eval()
    state, pairs = {}, []
    state["token_emb.emb.weight"] = embedded(network)[:V]
    state["to_logits.weight"] = network.head.weight
    gains = [g for block in network.blocks for g in (block.mixer_norm.gain, block.feedforward_norm.gain)]
    layers = decoder.layers
    for index, gain in enumerate(gains):
        state[f"attn_layers.layers.{index}.0.0.g"] = gain - 1.0  # it keeps what is to be added to 1
    state["attn_layers.final_norm.g"] = network.norm.gain - 1.0
    for i, block in enumerate(network.blocks):
        queries, keys, values = block.mixer.inward.weight.split([WIDTH] * 3)
        attention, feedforward = f"attn_layers.layers.{2 * i}.1.", f"attn_layers.layers.{2 * i + 1}.1."
        state[attention + "to_q.weight"] = interleaved(queries)
        state[attention + "to_k.weight"] = interleaved(keys)
        state[attention + "to_v.weight"] = values
        state[attention + "to_out.weight"] = block.mixer.outward.weight
        state[feedforward + "ff.0.0.weight"] = block.feedforward.up.weight
        state[feedforward + "ff.2.weight"] = block.feedforward.down.weight
        its, ff = layers[2 * i][1], layers[2 * i + 1][1]
        pairs.append((block.mixer.outward.weight, lambda a=its: a.to_out.weight.grad))
        pairs.append((block.feedforward.up.weight, lambda f=ff: f.ff[0][0].weight.grad))
        pairs.append((block.feedforward.down.weight, lambda f=ff: f.ff[2].weight.grad))
    theirs = peer.state_dict()
    missing = {name for name in theirs if name not in state and "inv_freq" not in name and "scale" not in name}
    assert not missing and not set(state) - set(theirs), (sorted(missing), sorted(set(state) - set(theirs)))
    peer.load_state_dict(state, strict=False)
    compare(network, peer, peer, pairs)
    count("peers that agree in logits and gradients")
