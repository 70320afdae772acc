"""Latent attention beside Hugging Face's DeepSeek-V3: same weights, same outputs and gradients; and what it is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.stepping import close, gap
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, LatentAttention, Rotary
from semagram.mixers.attention import reference

WIDTH, LENGTH = 24, 11


def geometry(n: int = LENGTH) -> Geometry:
    return Geometry.of(Sequence(n).positions(), Visibility.CAUSAL)


def built(**fields: Any) -> Any:
    torch.manual_seed(0)
    mixer = LatentAttention(heads=3, rank=10, content_width=6, rotary_width=4, value_width=5, **fields).build(WIDTH)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return mixer


@pytest.mark.parametrize("query_rank", [None, 7])
def test_deepseek_v3(query_rank: int | None) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention, DeepseekV3RotaryEmbedding

    config = transformers.DeepseekV3Config(
        hidden_size=WIDTH, num_attention_heads=3, num_key_value_heads=3, q_lora_rank=query_rank, kv_lora_rank=10,
        qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=5, rope_interleave=False, attention_bias=False,
        max_position_embeddings=LENGTH, rope_parameters={"rope_type": "default", "rope_theta": 50.0},
        attn_implementation="eager",
    )  # fmt: skip
    theirs = DeepseekV3Attention(config, 0)
    ours = built(query_rank=query_rank, positions=Rotary(base=50.0))
    pairs = [
        (ours.down.weight, theirs.kv_a_proj_with_mqa.weight),
        (ours.norm.gain, theirs.kv_a_layernorm.weight),
        (ours.up.weight, theirs.kv_b_proj.weight),
        (ours.outward.weight, theirs.o_proj.weight),
    ]
    if query_rank is None:
        pairs += [(ours.query_up.weight, theirs.q_proj.weight)]
    else:
        pairs += [
            (ours.query_down.weight, theirs.q_a_proj.weight),
            (ours.query_norm.gain, theirs.q_a_layernorm.weight),
            (ours.query_up.weight, theirs.q_b_proj.weight),
        ]
    with torch.no_grad():
        for mine, other in pairs:
            other.copy_(mine)
    x = torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1))
    tables = DeepseekV3RotaryEmbedding(config)(x, torch.arange(LENGTH)[None])
    hidden = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)[None, None]
    other = theirs(hidden_states=x, position_embeddings=tables, attention_mask=hidden)[0]
    mine = ours(x, geometry())
    assert close(mine, other, 1e-5), gap(mine, other)
    for out in (mine, other):
        out.square().mean().backward()
    for i, (parameter, peer) in enumerate(pairs):
        assert close(parameter.grad, peer.grad, 1e-5), f"parameter {i}: {gap(parameter.grad, peer.grad)}"


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_pass_is_the_definition(n: int) -> None:
    mixer, x = built(), torch.randn(2, n, WIDTH)
    content, turned, latent, key = mixer._project(x, geometry(n))
    weights = mixer.up.weight.unflatten(0, (3, 11))
    keys = torch.stack([torch.cat([latent @ w[:6].t(), key], -1) for w in weights], 1)
    values = torch.stack([latent @ w[6:].t() for w in weights], 1)
    queries = torch.cat([content, turned], -1)
    out = reference(queries, keys, values, torch.ones(n, n, dtype=torch.bool).tril())
    assert close(mixer(x, geometry(n)), mixer.outward(out.transpose(1, 2).flatten(2)), 1e-5)


def state_numbers(state: Any) -> int:
    return sum(t.numel() for t in state.slots._buffers)


def test_a_state_holds_latents_and_nothing_else() -> None:
    mixer, n = built(), 8
    state = mixer.new_state(2, n)
    with torch.no_grad():
        mixer.step(torch.randn(2, 3, WIDTH), geometry(n).narrow(0, 3), state)
    assert state_numbers(state) == 2 * n * (10 + 4)
    plain: Any = Attention(heads=3, head_width=8).build(WIDTH)
    full = plain.new_state(2, n)
    assert state_numbers(state) < full.keys.numel() + full.values.numel()


def test_pairs_of_the_caller_are_heeded_while_stepping_too() -> None:
    mixer, n = built(), 9
    x: Tensor = torch.randn(2, n, WIDTH)
    noise = torch.randn(2, n, n)
    noise[0, 5, 2] = float("-inf")
    whole = geometry(n)
    told = Geometry(whole.coords, whole.order, Visibility.CAUSAL, pairs=noise)
    out = mixer(x, told)
    assert not close(out, mixer(x, whole), 1e-3)
    state = mixer.new_state(2, n)
    with torch.no_grad():
        parts = [mixer.step(x[:, a:b], told.narrow(a, b - a), state) for a, b in ((0, 4), (4, 5), (5, 9))]
    assert close(torch.cat(parts, 1), out, 1e-5)
