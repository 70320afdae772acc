"""Every part of attention that x-transformers has too: same weights, same outputs, same gradients, to 1e-5."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mixers.peer_attention import BATCH, LENGTH, Together
from semagram.mixers import (
    ALiBi,
    Attention,
    BucketedBias,
    DynamicBias,
    Forgetting,
    Gate,
    LearnedSink,
    Memory,
    NoPositions,
    Rotary,
    TopK,
    Window,
    ZeroSink,
)

pytest.importorskip("x_transformers")

PLAIN: dict[str, Any] = {"heads": 4, "head_width": 6, "positions": NoPositions(), "sharpness": None}


def keep() -> torch.Tensor:
    """Some padding at the end of the second row."""
    mask = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    mask[1, -4:] = False
    return mask


@pytest.mark.parametrize("shared", [4, 2, 1])
@pytest.mark.parametrize("positions", [NoPositions(), Rotary(), Rotary(base=50.0, fraction=0.7), Rotary(decay=7.0)])
def test_heads_and_positions(shared: int, positions: Any) -> None:
    Together(Attention(**{**PLAIN, "positions": positions}, key_value_heads=shared)).compare()


@pytest.mark.parametrize("causal", [True, False])
def test_padding(causal: bool) -> None:
    Together(Attention(**PLAIN), causal).compare(keep())


@pytest.mark.parametrize("shared", [4, 2])
def test_cosine(shared: int) -> None:
    Together(Attention(4, 6, shared, NoPositions(), sharpness=5.0), qk_norm=True, qk_norm_scale=5).compare()


def test_cosine_with_gains() -> None:
    """Its gains start at d_h^(1/4) each and its scale is 1 / sqrt(d_h): sharpness 1 when ours are the same numbers."""
    config = Attention(4, 6, 2, NoPositions(), sharpness=6**-0.5, gains="both")
    both = Together(config, qk_norm=True, qk_norm_dim_scale=True)
    gains = both.ours.gains
    both.also(gains.query, both.theirs.qk_norm_q_scale, lambda g: both.query_heads(g)[:, None])
    both.also(gains.key, both.theirs.qk_norm_k_scale, lambda g: g[:, None]).compare()


def test_rms_norm_with_gains() -> None:
    both = Together(Attention(4, 6, 2, NoPositions(), sharpness=6**0.5, gains="both"), qk_rmsnorm=True)
    gains = both.ours.gains
    both.also(gains.query, both.theirs.q_rmsnorm.gamma, lambda g: both.query_heads(g)[:, None] - 1.0)
    both.also(gains.key, both.theirs.k_rmsnorm.gamma, lambda g: g[:, None] - 1.0)
    with torch.no_grad():
        for mine, other, layout in both.pairs:
            other.copy_(layout(mine))
    both.pairs = both.pairs[:4]  # gradients of gains less 1 are compared as the gains': below
    both.compare()
    both.close("gains", both.query_heads(gains.query.grad)[:, None], both.theirs.q_rmsnorm.gamma.grad)
    both.close("gains", gains.key.grad[:, None], both.theirs.k_rmsnorm.gamma.grad)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("feeling", [None, 3])
def test_alibi(causal: bool, feeling: int | None) -> None:
    from x_transformers.x_transformers import AlibiPositionalBias

    bias = AlibiPositionalBias(feeling or 4, total_heads=4)
    Together(Attention(**PLAIN, bias=ALiBi(feeling)), causal).compare(rel_pos=bias)


def test_alibi_with_heads_that_are_no_power_of_two_and_rotary() -> None:
    """x-transformers builds ALiBi beside rotary positions and then crashes in its cache (X4); the sums agree."""
    from x_transformers.x_transformers import AlibiPositionalBias

    Together(Attention(6, 4, sharpness=None, bias=ALiBi())).compare(rel_pos=AlibiPositionalBias(6, total_heads=6))


@pytest.mark.parametrize("causal", [True, False])
def test_bucketed_bias(causal: bool) -> None:
    """Its table is multiplied with sqrt(d_h), ours is not."""
    from x_transformers.x_transformers import RelativePositionBias

    theirs = RelativePositionBias(1.0, causal, 8, 11, 4)
    both = Together(Attention(**PLAIN, bias=BucketedBias(8, 11)), causal)
    table = theirs.relative_attention_bias.weight
    both.also(both.ours.open.bias.table, table, lambda t: t.t()).compare(keep(), rel_pos=theirs)


@pytest.mark.parametrize("logarithmic", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_dynamic_bias(causal: bool, logarithmic: bool) -> None:
    from x_transformers.x_transformers import DynamicPositionBias

    theirs = DynamicPositionBias(5, heads=4, depth=2, log_distance=logarithmic)
    both = Together(Attention(**PLAIN, bias=DynamicBias(5, 2, logarithmic)), causal)
    ours = both.ours.open.bias
    for mine, layer in zip(ours.inner, theirs.mlp, strict=False):
        both.also(mine.weight, layer[0].weight).also(mine.bias, layer[0].bias)
    both.also(ours.last.weight, theirs.mlp[-1].weight).compare(rel_pos=theirs)


def forgetting(**more: Any) -> Together:
    both = Together(Attention(**{**PLAIN, **more}, forgetting=Forgetting(1.0)), data_dependent_alibi=True)
    ours, theirs = both.ours.open.forgetting.gate, both.theirs.data_dependent_alibi.to_forget_gates[0]
    return both.also(ours.weight, theirs.weight).also(ours.bias, theirs.bias)


@pytest.mark.parametrize("positions", [NoPositions(), Rotary()])
def test_forgetting(positions: Any) -> None:
    forgetting(positions=positions).compare()


def test_forgetting_and_a_bias_of_the_callers_add_up() -> None:
    """X21: it drops the caller's bias beside forgetting; ours moves with it."""
    both, noise = forgetting(), torch.randn(4, LENGTH, LENGTH)
    with pytest.raises(AssertionError, match="outputs"):
        both.compare(pairs=noise.expand(BATCH, -1, -1, -1), attn_bias=noise)


