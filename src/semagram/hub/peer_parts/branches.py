"""The branches of x-transformers' layers: their order, norms, scales and residual forms as our ``Blocks``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from semagram.feedforward import MLP, LayerNorm
from semagram.hub.checkpoint import in_turn
from semagram.hub.peer_parts.attention import attention_of, fill_attention
from semagram.hub.peer_parts.claims import Claims, kind_of, refuse, unsupported
from semagram.hub.peer_parts.cross import fill_cross
from semagram.hub.peer_parts.feedforward import feedforward_of, fill_feedforward
from semagram.hub.peer_parts.norms import fill_norm, norm_of
from semagram.mixers import Attention
from semagram.models.joins import DepthAttention, GRUGate, Joins, Plus
from semagram.models.layers import Layers, Letters, Macaron, Pairs
from semagram.models.residual import Residual
from semagram.models.scales import BranchScale, Fixed, Gate, LayerScale
from semagram.models.skips import Reinjection, UNetSkips
from semagram.models.stack import Blocks, final_norm

FORMS = {
    (True, False, False): "before",
    (False, False, True): "after",
    (True, True, False): "sandwich",
    (True, False, True): "both",
    (False, True, False): "output",
    (False, False, False): "none",
}
"""Which of their three norms there are, and our name of it."""


def blocks_of(layers: Any, cross: bool = False) -> Blocks:
    """Our config of an ``AttentionLayers``; ``cross``: its cross-attention is read elsewhere (``cross.py``).

    Raises ``UserError`` naming what has no counterpart.
    """
    refuse(
        layers,
        residual_attn=False,
        cross_residual_attn=False,
        cross_attend=cross,
        softclamp_output=False,
        polar_pos_emb=None,
    )
    if kind_of(layers.adaptive_mlp):
        raise unsupported("adaptive_condition_mlp")
    types = "".join(layers.layer_types)
    if cross:
        if types != "acf" * (len(types) // 3):
            raise unsupported(f"cross-attention in the order {types}")
        types = types.replace("c", "")
    macaron = types == "faf" * (len(types) // 3)
    found = [_branch(layer, macaron) for _, layer, _ in layers.layers]
    kinds = zip(found, layers.layer_types, strict=True)
    attentions = [branch for (branch, _, _), letter in kinds if letter == "a"]
    feedforwards = [branch for branch, _, _ in found if kind_of(branch) == "FeedForward"]
    mixers = [attention_of(branch, layers, i == 0) for i, branch in enumerate(attentions)]
    widths = {feedforward_of(branch) for branch in feedforwards}
    scales = {scale for _, scale, _ in found}
    halves = {half for branch, _, half in found if kind_of(branch) == "FeedForward"}
    forms = {tuple(norm is not None for norm in norms) for norms, _, _ in layers.layers}
    joins = {_join(residual, i, layers) for i, (_, _, residual) in enumerate(layers.layers)}
    norms = {norm_of(norm) for norms, _, _ in layers.layers for norm in norms if norm is not None}
    told = {"ff": widths, "scale": scales, "macaron": halves, "norms": forms, "norm": norms, "residual": joins}
    for name, several in told.items():
        if len(several) > 1:
            raise unsupported(f"layers that differ in their {name}")
    own, taking_turns = in_turn(mixers or [Attention()])
    form = FORMS[next(iter(forms))]  # type: ignore[index]
    share = 0.5 if halves == {True} else 1.0
    order, depth = _order(types, share)
    skips: Any = UNetSkips() if layers.unet_skips else None
    if layers.reinject_input:
        skips = Reinjection(gated=layers.learned_reinject_input_gate is not None)
    norm = next(iter(norms)) if norms else LayerNorm()
    scale = next(iter(scales))
    residual = Residual(norms=form, scale=scale, join=next(iter(joins)))  # type: ignore[arg-type]
    arranged, depth = _runs(layers, replace(taking_turns, order=order, skips=skips), depth, len(layers.layer_types))
    blocks = Blocks(layers.dim, depth, own, next(iter(widths), MLP()), norm, 0.0, residual, arranged)
    if final_norm(blocks) != bool(kind_of(layers.final_norm)):
        raise unsupported(f"norms {form!r} {'without' if final_norm(blocks) else 'with'} a final norm")
    return blocks


def _branch(layer: Any, macaron: bool) -> tuple[Any, BranchScale | None, bool]:
    """The branch itself, its scale, and whether it is a half step of a ``macaron``."""
    scale: BranchScale | None = None
    half = False
    while kind_of(layer) not in ("Attention", "FeedForward"):
        kind = kind_of(layer)
        if kind == "LayerScale" and scale is None:
            scale = LayerScale()
        elif kind == "AdaptiveLayerScale" and scale is None:
            scale = Gate(layer.to_gamma.in_features, squashed=True)
        elif macaron and kind == "Scale" and kind_of(layer.fn) == "FeedForward" and layer.scale == 0.5:
            half = True
        elif kind == "Scale" and scale is None:
            scale = Fixed(float(layer.scale))
        else:
            raise unsupported(f"the wrapper {kind or 'Identity'} of a layer")
        layer = layer.fn
    return layer, scale, half


def _join(residual: Any, index: int, layers: Any) -> Joins:
    kind = kind_of(residual)
    integrator = kind_of(layers.layer_integrators[index])
    if integrator not in ("", "AttentionResidual"):
        raise unsupported(f"the integrator {integrator} of a layer")
    if integrator == "AttentionResidual":
        asks = layers.layer_integrators[index].to_query
        if kind != "Residual" or not hasattr(asks[1], "down"):
            raise unsupported("attn_aggregated_residuals in this form")
        return DepthAttention(rank=asks[1].down.out_features)
    if kind == "GRUGating" and residual.residual_scale is None:
        return GRUGate()
    if kind != "Residual":
        raise unsupported(f"the residual {kind}")
    if residual.residual_scale is not None:
        if residual.scale_residual_constant != 1:
            raise unsupported("scale_residual beside scale_residual_constant")
        return Plus(learned=True)
    return Plus(float(residual.scale_residual_constant))


def _order(types: str, share: float) -> tuple[Any, int]:
    """Our order of branches, and the depth."""
    if share == 0.5:
        return Macaron(), len(types) // 3
    if types == "af" * (len(types) // 2):
        return Pairs(), len(types) // 2
    return Letters(types), 1


def _runs(layers: Any, arranged: Layers, depth: int, own: int) -> tuple[Layers, int]:
    """Blocks that are run more than once: all of them in turn, again and again."""
    runs = tuple(layers.layers_execute_order)
    if runs == tuple(range(own)):
        return arranged, depth
    times, rest = divmod(len(runs), own)
    if rest or runs != tuple(range(own)) * times:
        raise unsupported(f"layers_execute_order={runs}")
    if isinstance(arranged.order, Letters):
        return replace(arranged, distinct=own), times
    return replace(arranged, distinct=depth), depth * times


def fill_blocks(stack: Any, norm: Any, layers: Any, claims: Claims) -> None:
    """The weights of all branches, and of the final norm if there is one."""
    left = iter(zip(layers.layers, layers.layer_integrators, strict=True))
    for number in dict.fromkeys(stack.order):
        block = stack[number]
        for slot in block.slots:
            (norms, branch, residual), integrator = next(left)
            way = getattr(block, f"{slot}_way", None)
            ours = (getattr(block, f"{slot}_norm"), getattr(way, "output_norm", None), getattr(way, "after_norm", None))
            for mine, other in zip(ours, norms, strict=True):
                if mine is not None:
                    fill_norm(mine, other, claims)
            branch = _fill_scales(way, branch, claims)
            if slot == "feedforward":
                fill_feedforward(block.feedforward, branch, claims)
            elif slot == "cross":
                fill_cross(block.cross, branch, claims)
            else:
                fill_attention(block.mixer, branch, layers, claims)
            _fill_join(way, residual, integrator, claims)
    if norm is not None:
        fill_norm(norm, layers.final_norm, claims)
    if layers.reinject_input:
        claims.put(stack.reinjection.again.weight, layers.reinject_input_proj.weight)
        if layers.learned_reinject_input_gate is not None:
            claims.put(stack.reinjection.gate.weight, layers.learned_reinject_input_gate.weight)
    if layers.unet_skips:
        maps: list[Any] = [combine for combine in layers.skip_combines if isinstance(combine, nn.Module)]
        for mine, other in zip(stack.skips.values(), maps, strict=True):
            claims.put(mine.both.weight, other.combine.weight)


def _fill_scales(way: Any, branch: Any, claims: Claims) -> Any:
    """Scales around a branch; returns the branch."""
    while kind_of(branch) not in ("Attention", "FeedForward"):
        if kind_of(branch) == "LayerScale":
            claims.put(way.scale.factor, branch.gamma, branch.gamma + float(branch.unit_offset))
        elif kind_of(branch) == "AdaptiveLayerScale":
            claims.put(way.scale.gate.weight, branch.to_gamma.weight)
            claims.put(way.scale.gate.bias, branch.to_gamma.bias)
        branch = branch.fn
    return branch


def _fill_join(way: Any, residual: Any, integrator: Any, claims: Claims) -> None:
    if kind_of(residual) == "GRUGating":
        for name, parameter in way.join.cell.named_parameters():
            claims.put(parameter, residual.gru.get_parameter(name))
    elif getattr(residual, "residual_scale", None) is not None:
        claims.put(way.join.keep, residual.residual_scale)
    if kind_of(integrator) == "AttentionResidual":
        if way.join.first:  # with one state to read there is nothing to choose
            claims.claim(*integrator.parameters())
            return
        claims.put(way.join.key_norm.weight, integrator.to_keys.weight)
        claims.put(way.join.query_norm.weight, integrator.norm.weight)
        claims.put(way.join.asks[0].weight, integrator.to_query[0].weight)
        claims.put(way.join.asks[1].weight, integrator.to_query[1].down.weight)
        claims.put(way.join.asks[2].weight, integrator.to_query[1].up.weight)


def close_enough(mine: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Within 1e-3 of the largest of them: more than rounding, less than a setting."""
    return bool((mine - theirs).abs().max() <= 1e-3 * max(1.0, float(theirs.abs().max())))
