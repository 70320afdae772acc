"""Weights of x-transformers in over sixty settings: logits within 1e-5; what has no counterpart is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from semagram.errors import UserError
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry

peers = pytest.importorskip("x_transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

V, LENGTH, C = 31, 24, 5
ROTARY: dict[str, Any] = {"rotary_pos_emb": True, "rotary_emb_dim": 6}
T5: dict[str, Any] = {"rel_pos_bias": True, "rel_pos_num_buckets": 8, "rel_pos_max_distance": 12}
ENCODER: dict[str, Any] = {"encoder": True}
QK: dict[str, Any] = {"attn_qk_norm": True}
GATE: dict[str, Any] = {"attn_gate_values": True}

SIDE = {"num_tokens": V, "max_seq_len": LENGTH, "depth": 2, "heads": 4, "attn_dim_head": 6, "verbose": False}

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rms": {"use_rmsnorm": True},
    "rms without offset": {"use_rmsnorm": True, "norm_add_unit_offset": False},
    "simple rms": {"use_simple_rmsnorm": True},
    "scale norm": {"use_scalenorm": True},
    "dynamic tanh": {"use_dynamic_tanh": True},
    "derf": {"use_derf": True},
    "adaptive layer norm": {"use_adaptive_layernorm": True, "dim_condition": C},
    "adaptive rms and scale": {"use_adaptive_rmsnorm": True, "use_adaptive_layerscale": True, "dim_condition": C},
    "post norm": {"pre_norm": False},
    "sandwich norm": {"sandwich_norm": True},
    "norms on both sides": {"pre_and_post_norm": True},
    "glu": {"ff_glu": True},
    "swiglu": {"ff_glu": True, "ff_swish": True, "ff_no_bias": True},
    "glu with a factor": {"ff_glu": True, "ff_glu_mult_bias": True},
    "relu squared": {"ff_relu_squared": True},
    "no bias": {"ff_no_bias": True},
    "norm inside": {"ff_post_act_ln": True, "ff_mult": 3},
    "rotary": ROTARY,
    "rotary in part": {**ROTARY, "rotary_emb_dim": 4},
    "rotary stretched": {**ROTARY, "rotary_interpolation_factor": 2.0},
    "rotary of another base": {**ROTARY, "rotary_base_rescale_factor": 4.0},
    "xpos": {**ROTARY, "rotary_xpos": True, "rotary_xpos_scale_base": 16},
    "alibi": {"alibi_pos_bias": True},
    "alibi for some heads": {"alibi_pos_bias": True, "alibi_num_heads": 2},
    "t5": T5,
    "dynamic bias": {"dynamic_pos_bias": True},
    "dynamic bias, logarithmic": {"dynamic_pos_bias": True, "dynamic_pos_bias_log_distance": True},
    "forgetting": {"attn_data_dependent_alibi": True},
    "cosine": QK,
    "cosine sharper": {**QK, "attn_qk_norm_scale": 6},
    "cosine with gains": {**QK, "attn_qk_norm_dim_scale": True, "attn_kv_heads": 2},
    "rms of queries and keys": {"attn_qk_rmsnorm": True, "attn_kv_heads": 2, **ROTARY},
    "two key heads": {"attn_kv_heads": 2},
    "one key head": {"attn_one_kv_head": True, **ROTARY},
    "two key heads and t5": {"attn_kv_heads": 2, **T5},
    "memory": {"attn_num_mem_kv": 3},
    "zero sink": {"attn_add_zero_kv": True},
    "learned sink": {"attn_head_learned_sink": True, "attn_kv_heads": 2},
    "gate": GATE,
    "gate a head": {**GATE, "attn_gate_values_headwise": True},
    "gate of low rank": {**GATE, "attn_gate_values_rank": 3, "attn_low_rank_silu_gates": False},
    "value residual": {"add_value_residual": True, "depth": 3},
    "value residual, fixed": {"add_value_residual": True, "learned_value_residual_mix": False},
    "score cap": {"attn_softclamp_logits": True, "attn_logit_softclamp_value": 2.0},
    "top k": {"attn_sparse_topk": 3},
    "window": {"attn_max_attend_past": 3, **ROTARY},
    "selective": {"attn_selective": True},
    "head scale": {"attn_head_scale": True, "attn_kv_heads": 2},
    "flash": {"attn_flash": True},
    "one head": {"heads": 1, "attn_dim_head": 24},
    "layer scale": {"use_layerscale": True, "layerscale_init_value": 0.3},
    "gated recurrent": {"gate_residual": True},
    "learned skip": {"scale_residual": True},
    "constant skip": {"scale_residual_constant": 0.7},
    "fixed scale": {"depth_scale_residual": 0.5},
    "attention over depth": {"attn_aggregated_residuals": True, "attn_aggregated_residual_kwargs": {"lora_rank": 3}},
    "macaron": {"macaron": True},
    "sandwich order": {"sandwich_coef": 1},
    "custom order": {"depth": None, "custom_layers": ("a", "f", "f", "a", "f")},
    "par": {"par_ratio": 3, "depth": 4},
    "shared layers": {"weight_tie_layers": True, "depth": 3},
    "no feedforward": {"only_attn": True},
    "u-net": {"unet_skips": True, "depth": 4},
    "reinjection": {"reinject_input": True, "learned_reinject_input_gate": True},
    "encoder": ENCODER,
    "encoder, post norm, t5": {**ENCODER, **T5, "pre_norm": False},
    "encoder, cosine, rotary": {**ENCODER, **QK, **ROTARY},
}
WRAPPERS: dict[str, dict[str, Any]] = {
    "no positions": {"use_abs_pos_emb": False},
    "sinusoidal": {"scaled_sinu_pos_emb": True},
    "tied": {"tie_embedding": True},
    "norm after the embedding": {"post_emb_norm": True},
    "unit rows": {"l2norm_embed": True},
    "memory tokens": {"num_memory_tokens": 3, "use_abs_pos_emb": False},
}
CASES = {name: (layers, {}) for name, layers in LAYERS.items()} | {name: ({}, it) for name, it in WRAPPERS.items()}

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "hyper-connections": ({"num_residual_streams": 3}, {}, "residual HyperConnection"),
    "orthogonal residual": ({"orthog_residual": True}, {}, "OrthogonalResidualUpdate"),
    "shift": ({"shift_tokens": 1}, {}, "ShiftTokens"),
    "talking heads": ({"attn_pre_talking_heads": True}, {}, "pre_softmax_talking_heads"),
    "laser": ({"attn_laser": True}, {}, "laser"),
    "soft output": ({"softclamp_output": True}, {}, "softclamp_output"),
    "residual scores": ({"residual_attn": True}, {}, "residual_attn"),
    "sigmoid": ({"attn_sigmoid": True}, {}, "attn_fn=sigmoid"),
    "attention on attention": ({"attn_on_attn": True}, {}, "attn_on_attn"),
    "cope": ({"attn_use_cope": True}, {}, "CoPE"),
    "polar": ({"polar_pos_emb": True}, {}, "PolarEmbedding"),
    "cross": ({"cross_attend": True}, {}, "cross_attend"),
    "some heads turned": ({**ROTARY, "rotate_num_heads": 2}, {}, "rotate_num_heads"),
    "l2 distance": ({"attn_l2_distance": True}, {}, "l2_distance"),
    "latents": ({"attn_use_latent_q": True, "attn_dim_latent_q": 8}, {}, "to_latent_q"),
    "solu": ({"ff_solu": True}, {}, "SoLU"),
    "gates with silu": ({**GATE, "attn_gate_values_rank": 3}, {}, "low_rank_silu_gates"),
    "alibi dealt out": ({"attn_kv_heads": 2, "alibi_pos_bias": True}, {}, "ALiBi"),
    "memory that is turned": ({"attn_num_mem_kv": 2, **ROTARY}, {}, "num_mem_kv"),
    "narrow embedding": ({}, {"emb_dim": 12}, "emb_dim"),
    "mixture": ({}, {"mixture_of_softmax": True}, "to_mixture"),
    "recycling": ({}, {"recycling": True}, "recycling"),
}


def made(layers: dict[str, Any], wrapper: dict[str, Any]) -> Any:
    """A wrapper with shaken weights."""
    torch.manual_seed(0)
    given: dict[str, Any] = {"dim": 24, "depth": 2, "heads": 4, "attn_dim_head": 6, "verbose": False, **layers}
    kind = peers.Encoder if given.pop("encoder", False) else peers.Decoder
    model = peers.TransformerWrapper(num_tokens=V, max_seq_len=LENGTH, attn_layers=kind(**given), **wrapper)
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    return model.eval()


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_a_setting(name: str) -> None:
    from semagram.hub.x_transformers import from_x_transformers

    peer = made(*CASES[name])
    loaded = from_x_transformers(peer, begin=2)
    network: Any = loaded.network
    ids = torch.randint(0, V, (2, 19), generator=torch.Generator().manual_seed(3))
    geometry = Geometry.line(19, loaded.visibility)
    condition = torch.randn(2, C, generator=torch.Generator().manual_seed(4))
    if network.condition_width is None:
        mine, theirs = network(ids, geometry), peer(ids)
    else:
        mine, theirs = network(ids, geometry, condition), peer(ids, condition=condition)
    assert float((mine - theirs).abs().max()) <= 1e-5 * max(1.0, float(theirs.abs().max()))
    assert loaded.visibility is (Visibility.FULL if "encoder" in name else Visibility.CAUSAL)
    assert torch.equal(network.embedding.weight[V], network.embedding.weight[2])


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(name: str) -> None:
    from semagram.hub.x_transformers import from_x_transformers

    layers, wrapper, told = REFUSED[name]
    with pytest.raises(UserError, match=f"{told}.*has no counterpart here"):
        from_x_transformers(made(layers, wrapper))


def test_an_unknown_parameter_is_named() -> None:
    from semagram.hub.x_transformers import from_x_transformers

    model = made({}, {})
    model.attn_layers.layers[0][1].novelty = torch.nn.Linear(2, 2)
    with pytest.raises(UserError, match=r"attn_layers.layers.0.1.novelty.weight"):
        from_x_transformers(model)


def test_an_unknown_setting_without_parameters_is_found_by_asking() -> None:
    from semagram.hub.x_transformers import from_x_transformers

    model = made({}, {})
    model.attn_layers.layers[0][1].attend.scale = 0.5
    with pytest.raises(UserError, match="without parameters"):
        from_x_transformers(model)
    with pytest.raises(UserError, match="reads a TransformerWrapper, got Linear"):
        from_x_transformers(torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="begin must be an id from 0 to 30"):
        from_x_transformers(made({}, {}), begin=31)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ({}, None),
        ({"tie_token_emb": True, "dec_rotary_pos_emb": True, "dec_rotary_emb_dim": 6, "enc_use_rmsnorm": True}, None),
        ({"dec_attn_kv_heads": 2, "dec_cross_attn_kv_heads": 2, "enc_rel_pos_bias": True, "dec_ff_glu": True}, None),
        ({"dec_attn_qk_norm": True, "dec_cross_attn_qk_norm": True, "enc_scaled_sinu_pos_emb": True}, None),
        ({"dec_cross_attn_num_mem_kv": 2}, "cross-attention with parts of its own"),
        ({"enc_num_memory_tokens": 2}, "memory tokens"),
    ],
    ids=["plain", "tied, rotary", "shared heads", "cosine", "memory", "memory tokens"],
)
@torch.no_grad()
def test_an_encoder_decoder(layers: dict[str, Any], told: str | None) -> None:
    from semagram.hub.x_transformers import from_x_transformers

    torch.manual_seed(0)
    sides = {f"{side}_{name}": value for side in ("enc", "dec") for name, value in SIDE.items()}
    model = peers.XTransformer(dim=24, **{**sides, **layers}).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    if told is not None:
        with pytest.raises(UserError, match=told):
            from_x_transformers(model)
        return
    loaded = from_x_transformers(model)
    source, inputs = (torch.randint(0, V, (2, n), generator=torch.Generator().manual_seed(n)) for n in (17, 11))
    keep = torch.ones(2, 17, dtype=torch.bool)
    keep[0, 9:] = False
    context = model.encoder(source, mask=keep, return_embeddings=True)
    theirs = model.decoder.net(inputs, context=context, context_mask=keep)
    mine = loaded.network(source, inputs, keep)
    assert float((mine - theirs).abs().max()) <= 1e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize(
    ("layers", "wrapper", "told"),
    [
        ({}, {}, None),
        ({"pre_norm": False, "ff_glu": True, "attn_qk_norm": True}, {"num_register_tokens": 3, "channels": 1}, None),
        ({}, {"num_classes": None}, "without num_classes"),
        ({"use_rmsnorm": True}, {}, "with RMSNorm"),
        (ROTARY, {}, "rotary positions along the patches"),
    ],
    ids=["plain", "registers", "no classes", "another norm", "rotary"],
)
@torch.no_grad()
def test_images(layers: dict[str, Any], wrapper: dict[str, Any], told: str | None) -> None:
    from semagram.hub.x_transformers import from_x_transformers

    torch.manual_seed(0)
    stack = peers.Encoder(dim=24, depth=2, heads=4, attn_dim_head=6, verbose=False, **layers)
    given = {"image_size": 12, "patch_size": 4, "num_classes": 5, **wrapper}
    model = peers.ViTransformerWrapper(attn_layers=stack, **given).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    if told is not None:
        with pytest.raises(UserError, match=told):
            from_x_transformers(model)
        return
    image = torch.randn(3, wrapper.get("channels", 3), 12, 12, generator=torch.Generator().manual_seed(1))
    theirs = model(image)
    assert float((from_x_transformers(model).network(image) - theirs).abs().max()) <= 1e-5 * max(
        1.0, float(theirs.abs().max())
    )
