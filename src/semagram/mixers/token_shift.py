"""Token shift: each slot takes a learned share of the slot before it, feature by feature (RWKV, arXiv 2305.13048;
on the embeddings, "smear", it tells attention which pair of tokens it looks at).

``y_i = x_i + share * x_{i-1}``, the first slot having nothing before it. ``reference`` is the definition as a loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility


@dataclass(frozen=True)
class TokenShift:
    """Each slot takes a learned share of the slot before it."""

    share: float = 0.3
    """Of every feature, at the beginning of training."""

    reads_pairs = True
    """What the caller says of pairs and a prefix (``Geometry``) is heeded."""

    def visibilities(self) -> frozenset[Visibility]:
        """It sees its own slot and the one before."""
        return frozenset({Visibility.CAUSAL, Visibility.FULL})

    def build(self, width: int) -> TokenShiftMixer:
        """The module."""
        return TokenShiftMixer(self, width)


class TokenShiftState:
    """The last slot read, ``(b, 1, d)``; zero before the beginning."""

    def __init__(self, batch: int, width: int, like: Tensor) -> None:
        self.last = torch.zeros(batch, 1, width, dtype=like.dtype, device=like.device)
        self.length = 0


class TokenShiftMixer(nn.Module):
    """See ``TokenShift``."""

    def __init__(self, config: TokenShift, width: int) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((width,), config.share))

    def output_projections(self) -> list[nn.Linear]:
        """None: it has no linear map."""
        return []

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; a padding slot gives nothing to the next."""
        before = x[:, :-1]
        if geometry.keep is not None:
            before = before * geometry.keep[:, :-1, None]
        if (joined := joined_to_last(geometry, geometry.start + 1, before.shape[1])) is not None:
            before = before * joined
        return torch.cat([x[:, :1], torch.addcmul(x[:, 1:], before, self.share)], dim=1)

    def new_state(self, batch: int, capacity: int) -> TokenShiftState:
        """Room for one slot; ``capacity`` does not matter."""
        return TokenShiftState(batch, self.share.shape[0], self.share)

    def step(self, x: Tensor, geometry: Geometry, state: TokenShiftState) -> Tensor:
        """The coming ``g`` slots."""
        before = state.last if x.shape[1] == 1 else torch.cat([state.last, x[:, :-1]], dim=1)
        state.last = x[:, -1:]
        if (joined := joined_to_last(geometry, state.length, x.shape[1])) is not None:
            before = before * joined
        state.length += x.shape[1]
        return torch.addcmul(x, before, self.share)


def joined_to_last(geometry: Geometry, start: int, count: int) -> Tensor | None:
    """Bool ``(1 or b, count, 1)``: may slot ``start + i`` be shown the one before it; None where the caller said
    nothing. The first slot has nobody before it, so what is said of it does not matter."""
    pairs = geometry.pairs
    if pairs is None or pairs.dtype != torch.bool:
        return None
    slots = torch.arange(start, start + count, device=pairs.device)
    may = pairs[..., slots, (slots - 1).clamp(min=0)]
    return may[None, :, None] if may.dim() == 1 else may.all(dim=1)[..., None]


def reference(x: Tensor, share: Tensor) -> Tensor:
    """``x (b, n, d)``, ``share (d,)`` -> ``(b, n, d)``, slot by slot."""
    slots = [x[:, i] + (share * x[:, i - 1] if i > 0 else 0.0) for i in range(x.shape[1])]
    return torch.stack(slots, dim=1)
