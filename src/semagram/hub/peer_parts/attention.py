"""Attention of x-transformers.

Two orders differ: its rotary planes are neighbours, ours are halves apart; its groups of query heads are dealt out like
cards, ours stand together. Biases that its layers share are copied into each of ours.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.hub.peer_parts.claims import Claims, kind_of, refuse, unsupported
from semagram.hub.weights import halves
from semagram.mixers import (
    ALiBi,
    Attention,
    Bias,
    BucketedBias,
    DynamicBias,
    Forgetting,
    Interpolation,
    LearnedSink,
    Memory,
    NoPositions,
    OutputGate,
    Rotary,
    Sink,
    TopK,
    ValueResidual,
    Window,
    ZeroSink,
)
from semagram.mixers.attention_parts.alibi import slopes_of


def attention_of(module: Any, layers: Any, first: bool) -> Attention:
    """Our config of an attention in ``layers``; ``first``: nothing stands before it."""
    refuse(
        module,
        to_latent_q=None,
        to_latent_kv=None,
        to_rotateable_k=None,
        qkv_receive_diff_residuals=False,
        laser=False,
        to_output_gate=None,
        to_v_head_gate=None,
        qk_norm_groups=1,
        value_rmsnorm=None,
        rel_proj_pos_bias=None,
        attn_on_attn=False,
        orthog_projected_values=False,
        orthog_projected_values_per_head=False,
        hybrid_module=None,
        rotate_num_heads=module.heads,
    )
    attend = module.attend
    refuse(
        attend,
        inverted_attention=False,
        pre_softmax_talking_heads=None,
        post_softmax_talking_heads=None,
        pre_scale_post_talking_heads=None,
        cog_signed=False,
        l2_distance=False,
        cope=None,
    )
    head_width = module.to_q.out_features // module.heads
    if module.to_v.out_features != module.kv_heads * head_width:
        raise unsupported("Attention.value_dim_head")
    if (module.q_rmsnorm is None) != (module.k_rmsnorm is None):
        raise unsupported("Attention.k_rmsnorm without q_rmsnorm")
    usual = getattr(attend.attn_fn, "func", attend.attn_fn)
    top = module.sparse_topk is not None
    if not top and usual not in (F.softmax, torch.softmax) and getattr(usual, "__name__", "") != "softmax":
        raise unsupported(f"Attend.attn_fn={getattr(usual, '__name__', type(usual).__name__)}")
    sharpness, gains = None, "none"
    if module.qk_norm:
        learned = module.qk_norm_dim_scale
        sharpness = head_width**-0.5 if learned else float(module.qk_norm_scale)
        gains = "both" if learned else "none"
    if module.q_rmsnorm is not None:
        if module.qk_norm:
            raise unsupported("Attention.qk_rmsnorm beside qk_norm")
        sharpness, gains = head_width**0.5, "both"
    residual = None
    if layers.add_value_residual:
        learned = isinstance(module.to_value_residual_mix, nn.Module) or (first and _learned(layers))
        if learned and module.kv_heads != module.heads:
            raise unsupported("a learned value residual of shared key and value heads")
        residual = ValueResidual(None if learned else 0.5)
    sink = _sink(module)
    if isinstance(sink, Memory) and layers.rotary_pos_emb is not None:
        raise unsupported("num_mem_kv beside rotary positions (its memory keys meet turned queries)")
    return Attention(
        heads=module.heads,
        head_width=head_width,
        key_value_heads=module.kv_heads,
        positions=_rotary(layers.rotary_pos_emb, head_width),
        sharpness=sharpness,
        gains=gains,  # type: ignore[arg-type]
        bias=_bias(layers.rel_pos, module),
        forgetting=_forgetting(module.data_dependent_alibi),
        score_cap=float(attend.logit_softclamp_value) if attend.softclamp_logits else None,
        reach=Attention().reach if module.max_attend_past is None else Window(module.max_attend_past + 1),
        weights=TopK(module.sparse_topk) if top else Attention().weights,
        selective=bool(attend.selective),
        sink=sink,
        value_residual=residual,
        gate=_gate(module),
    )


def _learned(layers: Any) -> bool:
    """Whether later layers learn their share of the first one's values."""
    return any(isinstance(getattr(part, "to_value_residual_mix", None), nn.Module) for part in layers.modules())


