"""WIRING: from ids to logits, one file a kind."""

from semagram.models.hybrid import Hybrid
from semagram.models.page import Merged, Page, Repeated, Whole
from semagram.models.transformer import Transformer

Model = Transformer | Hybrid | Page

__all__ = ["Hybrid", "Merged", "Model", "Page", "Repeated", "Transformer", "Whole"]
