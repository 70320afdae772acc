"""WIRING: from ids to logits, one file a kind."""

from semagram.models.electra import Electra
from semagram.models.hybrid import Hybrid
from semagram.models.multi_token import MultiToken
from semagram.models.transformer import Transformer

Model = Transformer | Hybrid | MultiToken | Electra

__all__ = ["Electra", "Hybrid", "Model", "MultiToken", "Transformer"]
