"""WHAT is computed at one position: modules from (..., d) to (..., d)."""

from semagram.feedforward.experts import Experts
from semagram.feedforward.gated import Gated
from semagram.feedforward.kinds_of_norm import Norm
from semagram.feedforward.mlp import MLP
from semagram.feedforward.norms import LayerNorm, RMSNorm
from semagram.feedforward.other_norms import AdaptiveLayerNorm, AdaptiveRMSNorm, DynamicErf, DynamicTanh, ScaleNorm
from semagram.feedforward.piecewise import Piecewise

Feedforward = MLP | Gated | Experts | Piecewise

__all__ = [
    "MLP",
    "AdaptiveLayerNorm",
    "AdaptiveRMSNorm",
    "DynamicErf",
    "DynamicTanh",
    "Experts",
    "Feedforward",
    "Gated",
    "LayerNorm",
    "Norm",
    "Piecewise",
    "RMSNorm",
    "ScaleNorm",
]
