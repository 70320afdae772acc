"""WIRING: from ids to logits, one file a kind."""

from semagram.models.hierarchical import Hierarchical
from semagram.models.hierarchical_level import Level
from semagram.models.hybrid import Hybrid
from semagram.models.transformer import Transformer

Model = (
    Transformer
    | Hybrid
    | Hierarchical
)  # fmt: skip

__all__ = [
    "Hierarchical",
    "Hybrid",
    "Level",
    "Model",
    "Transformer",
]