def _rotary(module: Any, head_width: int) -> Rotary | NoPositions:
    if module is None:
        return NoPositions()
    planes = len(module.inv_freq)
    # The slowest plane turns by base^-((P - 1) / P); the base is told from it, and is the usual one up to rounding.
    base = 10_000.0
    if planes > 1:
        found = math.exp(-math.log(float(module.inv_freq[-1])) * planes / (planes - 1))
        base = found if abs(found / base - 1.0) > 1e-5 else base
    factor = float(module.interpolation_factor)
    scaling = None if factor == 1.0 else Interpolation(factor)
    decay = None if module.scale is None else float(module.scale_base)
    fraction = 1.0 if 2 * planes == head_width else (2 * planes + 0.5) / head_width
    return Rotary(base, fraction, scaling, decay)


def _bias(module: Any, attention: Any) -> Bias | None:
    kind = kind_of(module)
    if kind == "":
        return None
    if kind == "AlibiPositionalBias":
        usual = torch.tensor(slopes_of(module.heads))
        if not torch.allclose(module.slopes.flatten(), usual, rtol=1e-5):
            raise unsupported("ALiBi with slopes of its own")
        return ALiBi(None if module.heads == module.total_heads else module.heads)
    if kind == "RelativePositionBias":
        return BucketedBias(module.num_buckets, module.max_distance)
    if kind == "DynamicPositionBias":
        if any(isinstance(part, nn.LayerNorm) or kind_of(part) == "LayerNorm" for part in module.modules()):
            raise unsupported("dynamic_pos_bias_norm")
        if attention.attend.add_zero_kv or attention.attend.head_learned_sink or attention.num_mem_kv:
            raise unsupported("a dynamic position bias beside sinks")
        last = module.mlp[-1]
        return DynamicBias(last.in_features, len(module.mlp) - 1, bool(module.log_distance))
    raise unsupported(f"the bias {kind}")


def _forgetting(module: Any) -> Forgetting | None:
    if module is None:
        return None
    if kind_of(module) != "DataDependentAlibi" or not module.causal or module.post_log_scale != 1.0:
        raise unsupported(f"{kind_of(module)} that looks both ways, by row or scaled")
    return Forgetting()


def _sink(module: Any) -> Sink | None:
    attend = module.attend
    found: list[Sink] = []
    if attend.add_zero_kv:
        found.append(ZeroSink())
    if attend.head_learned_sink:
        found.append(LearnedSink())
    if module.num_mem_kv:
        found.append(Memory(module.num_mem_kv))
    if len(found) > 1:
        raise unsupported(f"{' beside '.join(type(sink).__name__ for sink in found)}")
    return found[0] if found else None


def _gate(module: Any) -> OutputGate | None:
    if module.to_v_gate is None:
        return None
    if module.to_v_gate_activation is not F.sigmoid:
        raise unsupported("Attention.swiglu_values")
    lora = hasattr(module.to_v_gate, "down")
    if lora and getattr(module.to_v_gate.maybe_activation, "__name__", "") != "identity":
        raise unsupported("Attention.low_rank_silu_gates")
    rank = module.to_v_gate.down.out_features if lora else None
    return OutputGate("heads" if module.gate_values_headwise else "features", rank)


class Order:
    """Its orders of heads and features as ours."""

    def __init__(self, heads: int, shared: int, head_width: int, turned: int) -> None:
        groups = heads // shared
        dealt = torch.tensor([g * groups + r for r in range(groups) for g in range(shared)])
        self.heads, self.head_width = dealt.argsort(), head_width
        self.planes = (lambda rows: rows) if turned == 0 else halves(head_width, turned)

    def queries(self, rows: Tensor) -> Tensor:
        """``(h * d_h, ...)``: heads and features."""
        return self.dealt(self.planes(rows))

    def dealt(self, rows: Tensor) -> Tensor:
        """``(h * f, ...)``: heads alone."""
        return rows.unflatten(0, (len(self.heads), -1))[self.heads].flatten(0, 1)


