"""Tags of tokens, from the ids: whole texts at once, or token by token while they are written.

A token's tag is that of its last character. Tokens that hold a part of a character count as one character that is no
letter, so that the tag of a token never waits for the next one. ``Reading`` follows rows that are being written,
rewound and exchanged: it keeps what each reader has read, and reads anew when that is not how the row begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from semagram.layouts import Axis
    from semagram.text.labels import Labeller
    from semagram.text.tokenizer import Tokenizer

UNKNOWN = -1
_PART = "�"


def pieces_of(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The text of each of the v tokens, at least one character; and of the reserved id v, none."""
    return (*(piece.decode("utf-8", "replace") or _PART for piece in tokenizer.token_bytes), "")


def tags_of(labeller: Labeller, pieces: Sequence[str], ids: np.ndarray) -> np.ndarray:
    """``(N,)`` int64: the tags of a row of ids; ids below 0 (nothing there) have no character. UNKNOWN before the
    first character."""
    row: list[int] = ids.tolist()
    texts = [pieces[i] if i >= 0 else "" for i in row]
    text = "".join(texts)
    if not text:
        return np.full(len(ids), UNKNOWN, dtype=np.int64)
    labels = np.concatenate([[UNKNOWN], labeller.label(text)])
    ends = np.cumsum([len(piece) for piece in texts])
    return labels[ends]


class Reading:
    """Readers of some rows. ``__slots__``, and so no ``__dict__``: what copies a state leaves this alone."""

    __slots__ = ("axes", "pieces", "rows")

    def __init__(self, axes: Sequence[Axis], pieces: Sequence[str], rows: int) -> None:
        self.axes, self.pieces = axes, pieces
        self.rows: list[_Row | None] = [None] * rows

    def last(self, row: int, ids: np.ndarray) -> list[int]:
        """The tag of each axis at the end of ``ids (m,)``, of which each axis's last ``delay`` are not to be known."""
        known = self.rows[row]
        if known is None or not known.begins(ids):
            known = self.rows[row] = _Row(self.axes)
        known.go_on(ids, self.pieces)
        return [known.tag(k, axis.delay) for k, axis in enumerate(self.axes)]


class _Row:
    __slots__ = ("length", "read", "readers", "tags")

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.readers = [axis.reading.reader() for axis in axes]
        self.read, self.length = b"", 0
        self.tags: list[list[int]] = [[] for _ in axes]

    def begins(self, ids: np.ndarray) -> bool:
        return self.length <= len(ids) and ids[: self.length].tobytes() == self.read

    def go_on(self, ids: np.ndarray, pieces: Sequence[str]) -> None:
        for i in ids[self.length :].tolist():
            text = pieces[i] if i >= 0 else ""
            for reader, tags in zip(self.readers, self.tags, strict=True):
                tag = tags[-1] if tags else UNKNOWN
                for char in text:
                    tag = reader.read(char)
                tags.append(tag)
        self.read, self.length = ids.tobytes(), len(ids)

    def tag(self, axis: int, delay: int) -> int:
        tags = self.tags[axis]
        return tags[-1 - delay] if len(tags) > delay else UNKNOWN
