"""The encoder-decoder: a text is written given a source, which an encoder has read (arXiv 1706.03762; T5, 1910.10683).

    log p(target | source) = sum_i log p(t_i | t_1 .. t_{i-1}, encoder(source))

The source is whatever the encoder reads: ids (translation), an image (captioning), vectors (speech). Logits are over
the *target's* vocabulary. ``given(source)`` is the network with its source fixed: it answers the ``Network`` contract,
so a predictor made of it generates, scores and compresses the target given the source, like any other model. The
source's keys and values are computed once. Tested against x-transformers' ``XTransformer``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.models.decoder import Decoder, DecoderNetwork, DecoderState
from semagram.models.demands import checked_keep
from semagram.models.encoder import Encoder, EncoderNetwork
from semagram.models.encodings import Encoding


@dataclass(frozen=True)
class EncoderDecoder:
    """Reads a source, writes a target."""

    encoder: Encoding = field(default_factory=Encoder)
    """What reads the source."""
    decoder: Decoder = field(default_factory=Decoder)
    """What writes the target."""
    shared: bool = False
    """Source and target use one embedding (equal vocabularies and widths)."""

    def __post_init__(self) -> None:
        if self.decoder.cross is None:
            raise UserError("an EncoderDecoder's decoder must look at the source: decoder.cross must not be none.")
        if self.shared and not isinstance(self.encoder, Encoder):
            raise UserError(f"shared embeddings need a source of ids, and a {type(self.encoder).__name__} reads none.")
        if self.shared and self.encoder.width != self.decoder.blocks.width:
            raise UserError(
                f"shared embeddings need equal widths, got {self.encoder.width} and {self.decoder.blocks.width}."
            )

    def build(self, vocabulary_size: int) -> EncoderDecoderNetwork:
        """The network that writes ids 0 .. ``vocabulary_size`` - 1. ``UserError`` for sizes that do not fit."""
        encoder = self.encoder
        if self.shared and isinstance(encoder, Encoder) and encoder.vocabulary_size != vocabulary_size:
            raise UserError(
                f"shared embeddings need equal vocabularies, got {encoder.vocabulary_size} and {vocabulary_size}."
            )
        return EncoderDecoderNetwork(self, vocabulary_size)


class EncoderDecoderNetwork(nn.Module):
    """See ``EncoderDecoder``."""

    def __init__(self, config: EncoderDecoder, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.shared = config.shared
        self.encoder = config.encoder.build()
        self.decoder = DecoderNetwork(config.decoder, vocabulary_size, config.encoder.width, not config.shared)
        if config.shared and config.decoder.tied and isinstance(self.encoder, EncoderNetwork):
            nn.init.normal_(self.encoder.embedding.weight, std=config.encoder.width**-0.5)

    def encode(self, source: Tensor, source_keep: Tensor | None = None) -> Context:
        """What the decoder looks at, ``(b, m, c)``."""
        return self.encoder(source, source_keep)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(
        self, source: Tensor, inputs: Tensor, source_keep: Tensor | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """Source and inputs ``(b, n)`` -> logits ``(b, n, v)`` over the target's vocabulary.

        Slot i of the inputs shows target i - 1, the first the reserved id v (``objectives.paired`` makes them).
        ``source_keep (b, m)`` and ``keep (b, n)`` are False at padding.
        """
        keep = checked_keep(keep, *inputs.shape)
        geometry = Geometry.line(inputs.shape[1], Visibility.CAUSAL, keep, like=inputs)
        return self.decoder(inputs, geometry, self.encode(source, source_keep), table=self._table())

    def given(self, source: Tensor, source_keep: Tensor | None = None) -> GivenSource:
        """The network with this source ``(1 or b, ...)`` fixed; weights are shared with it, not copied."""
        return GivenSource(self, source, source_keep)

    def _table(self) -> Tensor | None:
        """The shared embedding; looked up at every call, so that a copy of the network uses the copy's."""
        if not self.shared:
            return None
        assert isinstance(self.encoder, EncoderNetwork)
        return self.encoder.embedding.weight


class GivenSource(nn.Module):
    """An encoder-decoder whose source is fixed: a ``Network`` from inputs to the target's logits."""

    def __init__(self, network: EncoderDecoderNetwork, source: Tensor, source_keep: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.vocabulary_size = network.vocabulary_size
        self.visibility = Visibility.CAUSAL
        self.source = source
        self.source_keep = source_keep

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """All slots at once: ``(b, n) -> (b, n, v)``."""
        context = self.network.encode(self.source, self.source_keep)
        return self.network.decoder(inputs, geometry, context, table=self.network._table())

    def new_state(self, batch: int, geometry: Geometry) -> DecoderState:
        """Reads the source, once."""
        context = self.network.encode(self.source, self.source_keep)
        return self.network.decoder.new_state(batch, geometry, context, table=self.network._table())

    def step(self, inputs: Tensor, state: DecoderState) -> Tensor:
        """The coming slots: ``(b, g) -> (b, g, v)``."""
        return self.network.decoder.step(inputs, state)