def fill_attention(ours: Any, theirs: Any, layers: Any, claims: Claims) -> None:
    """The weights, those of shared biases among them."""
    order = Order(ours.heads, ours.key_value_heads, ours.head_width, ours.turned)
    inward = [order.queries(theirs.to_q.weight), order.planes(theirs.to_k.weight), theirs.to_v.weight]
    claims.claim(theirs.to_k.weight, theirs.to_v.weight)
    claims.put(ours.inward.weight, theirs.to_q.weight, torch.cat(inward))
    if not isinstance(theirs.to_out, nn.Linear) and ours.outward.in_features != ours.outward.out_features:
        raise unsupported("Attention.project_out=False of another width")
    out = theirs.to_out.weight if isinstance(theirs.to_out, nn.Linear) else torch.eye(ours.outward.in_features)
    columns = out.t()
    if theirs.head_scale:
        claims.claim(theirs.head_scale_params)
        columns = (columns.unflatten(0, (ours.heads, -1)) * theirs.head_scale_params.view(-1, 1, 1)).flatten(0, 1)
    claims.put(ours.outward.weight, out, order.dealt(columns).t())
    if theirs.q_rmsnorm is not None:
        fill_gains(ours.gains.query, theirs.q_rmsnorm.gamma, theirs.q_rmsnorm.gamma + 1.0, order, True, claims)
        fill_gains(ours.gains.key, theirs.k_rmsnorm.gamma, theirs.k_rmsnorm.gamma + 1.0, order, False, claims)
    elif ours.gains is not None:
        fill_gains(ours.gains.query, theirs.qk_norm_q_scale, theirs.qk_norm_q_scale, order, True, claims)
        fill_gains(ours.gains.key, theirs.qk_norm_k_scale, theirs.qk_norm_k_scale, order, False, claims)
    sink, gate = ours.open.sink, ours.gate
    if theirs.num_mem_kv:
        claims.put(sink.keys, theirs.mem_k)
        claims.put(sink.values, theirs.mem_v)
    if theirs.attend.head_learned_sink:
        claims.put(sink.scores, theirs.attend.head_attn_sink, order.dealt(theirs.attend.head_attn_sink))
    if gate is not None:
        last = theirs.to_v_gate.up if gate.inner is not None else theirs.to_v_gate
        claims.put(gate.weight, last.weight, order.dealt(last.weight))
        if gate.inner is not None:
            claims.put(gate.inner.weight, theirs.to_v_gate.down.weight)
    mix: Any = theirs.to_value_residual_mix
    if hasattr(mix, "parameters") and getattr(ours, "value_mix", None) is not None:
        linear = mix[0]
        claims.put(ours.value_mix.share.weight, linear.weight)
        claims.put(ours.value_mix.share.bias, linear.bias)
    if theirs.data_dependent_alibi is not None:
        linear = theirs.data_dependent_alibi.to_forget_gates[0]
        claims.put(ours.open.forgetting.gate.weight, linear.weight, order.dealt(linear.weight))
        claims.put(ours.open.forgetting.gate.bias, linear.bias, order.dealt(linear.bias))
    fill_bias(ours.open.bias, layers.rel_pos, order, claims)


def fill_gains(ours: Tensor, theirs: Any, value: Tensor, order: Order, queries: bool, claims: Claims) -> None:
    """Gains ``(h, 1, d_h)`` in our order of features and heads."""
    rows = order.planes(value.flatten())
    claims.put(ours, theirs, order.dealt(rows) if queries else rows)


def fill_bias(ours: Any, theirs: Any, order: Order, claims: Claims) -> None:
    """A shared bias into one layer. Theirs is multiplied when used; a constant for all distances is no bias at all."""
    kind = kind_of(theirs)
    if kind == "RelativePositionBias":
        table = theirs.relative_attention_bias.weight
        claims.put(ours.table, table, order.dealt(table.t() * theirs.scale))
    elif kind == "DynamicPositionBias":
        for mine, other in zip(ours.inner, theirs.mlp, strict=False):
            claims.put(mine.weight, other[0].weight)
            claims.put(mine.bias, other[0].bias)
        claims.put(ours.last.weight, theirs.mlp[-1].weight, order.dealt(theirs.mlp[-1].weight))
        claims.claim(theirs.mlp[-1].bias)
    elif kind == "AlibiPositionalBias" and not torch.equal(order.heads, torch.arange(len(order.heads))):
        raise unsupported("ALiBi with shared key and value heads (its slopes are dealt out otherwise)")
