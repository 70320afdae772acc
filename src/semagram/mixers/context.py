"""A context: what stands beside a canvas and is wholly visible to it (a source text, an image, other features)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semagram.errors import UserError


@dataclass(frozen=True, eq=False)
class Context:
    """What may be looked at: ``features (b, m, c)``, and what is known of its positions.

    ``keep (b, m)`` bool marks what counts (None: everything). Rotary cross-attention alone asks where things stand:
    ``coords (m, a)`` the context's positions, ``slots (n, a)`` those of the canvas that looks at it.
    """

    features: Tensor
    keep: Tensor | None = None
    coords: Tensor | None = None
    slots: Tensor | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.features.shape)
        if len(shape) != 3:
            raise UserError(f"context features must be (b, m, c), got {shape}.")
        if self.keep is not None and (self.keep.dtype != torch.bool or tuple(self.keep.shape) != shape[:2]):
            raise UserError(
                f"context keep must be bool {shape[:2]}, got {self.keep.dtype} {tuple(self.keep.shape)} "
                f"(True marks positions that count)."
            )
        if self.coords is not None and self.coords.shape[0] != shape[1]:
            raise UserError(f"context coords must be ({shape[1]}, a), got {tuple(self.coords.shape)}.")

    def rows(self, batch: int) -> Context:
        """The same for ``batch`` rows: a context of one row serves them all. Raises ``UserError`` for other numbers."""
        if self.features.shape[0] == batch:
            return self
        if self.features.shape[0] != 1:
            raise UserError(f"a context of {self.features.shape[0]} rows serves as many, not {batch}.")
        keep = None if self.keep is None else self.keep.expand(batch, -1)
        return replace(self, features=self.features.expand(batch, -1, -1), keep=keep)
