"""Norms of x-transformers: their offsets are added, so that ours hold the whole gain. Their eps is 1e-12 where they
divide by the length, 1e-5 in layer norms."""

from __future__ import annotations

from typing import Any

from semagram.feedforward import (
    AdaptiveLayerNorm,
    AdaptiveRMSNorm,
    DynamicErf,
    DynamicTanh,
    LayerNorm,
    Norm,
    RMSNorm,
    ScaleNorm,
)
from semagram.hub.peer_parts.claims import Claims, kind_of, unsupported

TINY = 1e-12


def norm_of(module: Any) -> Norm:
    """Our config of a norm."""
    kind = kind_of(module)
    plain: dict[str, Norm] = {
        "LayerNorm": LayerNorm(),
        "RMSNorm": RMSNorm(gain=True, epsilon=TINY),
        "SimpleRMSNorm": RMSNorm(epsilon=TINY),
        "ScaleNorm": ScaleNorm(epsilon=TINY),
        "DynamicTanh": DynamicTanh(),
        "Derf": DynamicErf(),
    }
    if kind in plain:
        return plain[kind]
    if kind == "AdaptiveLayerNorm":
        return AdaptiveLayerNorm(module.to_gamma.in_features)
    if kind == "AdaptiveRMSNorm":
        return AdaptiveRMSNorm(module.to_gamma.in_features, epsilon=TINY)
    raise unsupported(f"the norm {kind or 'Identity'}")


def fill_norm(ours: Any, theirs: Any, claims: Claims) -> None:
    """The weights of a norm of the same kind."""
    kind = kind_of(theirs)
    offset = float(getattr(theirs, "unit_offset", 0.0))
    if kind == "LayerNorm":
        claims.put(ours.gain, theirs.gamma, theirs.gamma + offset)
    elif kind in ("RMSNorm", "ScaleNorm"):
        claims.put(ours.gain, theirs.g, theirs.g + offset)
    elif kind.startswith("Adaptive"):
        claims.put(ours.gain.weight, theirs.to_gamma.weight)
    elif kind == "DynamicTanh":
        claims.put(ours.slope, theirs.pre_tanh_scale, theirs.pre_tanh_scale + theirs.pre_tanh_scale_offset)
        claims.put(ours.gain, theirs.gamma, theirs.gamma + theirs.gamma_offset)
        claims.put(ours.bias, theirs.beta)
    elif kind == "Derf":
        claims.put(ours.slope, theirs.alpha, theirs.alpha + theirs.scale_offset)
        claims.put(ours.shift, theirs.s)
        claims.put(ours.gain, theirs.gamma, theirs.gamma + theirs.scale_offset)
        claims.put(ours.bias, theirs.beta)
