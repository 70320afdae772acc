"""Models that are built by hand (with a source, images, vectors, several streams), walked like the others.

``answer`` gives what any of them says as one tensor; ``SourceCase`` puts an encoder-decoder with a fixed source behind
the ``Network`` contract, so that the laws of networks judge it as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laws import legal_by_hand, walk
from laws.broken import require
from laws.cases import Case, shaken
from semagram.config import members
from semagram.layouts import Visibility
from semagram.mixers import Context
from semagram.models import (
    ByHand,
    Continuous,
    CrossStack,
    Decoder,
    EncoderDecoder,
    Encoding,
    Funnel,
    MultiStream,
    Perceiver,
    VectorEncoder,
    Vision,
)
from semagram.models.continuous import Outlook

V, COUNT, CONTEXT_WIDTH = 7, 6, 6
REFUSED = legal_by_hand.REFUSED
SOURCE_PADDING = "padding of a source does not matter"
SOURCE_HEARD = "what counts of a source is heard"


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + 1))


def ids(rows: int, most: int = V, seed: int = 0) -> Tensor:
    return torch.randint(0, most, (rows, COUNT), generator=torch.Generator().manual_seed(seed))


def fresh(config: Any) -> Any:
    """Built as its signature asks; the caller has set the seed."""
    if isinstance(config, Decoder):
        return config.build(V, CONTEXT_WIDTH if config.cross is not None else None)
    if isinstance(config, EncoderDecoder):
        return config.build(V)
    return config.build(CONTEXT_WIDTH) if isinstance(config, CrossStack) else config.build()


def built(config: Any, seed: int = 0) -> Any:
    """In eval mode, with nothing left at zero or one."""
    torch.manual_seed(seed)
    return shaken(fresh(config), seed).eval()


def source_of(encoding: Any, rows: int = 3, seed: int = 0) -> Tensor:
    """What the encoder reads."""
    if isinstance(encoding, (Perceiver, Funnel)):
        return source_of(encoding.encoder, rows, seed)
    if isinstance(encoding, Vision):
        return numbers(rows, encoding.channels, *encoding.image, seed=seed)
    if isinstance(encoding, VectorEncoder):
        return numbers(rows, COUNT, encoding.features, seed=seed)
    return ids(rows, encoding.vocabulary_size, seed)


def positions_of(encoding: Any) -> int:
    """What ``keep`` counts."""
    if isinstance(encoding, (Perceiver, Funnel)):
        return positions_of(encoding.encoder)
    if isinstance(encoding, Vision):
        return (encoding.image[0] // encoding.patch[0]) * (encoding.image[1] // encoding.patch[1])
    return COUNT


def encoding_of(config: Any) -> Any:
    """The encoder that reads the source of ``config``; None where there is none."""
    return config if isinstance(config, members(Encoding)) else getattr(config, "encoder", None)


def asked(config: Any, network: Any, source: Any = None, keep: Tensor | None = None) -> Tensor:
    """What the network says of fixed inputs (or of another source), as one tensor with the batch first."""
    encoding = encoding_of(config)
    if encoding is not None:
        source = source_of(encoding) if source is None else source
        if isinstance(config, EncoderDecoder):
            return network(source, ids(len(source), V + 1), keep)
        said = network(source, keep)
        return said.features if isinstance(said, Context) else said
    if isinstance(config, CrossStack):
        return network(numbers(3, COUNT, config.width), Context(numbers(3, 5, CONTEXT_WIDTH)))
    if isinstance(config, Decoder):
        context = Context(numbers(3, 5, CONTEXT_WIDTH)) if config.cross is not None else None
        return network(ids(3, V + 1), context=context)
    if isinstance(config, MultiStream):
        said = network({name: ids(3, size) for name, size in config.streams})
        return torch.cat([said[name] for name, _ in config.streams], dim=2)
    assert isinstance(config, Continuous), config
    said: Outlook = network(numbers(3, COUNT, config.features))
    told = torch.zeros(1) if config.outputs is not None else network.next_loss(numbers(3, COUNT, config.features))
    return torch.cat(
        [said.mean.flatten(), told.flatten(), *([] if said.log_variance is None else [said.log_variance.flatten()])]
    )


def configs() -> list[Any]:
    """The variants of every one."""
    return [c for union in (Encoding, ByHand) for c in walk.of_union(union)]


def kinds() -> list[type]:
    """The classes, of encoders and of the rest."""
    return [kind for union in (Encoding, ByHand) for kind in members(union)]


def shortened(encoding: Any) -> bool:
    """True where an encoder's features are no longer those of its source's positions; all of them are heard then."""
    return isinstance(encoding, Perceiver) or (isinstance(encoding, Funnel) and not encoding.restore)


def source_padding(config: Any, network: Any) -> None:
    """What stands in a source's padding does not move one bit, and what counts does move something."""
    encoding = encoding_of(config)
    keep = torch.ones(3, positions_of(encoding), dtype=torch.bool)
    keep[0, -1] = keep[1, 0] = False
    source, other = source_of(encoding), source_of(encoding, seed=9)
    mixed = mix(encoding, source, other, keep)
    counted = keep if isinstance(config, members(Encoding)) and not shortened(encoding) else None
    if counted is not None and getattr(encoding, "class_token", False):
        counted = torch.nn.functional.pad(counted, (1, 0), value=True)
    with torch.no_grad():
        before, after = (asked(config, network, s, keep) for s in (source, mixed))
        if counted is not None:
            before, after = before[counted], after[counted]
        require(not before.isnan().any(), SOURCE_PADDING, "it makes the answer NaN")
        require(torch.equal(before, after), SOURCE_PADDING, f"{config} moved by {(before - after).abs().max():.2g}")
        heard = asked(config, network, other, keep)
        heard = heard[counted] if counted is not None else heard
        require(not torch.equal(heard, before), SOURCE_HEARD, f"{config} says the same of another source")


def mix(encoding: Any, source: Tensor, other: Tensor, keep: Tensor) -> Tensor:
    """``source`` where it counts, ``other`` in its padding."""
    if isinstance(encoding, Perceiver):
        return mix(encoding.encoder, source, other, keep)
    if isinstance(encoding, Vision):
        height, width = encoding.patch
        page = keep.view(len(keep), 1, encoding.image[0] // height, encoding.image[1] // width)
        return torch.where(page.repeat_interleave(height, 2).repeat_interleave(width, 3), source, other)
    return torch.where(keep if source.dim() == 2 else keep[:, :, None], source, other)


@dataclass(frozen=True)
class SourceCase(Case):
    """An encoder-decoder with a fixed source of one row, judged as the network of a canvas."""

    visibility: Visibility = Visibility.CAUSAL
    vocabulary: int = V

    def fresh(self) -> Any:
        """The network given its source."""
        return self.model.build(self.vocabulary).given(source_of(self.model.encoder, 1))

    def __str__(self) -> str:
        return f"{self.layout} {self.model}"
