"""WIRING: from ids to logits, one file a kind."""

from semagram.models.transformer import Transformer

Model = Transformer

__all__ = ["Model", "Transformer"]
