"""WIRING: from ids to logits, one file a kind."""

from semagram.models.hierarchical import Hierarchical
from semagram.models.hierarchical_level import Level
from semagram.models.hourglass import Hourglass, Stage
from semagram.models.hybrid import Hybrid
from semagram.models.transformer import Transformer

Model = (
    Transformer
    | Hybrid
    | Hierarchical
    | Hourglass
)  # fmt: skip

__all__ = [
    "Hierarchical",
    "Hourglass",
    "Hybrid",
    "Level",
    "Model",
    "Stage",
    "Transformer",
]
