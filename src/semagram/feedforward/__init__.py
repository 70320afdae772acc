"""WHAT is computed at one position: modules from (..., d) to (..., d)."""

from semagram.feedforward.gated import Gated
from semagram.feedforward.mlp import MLP
from semagram.feedforward.norms import LayerNorm, Norm, RMSNorm

Feedforward = MLP | Gated

__all__ = ["MLP", "Feedforward", "Gated", "LayerNorm", "Norm", "RMSNorm"]
