"""WHAT is computed at one position: modules from (..., d) to (..., d)."""

from semagram.feedforward.gated import Gated
from semagram.feedforward.mlp import MLP
from semagram.feedforward.norms import LayerNorm, Norm, RMSNorm
from semagram.feedforward.piecewise import Piecewise

Feedforward = (
    MLP
    | Gated
    | Piecewise
)  # fmt: skip

__all__ = ["MLP", "Feedforward", "Gated", "LayerNorm", "Norm", "Piecewise", "RMSNorm"]
