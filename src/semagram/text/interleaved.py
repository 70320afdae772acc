"""Tags between the letters: a tokenizer whose ids are tags and tokens in one line, and whose text is the tokens' alone.

    tag first:    m_1 c_1 m_2 c_2 ...          text first:   c_1 m_1 c_2 m_2 ...
    a word:       m_1 c_1 c_2 c_3 c_4 m_2 c_5 ...             one tag before the first letter of each word

``encode`` asks the labellers about the whole text, letters to come among it: that is allowed here, since a model of
these ids predicts every tag before it knows it, and a file pays for it. Decoding drops the tags, so a file of ids is a
file of the text. Ids 0..v-1 are the tokens', then come the tags of each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from semagram.config import to_json
from semagram.text.labels import Labeller
from semagram.text.labels.words import WORD
from semagram.text.tokenizer import Ids, Tokenizer


@dataclass(frozen=True)
class InterleavedTokenizer(Tokenizer):
    """The tokens of ``inner``, and between them the tags of ``axes``: names and labellers."""

    inner: Tokenizer
    axes: tuple[tuple[str, Labeller], ...]
    order: Literal["tag first", "text first"] = "tag first"
    every: Literal["step", "word"] = "step"

    def list_tokens(self) -> tuple[bytes, ...]:
        """The tokens of ``inner``; tags are no text."""
        return (*self.inner.list_tokens(), *(b"" for _, labeller in self.axes for _ in labeller.names()))

    @property
    def letters(self) -> int:
        """How many ids are tokens of ``inner``; tags come after them."""
        return self.inner.vocabulary_size

    def encode(self, text: str) -> Ids:
        """Tags and tokens; a token has the tag of its last character, a word that of its first."""
        ids = self.inner.encode(text)
        lengths = self.inner.lengths(ids)
        ends = np.cumsum(lengths)
        if not self.axes or not len(ids):
            return ids
        words = self.every == "word"
        at = ends - lengths if words else np.maximum(ends - 1, 0)
        columns, begin = [], self.letters
        for _, labeller in self.axes:
            columns.append(labeller.label(text)[np.minimum(at, len(text) - 1)] + begin)
            begin += len(labeller.names())
        whole = [*columns, ids] if self.order == "tag first" else [ids, *columns]
        cells = np.stack(whole, axis=1)
        if words:
            starts = np.array([found.start() for found in WORD.finditer(text)], dtype=np.int64)
            first = np.zeros(len(ids), dtype=bool)
            first[np.searchsorted(ends, starts, side="right")] = True
            kept = np.ones(cells.shape, dtype=bool)
            kept[:, :-1] = first[:, None]
            return cells[kept]
        return cells.reshape(-1)

    def split(self, ids: Sequence[int] | np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """The tokens of ``ids``, and of each axis the tag written last before each token's step was over, -1: none."""
        row = np.asarray(ids, dtype=np.int64)
        tokens = np.flatnonzero(row < self.letters)
        found, begin = [], self.letters
        for number, (_, labeller) in enumerate(self.axes):
            size = len(labeller.names())
            mine = (row >= begin) & (row < begin + size)
            last = np.maximum.accumulate(np.where(mine, np.arange(len(row)), -1)) if len(row) else row
            look = tokens if self.order == "tag first" else np.minimum(tokens + 1 + number, len(row) - 1)
            place = last[look]
            found.append(np.where(place >= 0, row[np.maximum(place, 0)] - begin, -1))
            begin += size
        return row[tokens], found

    def token_texts(self) -> list[str]:
        """Those of ``inner``; a tag shows its axis and its name."""
        tags = [f"<{name}: {tag}>" for name, labeller in self.axes for tag in labeller.names()]
        return [*self.inner.token_texts(), *tags]

    def to_json(self) -> dict[str, Any]:
        """All that makes it."""
        axes = [{"name": name, "labeller": to_json(labeller)} for name, labeller in self.axes]
        inner = self.inner.to_json()
        return {"kind": "interleaved", "inner": inner, "axes": axes, "order": self.order, "every": self.every}
