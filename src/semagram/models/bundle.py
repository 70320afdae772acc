"""An id that is a bundle: a letter and its tags in one whole number, and the embedding that takes it apart.

    packed = letter + (v + 1) * (code_1 + (s_1 + 1) * (code_2 + ...)),      code = tag + 1, or 0 for "unknown"

    Sum:     x = E[letter] + sum_k T_k[code_k]
    Concat:  x = [E[letter]; T_1[code_1]; ...] W

Networks do nothing with ids but embed them, so one that is given packed ids and this in the place of its embedding
reads tags wherever it reads letters: whatever it does to a line (windows, levels, shifts, states) it does to the
bundle. The idea is that of factored language models (Bilmes & Kirchhoff 2003: a word is a bundle of factors;
Alexandrescu & Kirchhoff 2006 with a network). Tested against tables added by hand.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.axes import Concat, Sum

_LARGEST = 1 << 62
_SPREAD = 0.3
"""Deviation of tags' rows at first, where a letter's is 1: a tag is a hint beside it."""


def pack(ids: Tensor, tags: Tensor, vocabulary_size: int, sizes: tuple[int, ...]) -> Tensor:
    """``ids (b, n)`` 0..v and ``tags (b, n, A)`` -1..s_k - 1 (-1: unknown) -> packed ids ``(b, n)``."""
    code = torch.zeros_like(ids)
    for k in reversed(range(len(sizes))):
        code = code * (sizes[k] + 1) + tags[..., k] + 1
    return ids + (vocabulary_size + 1) * code


class Bundle(nn.Module):
    """The embedding of packed ids: ``(...) -> (..., d)``. ``letters``: the trunk's own table, of v + 1 rows."""

    def __init__(self, letters: nn.Embedding, sizes: tuple[int, ...], combine: Sum | Concat) -> None:
        super().__init__()
        room = letters.num_embeddings
        for size in sizes:
            room *= size + 1
        if room >= _LARGEST:
            raise UserError(f"these axes have {sizes} tags: too many for one id; use fewer axes.")
        self.letters, self.sizes = letters, sizes
        self.count = letters.num_embeddings
        width = letters.embedding_dim
        row = combine.width if isinstance(combine, Concat) else width
        self.tags = nn.ModuleList(nn.Embedding(size + 1, row) for size in sizes)
        for table in self.tags:
            nn.init.normal_(table.weight, std=_SPREAD)  # type: ignore[arg-type]
        # Its path holds the word embedding, which tells the optimiser what it is.
        self.mix = nn.Linear(width + row * len(sizes), width, bias=False) if isinstance(combine, Concat) else None
        if self.mix is not None:
            nn.init.normal_(self.mix.weight, std=_SPREAD * row**-0.5)
            with torch.no_grad():
                self.mix.weight[:, :width] = torch.eye(width)

    @property
    def weight(self) -> Tensor:
        """The letters' rows, for a tied head."""
        return self.letters.weight

    def forward(self, packed: Tensor) -> Tensor:
        """``(...) -> (..., d)``."""
        x = self.letters(packed % self.count)
        code, rows = packed // self.count, []
        for size, table in zip(self.sizes, self.tags, strict=True):
            rows.append(table(code % (size + 1)))
            code = code // (size + 1)
        if self.mix is not None:
            return self.mix(torch.cat([x, *rows], dim=-1))
        for row in rows:
            x = x + row
        return x