@pytest.mark.parametrize("shape", [(LENGTH, LENGTH), (BATCH, 4, LENGTH, LENGTH)])
def test_a_mask_and_a_bias_of_the_callers(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(4)
    mask = (torch.rand(shape, generator=generator) > 0.4) | torch.eye(LENGTH, dtype=torch.bool)
    Together(Attention(**PLAIN)).compare(pairs=mask, attn_mask=mask)
    noise = torch.randn(shape, generator=generator)
    Together(Attention(**PLAIN)).compare(pairs=noise, attn_bias=noise)


def test_score_cap() -> None:
    Together(Attention(**PLAIN, score_cap=0.7), softclamp_logits=True, logit_softclamp_value=0.7).compare(keep())


@pytest.mark.parametrize("shared", [4, 2])
def test_zero_sink(shared: int) -> None:
    Together(Attention(**PLAIN, key_value_heads=shared, sink=ZeroSink()), add_zero_kv=True).compare()


def test_learned_sink() -> None:
    both = Together(Attention(**{**PLAIN, "positions": Rotary()}, sink=LearnedSink()), head_learned_sink=True)
    both.also(both.ours.open.sink.scores, both.theirs.attend.head_attn_sink).compare()


@pytest.mark.parametrize("shared", [4, 2])
def test_memory(shared: int) -> None:
    both = Together(Attention(**PLAIN, key_value_heads=shared, sink=Memory(3)), num_mem_kv=3)
    sink = both.ours.open.sink
    both.also(sink.keys, both.theirs.mem_k).also(sink.values, both.theirs.mem_v).compare(keep())


def test_memory_of_normalised_keys() -> None:
    both = Together(Attention(4, 6, None, NoPositions(), 10.0, sink=Memory(2)), qk_norm=True, num_mem_kv=2)
    sink = both.ours.open.sink
    both.also(sink.keys, both.theirs.mem_k).also(sink.values, both.theirs.mem_v).compare()


def test_top_k() -> None:
    Together(Attention(**PLAIN, weights=TopK(3)), sparse_topk=3).compare()


@pytest.mark.parametrize("of", ["features", "heads"])
def test_gate(of: Any) -> None:
    both = Together(Attention(**PLAIN, gate=Gate(of)), gate_values=True, gate_values_headwise=of == "heads")
    both.also(both.ours.gate.weight, both.theirs.to_v_gate.weight).compare()


def test_gate_of_low_rank() -> None:
    both = Together(
        Attention(**PLAIN, gate=Gate(rank=5)), gate_values=True, gate_values_rank=5, low_rank_silu_gates=False
    )
    both.also(both.ours.gate.inner.weight, both.theirs.to_v_gate.down.weight)
    both.also(both.ours.gate.weight, both.theirs.to_v_gate.up.weight).compare()


@pytest.mark.parametrize("size", [2, 5, 40])
def test_window(size: int) -> None:
    """Its window counts the slots behind, ours the slot itself too."""
    Together(Attention(**{**PLAIN, "positions": Rotary()}, reach=Window(size)), max_attend_past=size - 1).compare()
