"""Feedforwards of x-transformers: their stacked projection is (up, gate), ours (gate, up)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from semagram.feedforward import MLP, Gated, LayerNorm
from semagram.feedforward.mlp import Activation
from semagram.hub.peer_parts.claims import Claims, kind_of, unsupported
from semagram.hub.peer_parts.norms import fill_norm


def activation_of(module: Any) -> Activation:
    """Our name of an activation module."""
    if isinstance(module, nn.GELU):
        return "gelu" if module.approximate == "none" else "gelu_tanh"
    names: dict[str, Activation] = {
        "ReluSquared": "relu_squared",
        "SiLU": "silu",
        "ReLU": "relu",
        "Sigmoid": "sigmoid",
        "Tanh": "tanh",
        "Identity": "identity",
    }
    name = type(module).__name__
    if name not in names:
        raise unsupported(f"the activation {name}")
    return names[name]


def parts(module: Any) -> tuple[Any, Any, Any]:
    """What stands in it: the way in, the norm after the activation or None, the way out."""
    inner = [part for part in module.ff if part is not None and not isinstance(part, nn.Dropout)]
    norm = next((part for part in inner[1:-1] if kind_of(part) == "LayerNorm"), None)
    return inner[0], norm, inner[-1]


def feedforward_of(module: Any) -> MLP | Gated:
    """Our config."""
    inward, norm, out = parts(module)
    inner = None if norm is None else LayerNorm()
    if kind_of(inward) == "GLU":
        if inward.up_softclamp_value is not None:
            raise unsupported("FeedForward glu_softclamp")
        if norm is not None and isinstance(inward.mult_bias, torch.Tensor):
            raise unsupported("FeedForward glu_mult_bias before a norm")
        return Gated(activation=activation_of(inward.act), bias=True, hidden=out.in_features, inner_norm=inner)
    steps = [part for part in inward if part is not None]
    if len(steps) != 2:
        raise unsupported("FeedForward softclamp_value")
    biased = steps[0].bias is not None
    return MLP(activation=activation_of(steps[1]), bias=biased, hidden=out.in_features, inner_norm=inner)


def fill_feedforward(ours: Any, theirs: Any, claims: Claims) -> None:
    """The weights. A factor behind the product of a gate (mult_bias) is taken into the map behind it."""
    inward, norm, out = parts(theirs)
    down = out.weight
    if kind_of(inward) == "GLU":
        claims.put(ours.inward.weight, inward.proj.weight, inward.proj.weight.roll(ours.hidden, dims=0))
        claims.put(ours.inward.bias, inward.proj.bias, inward.proj.bias.roll(ours.hidden, dims=0))
        if isinstance(inward.mult_bias, torch.Tensor):
            claims.claim(inward.mult_bias)
            down = down * inward.mult_bias
    else:
        linear = next(part for part in inward if part is not None)
        claims.put(ours.up.weight, linear.weight)
        if linear.bias is not None:
            claims.put(ours.up.bias, linear.bias)
    claims.put(ours.down.weight, out.weight, down)
    if out.bias is not None:
        claims.put(ours.down.bias, out.bias)
    elif ours.down.bias is not None:
        nn.init.zeros_(ours.down.bias)
    if norm is not None:
        fill_norm(ours.inner_norm, norm, claims)
