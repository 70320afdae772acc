"""Residual forms, norms, feedforwards, orders and embeddings beside x-transformers: same weights, same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.twins import BARE, FROM_ONE, LENGTH, WIDTH, Twin, ours, theirs
from semagram.feedforward import (
    MLP,
    AdaptiveLayerNorm,
    AdaptiveRMSNorm,
    DynamicErf,
    DynamicTanh,
    Gated,
    LayerNorm,
    RMSNorm,
    ScaleNorm,
)
from semagram.models.embedding import Embedding, LearnedPositions, SinusoidalPositions
from semagram.models.head import Head
from semagram.models.joins import DepthAttention, GRUGate, HyperConnections, Plus
from semagram.models.layers import Layers, Letters, Macaron, SandwichOrder
from semagram.models.residual import Residual
from semagram.models.scales import Gate, LayerScale
from semagram.models.skips import Reinjection, UNetSkips

GELU = MLP(activation="gelu", bias=True)
C = 5

pytestmark = pytest.mark.filterwarnings("ignore")


def simple(mine: dict[str, Any], other: dict[str, Any], wrapper: dict[str, Any] | None = None) -> Twin:
    """A twin with embedding and head paired."""
    twin = Twin(ours(**{"feedforward": GELU, **mine}), theirs(wrapper, **other))
    twin.embedding()
    if twin.network.head is not None:
        twin.head()
    return twin


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pre": ({}, {}),
    "post": ({"residual": Residual("after")}, {"pre_norm": False}),
    "sandwich": ({"residual": Residual("sandwich")}, {"sandwich_norm": True}),
    "both": ({"residual": Residual("both")}, {"pre_and_post_norm": True}),
    "glu": ({"feedforward": Gated(4.0, "gelu", bias=True)}, {"ff_glu": True}),
    "swiglu": ({"feedforward": Gated(4.0, "silu", bias=True)}, {"ff_glu": True, "ff_swish": True}),
    "relu squared": ({"feedforward": MLP(bias=True)}, {"ff_relu_squared": True}),
    "no bias": ({"feedforward": MLP(activation="gelu")}, {"ff_no_bias": True}),
    "multiple": ({"feedforward": MLP(2.0, "gelu", bias=True)}, {"ff_mult": 2}),
    "constant skip": ({"residual": Residual(join=Plus(0.7))}, {"scale_residual_constant": 0.7}),
    "order": ({"layers": Layers(Letters("aff"))}, {"custom_layers": ("a", "f", "f") * 2}),
    "sandwich order": ({"depth": 3, "layers": Layers(SandwichOrder(2))}, {"depth": 3, "sandwich_coef": 2}),
    "macaron": ({"layers": Layers(Macaron())}, {"macaron": True}),
    "shared": ({"depth": 3, "layers": Layers(distinct=1)}, {"depth": 3, "weight_tie_layers": True}),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form(name: str) -> None:
    twin = simple(*FORMS[name])
    twin.branches()
    twin.agree()


def test_encoder() -> None:
    from semagram.layouts import Visibility

    twin = simple({"visibility": Visibility.FULL, "residual": Residual("after")}, {"encoder": True, "pre_norm": False})
    twin.branches()
    twin.agree()


def test_norm_inside_the_feedforward() -> None:
    twin = simple({"feedforward": MLP(activation="gelu", bias=True, inner_norm=FROM_ONE)}, {"ff_post_act_ln": True})
    sound = twin.mlp

    def mlp(mine: Any, other: Any) -> None:
        sound(mine, other)
        # theirs keeps the whole gain here, not the difference from one
        twin.pair(mine.inner_norm.gain, other.ff[1].gamma, less=-1.0 if other.ff[1].unit_offset == 0 else 0.0)

    twin.mlp = mlp  # type: ignore[method-assign]
    twin.branches()
    twin.agree()


def gained(twin: Twin) -> Any:
    return lambda mine, other: twin.pair(mine.gain, other.g, less=1.0 if other.unit_offset else 0.0)


def bounded(twin: Twin) -> Any:
    def norm(mine: Any, other: Any) -> None:
        if hasattr(other, "pre_tanh_scale"):
            twin.pair(mine.slope, other.pre_tanh_scale, less=other.pre_tanh_scale_offset)
            twin.pair(mine.gain, other.gamma, less=other.gamma_offset)
        else:
            twin.pair(mine.slope, other.alpha, less=other.scale_offset)
            twin.pair(mine.shift, other.s)
            twin.pair(mine.gain, other.gamma, less=other.scale_offset)
        twin.pair(mine.bias, other.beta)

    return norm


@pytest.mark.parametrize(
    ("norm", "flags", "pairing"),
    [
        (RMSNorm(gain=True, epsilon=1e-12), {"use_rmsnorm": True}, gained),
        (ScaleNorm(epsilon=1e-12), {"use_scalenorm": True}, gained),
        (RMSNorm(epsilon=1e-12), {"use_simple_rmsnorm": True}, lambda twin: lambda mine, other: None),
        (DynamicTanh(), {"use_dynamic_tanh": True}, bounded),
        (DynamicErf(), {"use_derf": True}, bounded),
    ],
    ids=["RMSNorm", "ScaleNorm", "simple RMSNorm", "DynamicTanh", "DynamicErf"],
)
def test_a_norm(norm: Any, flags: dict[str, Any], pairing: Any) -> None:
    twin = simple({"norm": norm}, flags)
    twin.branches(pairing(twin))
    twin.agree()


@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("rms", [False, True])
def test_conditions(per_position: bool, gate: bool, rms: bool) -> None:
    norm = AdaptiveRMSNorm(C, epsilon=1e-12) if rms else AdaptiveLayerNorm(C)
    residual = Residual(scale=Gate(C, squashed=True)) if gate else Residual()
    flag = "use_adaptive_rmsnorm" if rms else "use_adaptive_layernorm"
    twin = simple(
        {"norm": norm, "residual": residual}, {flag: True, "use_adaptive_layerscale": gate, "dim_condition": C}
    )
    if gate:
        layers = iter(twin.peer.attn_layers.layers)

        def way(block: Any, slot: str, residual: Any) -> None:
            scale, peer = getattr(block, f"{slot}_way").scale, next(layers)[1]
            twin.pair(scale.gate.weight, peer.to_gamma.weight)
            twin.pair(scale.gate.bias, peer.to_gamma.bias)

        twin.way = way  # type: ignore[method-assign]
    twin.branches(lambda mine, other: twin.pair(mine.gain.weight, other.to_gamma.weight))
    shape = (3, LENGTH, C) if per_position else (3, C)
    condition = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    twin.agree(ours_given=(condition,), condition=condition)


def test_layer_scale() -> None:
    twin = simple({"residual": Residual(scale=LayerScale())}, {"use_layerscale": True})
    layers = iter(twin.peer.attn_layers.layers)

    def way(block: Any, slot: str, residual: Any) -> None:
        peer = next(layers)[1]
        twin.pair(getattr(block, f"{slot}_way").scale.factor, peer.gamma, less=1.0 if peer.unit_offset else 0.0)

    twin.way = way  # type: ignore[method-assign]
    twin.branches()
    twin.agree()


def test_learned_skip() -> None:
    twin = simple({"residual": Residual(join=Plus(learned=True))}, {"scale_residual": True})
    twin.way = lambda block, slot, residual: twin.pair(  # type: ignore[method-assign]
        getattr(block, f"{slot}_way").join.keep, residual.residual_scale
    )
    twin.branches()
    twin.agree()


def test_gated_recurrent_unit() -> None:
    twin = simple({"residual": Residual(join=GRUGate())}, {"gate_residual": True})

    def way(block: Any, slot: str, residual: Any) -> None:
        cell = getattr(block, f"{slot}_way").join.cell
        for name, parameter in cell.named_parameters():
            twin.pair(parameter, residual.gru.get_parameter(name))

    twin.way = way  # type: ignore[method-assign]
    twin.branches()
    twin.agree()


def test_tied_unit_rows_and_norm_after_the_embedding() -> None:
    twin = simple(
        {"tied": True, "embedding": Embedding(), "head": Head(scale=WIDTH**-0.5)},
        {},
        {"tie_embedding": True, "post_emb_norm": True},
    )
    gain = twin.peer.post_emb_norm
    twin.pair(twin.network.embedding_norm.gain, gain.gamma, less=0.0 if gain.unit_offset else -1.0)
    twin.branches()
    twin.agree()


def test_unit_rows() -> None:
    twin = simple({"embedding": Embedding(normalise=False, unit_rows=True)}, {}, {"l2norm_embed": True})
    twin.branches()
    twin.agree()


def test_learned_positions() -> None:
    wrapper = {"use_abs_pos_emb": True}
    twin = simple({"embedding": Embedding(LearnedPositions(LENGTH), normalise=False)}, {}, wrapper)
    table = twin.network.entry.places.tables[0].weight
    # theirs multiplies its rows by d^-1/2 when it uses them
    twin.pair(table, twin.peer.pos_emb.emb.weight, lambda rows: rows * 1.0)
    with torch.no_grad():
        twin.peer.pos_emb.emb.weight.mul_(WIDTH**0.5)
    twin.pairs[-1] = (table, twin.peer.pos_emb.emb.weight, lambda rows: rows * WIDTH**-0.5)
    twin.branches()
    twin.agree()


def test_sinusoidal_positions() -> None:
    wrapper = {"use_abs_pos_emb": True, "scaled_sinu_pos_emb": True}
    positions = SinusoidalPositions(scaled=True)
    twin = simple({"embedding": Embedding(positions, normalise=False)}, {}, wrapper)
    twin.pair(twin.network.entry.places.factor, twin.peer.pos_emb.scale)
    twin.branches()
    twin.agree()


def test_hyper_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("x_transformers.x_transformers")
    sinkhorn = module.sinkhorn
    # Theirs hands over each row of the mixing as a matrix (1, s), which leaves nothing but ones; here all rows at once.
    monkeypatch.setattr(module, "sinkhorn", lambda rows, rounds: sinkhorn(rows.squeeze(-2), rounds).unsqueeze(-2))
    twin = simple({"residual": Residual(join=HyperConnections(3))}, {"num_residual_streams": 3})
    with torch.no_grad():
        twin.peer.attn_layers.stream_emb.zero_()  # ours opens with equal copies, as the paper
        for layer in twin.peer.attn_layers.layers:
            layer[2].dynamic_beta_scale.zero_()  # theirs squashes the dynamic part twice; ours follows the paper
        for name, parameter in twin.network.named_parameters():
            if name.endswith("writing_scale"):
                parameter.zero_()

    def way(block: Any, slot: str, residual: Any) -> None:
        join = getattr(block, f"{slot}_way").join
        twin.pair(join.static_mixing, residual.static_alpha)
        twin.pair(join.static_writing, residual.static_beta)
        twin.pair(join.mixing, residual.dynamic_alpha_fn)
        twin.pair(join.mixing_scale, residual.dynamic_alpha_scale)
        twin.pair(join.norm.weight, residual.norm.weight)

    twin.way = way  # type: ignore[method-assign]
    twin.branches()
    # The streams are equal copies before the first branch, so how it mixes them does not matter: silent.
    twin.agree(besides=("stream_emb", "dynamic_beta_fn", "dynamic_beta_scale"), silent=True)


def test_attention_over_depth() -> None:
    flags = {"attn_aggregated_residuals": True, "attn_aggregated_residual_kwargs": {"lora_rank": 3}}
    twin = simple({"residual": Residual(join=DepthAttention(rank=3))}, flags)
    theirs_over_depth = iter(twin.peer.attn_layers.layer_integrators)

    def way(block: Any, slot: str, residual: Any) -> None:
        join, other = getattr(block, f"{slot}_way").join, next(theirs_over_depth)
        if not join.first:
            twin.pair(join.key_norm.weight, other.to_keys.weight)
            twin.pair(join.query_norm.weight, other.norm.weight)
            twin.pair(join.asks[0].weight, other.to_query[0].weight)
            twin.pair(join.asks[1].weight, other.to_query[1].down.weight)
            twin.pair(join.asks[2].weight, other.to_query[1].up.weight)

    twin.way = way  # type: ignore[method-assign]
    twin.branches()
    twin.agree(besides=("layer_integrators.0.",))  # with one state to read there is nothing to choose


def test_u_net_skips() -> None:
    twin = simple({"depth": 4, "layers": Layers(skips=UNetSkips())}, {"depth": 4, "unet_skips": True})
    maps = [combine for combine in twin.peer.attn_layers.skip_combines if isinstance(combine, torch.nn.Module)]
    for mine, other in zip(twin.network.blocks.skips.values(), maps, strict=True):
        twin.pair(mine.both.weight, other.combine.weight)
    twin.branches()
    twin.agree()


def test_registers() -> None:
    twin = simple({"embedding": Embedding(normalise=False, registers=3)}, {}, {"num_memory_tokens": 3})
    twin.pair(twin.network.blocks.registers, twin.peer.memory_tokens)
    twin.branches()
    twin.agree()


def test_reinjection() -> None:
    flags = {"reinject_input": True, "learned_reinject_input_gate": True}
    twin = simple({"layers": Layers(skips=Reinjection(gated=True))}, flags)
    mine, other = twin.network.blocks.reinjection, twin.peer.attn_layers
    twin.pair(mine.again.weight, other.reinject_input_proj.weight)
    twin.pair(mine.gate.weight, other.learned_reinject_input_gate.weight)
    twin.branches()
    twin.agree()


def test_the_bare_embedding_is_bare() -> None:
    assert BARE.plain and not Embedding(root_width=True).plain
    assert ours().embedding_norm is None and LayerNorm().bias is False
