"""A classifier: an encoder, a pool, a linear head. Images, texts or vectors in, one row of logits out.

    logits = H pool(encoder(source)) + h  (b, classes)

With one class it is a regression on the row. Tested against x-transformers' ``ViTransformerWrapper``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.models.encoder import Encoder
from semagram.models.encodings import Encoding
from semagram.models.pooling import First, Mean, Pooling


@dataclass(frozen=True)
class Classifier:
    """Judges a whole source."""

    encoder: Encoding = field(default_factory=Encoder)
    """What reads the source."""
    classes: int = 2
    """Logits a row."""
    pooling: Pooling = field(default_factory=Mean)
    """How a row is summed up."""

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise UserError(f"classes must be at least 1, got {self.classes}.")
        token = getattr(self.encoder, "class_token", False)
        if isinstance(self.pooling, First) != token:
            raise UserError(
                f"class_token and pooling First need each other: class_token is {token}, "
                f"pooling is {type(self.pooling).__name__}."
            )

    def build(self) -> ClassifierNetwork:
        """The network, with its starting weights."""
        return ClassifierNetwork(self)


class ClassifierNetwork(nn.Module):
    """See ``Classifier``."""

    def __init__(self, config: Classifier) -> None:
        super().__init__()
        width = config.encoder.width
        self.encoder = config.encoder.build()
        self.pooling = config.pooling.build(width)
        self.head = nn.Linear(width * config.pooling.count, config.classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(self, source: Tensor, keep: Tensor | None = None) -> Tensor:
        """Source and what of it counts -> logits ``(b, classes)``."""
        return self.head(self.pooled(source, keep).flatten(1))

    def pooled(self, source: Tensor, keep: Tensor | None = None) -> Tensor:
        """The row's summary, ``(b, k, d)``."""
        return self.pooling(self.encoder(source, keep))
