"""WIRING: from ids to logits, one file a kind."""

from semagram.models.hybrid import Hybrid
from semagram.models.transformer import Transformer
from semagram.models.window import Window

Model = (
    Transformer
    | Hybrid
    | Window
)  # fmt: skip

__all__ = ["Hybrid", "Model", "Transformer", "Window"]
