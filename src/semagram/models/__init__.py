"""WIRING: from ids to logits, one file a kind."""

from semagram.models.hybrid import Hybrid
from semagram.models.transformer import Transformer

Model = Transformer | Hybrid

__all__ = ["Hybrid", "Model", "Transformer"]
