"""The funnel: an encoder that grows shorter as it goes up, and long again at the end (Funnel-Transformer, 2006.03236).

    h = first stage (b, n, d);  each later stage:  q = pool(h) (b, ceil(n/2), d);  h' = q + attention(norm q; norm h);
    h' = h' + feedforward(norm h');  h' = blocks(h');    at the end:  blocks(repeat(h_last) + h_first) (b, n, d)

Only queries are pooled (means of pairs, over what counts); keys and values stay long, so that the attention itself
decides what the shorter row keeps. ``restore=False`` leaves the short row, for a classifier or a decoder that looks at
it: work falls by half a stage. A pooled slot stands where its pair begins. The paper keeps a class token out of the
pooling; here sum up with a pool instead. FULL visibility: a mean of two slots knows the later one.
Tested against the formula, slot by slot (``reference`` of the pooling, and a whole funnel written out in its test).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.mixers.cross_attention import CrossAttention
from semagram.mixers.rotary import Rotary
from semagram.models.demands import must_be
from semagram.models.encoder import Encoder
from semagram.models.stack import Blocks, scale_inner_maps
from semagram.models.vectors import VectorEncoder


@dataclass(frozen=True)
class Funnel:
    """Reads a source at ever lower resolution."""

    encoder: Encoder | VectorEncoder = field(default_factory=Encoder)
    """The first stage, at full length."""
    stages: tuple[int, ...] = (2, 2)
    """Blocks of each later stage, its pooled one included; each halves the length."""
    blocks: Blocks = field(default_factory=lambda: Blocks(depth=2))
    """What later stages are made of; its depth is that of the last stage, at full length again."""
    look: CrossAttention = field(default_factory=lambda: CrossAttention(positions=Rotary()))
    """How pooled queries look at the longer row."""
    restore: bool = True
    """Give every position its features back; False: the short row, and no last stage."""

    def __post_init__(self) -> None:
        if not self.stages or min(self.stages) < 1:
            raise UserError(f"funnel.stages must be one or more numbers of at least 1, got {self.stages}.")
        if self.blocks.width != self.encoder.width:
            raise UserError(f"a Funnel has one width, got {self.encoder.width} and {self.blocks.width}.")
        if getattr(self.encoder, "class_token", False):
            raise UserError("a Funnel pools pairs of positions, class_token=True is none: use pooling Mean behind it.")
        must_be(Visibility.FULL, self.blocks, "a Funnel")

    @property
    def width(self) -> int:
        """Features of what it gives."""
        return self.blocks.width

    def build(self) -> FunnelNetwork:
        """The module, with its starting weights."""
        return FunnelNetwork(self)


class FunnelNetwork(nn.Module):
    """See ``Funnel``: what its encoder reads -> a ``Context``."""

    def __init__(self, config: Funnel) -> None:
        super().__init__()
        self.encoder = config.encoder.build()
        self.stages = nn.ModuleList(FunnelStage(config, depth) for depth in config.stages)
        self.last = config.blocks.build() if config.restore else None

    def forward(self, source: Tensor, keep: Tensor | None = None) -> Context:
        """Ids ``(b, n)`` or vectors ``(b, n, i)`` -> features ``(b, n, d)``, or the short row if not restored."""
        first: Context = self.encoder(source, keep)
        row = first
        for stage in self.stages:
            row = stage(row)
        if self.last is None:
            return row
        x = row.features.repeat_interleave(2 ** len(self.stages), dim=1)[:, : first.features.shape[1]] + first.features
        geometry = Geometry.line(x.shape[1], Visibility.FULL, first.keep, like=x)
        return Context(self.last(x, geometry), first.keep, first.coords)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)


class FunnelStage(nn.Module):
    """A row ``(b, n, d)`` -> one of half the length."""

    def __init__(self, config: Funnel, depth: int) -> None:
        super().__init__()
        blocks = config.blocks
        self.query_norm = blocks.norm.build(blocks.width)
        self.look_norm = blocks.norm.build(blocks.width)
        self.look = config.look.build(blocks.width)
        self.feedforward_norm = blocks.norm.build(blocks.width)
        self.feedforward = blocks.feedforward.build(blocks.width)
        self.dropout = nn.Dropout(blocks.dropout)
        scale_inner_maps(self)
        for part in (self.look, self.feedforward):
            for projection in part.output_projections():  # type: ignore[union-attr, operator]
                nn.init.zeros_(projection.weight)
        self.blocks = replace(blocks, depth=depth - 1).build() if depth > 1 else None

    def forward(self, row: Context) -> Context:
        """Pool, look at the longer row, think; then the blocks."""
        short = halved(row)
        x, geometry = short.features, Geometry.line(short.features.shape[1], Visibility.FULL, short.keep)
        longer = replace(row, features=self.look_norm(row.features), slots=short.coords)
        x = x + self.dropout(self.look(self.query_norm(x), longer))
        x = x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        if self.blocks is not None:
            assert short.coords is not None
            geometry = Geometry(short.coords, torch.arange(len(short.coords)), Visibility.FULL, short.keep)
            x = self.blocks(x, geometry.to(x.device))
        return replace(short, features=x)


def halved(row: Context) -> Context:
    """Means of pairs of what counts; an odd last position stays as it is; a pair of padding is padding, of zeros."""
    x, keep, n = row.features, row.keep, row.features.shape[1]
    coords = torch.arange(n, device=x.device)[:, None] if row.coords is None else row.coords
    counts = x.new_ones(len(x), n, 1) if keep is None else keep[..., None].to(x.dtype)
    pad = (0, 0, 0, n % 2)
    total = nn.functional.pad(x * counts, pad).unflatten(1, (-1, 2)).sum(dim=2)
    number = nn.functional.pad(counts, pad).unflatten(1, (-1, 2)).sum(dim=2)
    kept = None if keep is None else number[..., 0] > 0
    return Context(total / number.clamp(min=1.0), kept, coords[::2])


def reference(features: Tensor, keep: Tensor | None) -> Tensor:
    """``halved``, one pair at a time: ``(b, n, d) -> (b, ceil(n / 2), d)``."""
    rows = []
    for b, row in enumerate(features):
        pairs = []
        for start in range(0, len(row), 2):
            counted = [row[i] for i in range(start, min(start + 2, len(row))) if keep is None or keep[b, i]]
            pairs.append(torch.stack(counted).mean(0) if counted else torch.zeros_like(row[0]))
        rows.append(torch.stack(pairs))
    return torch.stack(rows)
