"""Words and sentences of a text, found by what stands before them, so that writing more never moves one.

A word is a run of letters and digits; an apostrophe between two of them belongs to it ("don't"). It is *finished* by
the first character that can no longer belong to it: the apostrophe of "dogs' tails" finishes nothing yet, the space
behind it does. A sentence ends with the white space after . ! ? (closing quotes and brackets may stand between), or
with an empty line. ``WordReader`` finds while reading what ``finished`` finds in a whole text (tested for equality).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

APOSTROPHES = "'\u2019"
WORD = re.compile(rf"[^\W_]+(?:[{APOSTROPHES}][^\W_]+)*")
SENTENCE_END = re.compile(r"[.!?][\"'\u2019\u201d)\]]*\s|\n[^\S\n]*\n")
_REACH = 400
"""Characters that are looked back at a time for the end of the sentence before."""


class WordReader:
    """Finds words while a text is being written."""

    def __init__(self) -> None:
        self.word = ""
        """The word so far, as far as it is sure."""
        self.pending = ""
        """An apostrophe that may belong to it."""

    def read(self, char: str) -> str | None:
        """The word that ``char`` finishes, if it finishes one."""
        if char.isalnum():
            self.word += self.pending + char
            self.pending = ""
            return None
        if not self.word:
            return None
        if char in APOSTROPHES and not self.pending:
            self.pending = char
            return None
        word, self.word, self.pending = self.word, "", ""
        return word


def finished(text: str) -> Iterator[tuple[int, int, int]]:
    """Of each finished word: where it begins, where it ends, and the character that finished it."""
    for found in WORD.finditer(text):
        end = found.end()
        by = end + 1 if text[end : end + 1] in tuple(APOSTROPHES) else end
        if by < len(text):
            yield found.start(), end, by


def spread(text: str, letters: Callable[[str], Sequence[int]]) -> NDArray[np.int64]:
    """Tags of a whole text, (len(text),), when ``letters(word)`` gives those of a word; asked once a distinct word."""
    labels = np.zeros(len(text), dtype=np.int64)
    known: dict[str, NDArray[np.int64]] = {}
    starts, pieces = [], []
    for found in WORD.finditer(text):
        word = found.group()
        piece = known.get(word)
        if piece is None:
            piece = known[word] = np.asarray(letters(word), dtype=np.int64)
            assert len(piece) == len(word), word
        starts.append(found.start())
        pieces.append(piece)
    if pieces:
        lengths = np.array([len(p) for p in pieces])
        before = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        labels[np.repeat(np.array(starts) - before, lengths) + np.arange(lengths.sum())] = np.concatenate(pieces)
    return labels


def word_start(text: str, end: int) -> int:
    """Where one must begin to read ``text[:end]``, end >= 1, to find its last word as the whole text has it."""
    start = end
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in APOSTROPHES):
        start -= 1
    return min(start, end - 1)


def sentences(text: str) -> Iterator[list[tuple[int, int]]]:
    """The words of each sentence, as (begin, end). Between two sentences stands an end; nothing else matters."""
    words: list[tuple[int, int]] = []
    for found in WORD.finditer(text):
        if words and SENTENCE_END.search(text, words[-1][1], found.start()):
            yield words
            words = []
        words.append(found.span())
    if words:
        yield words


def sentence_start(text: str, end: int) -> int:
    """Where one must begin to read ``text[:end]``, end >= 1, to find the sentence of its last word."""
    start = max(0, end - _REACH)
    while True:
        words = list(WORD.finditer(text, start, end))
        # What begins the window may be the end of a word; only ends of sentences between here and the word count.
        before = words[-1].start() if words else end
        ends = [found.end() for found in SENTENCE_END.finditer(text, start, before)]
        if ends or start == 0:
            return min(ends[-1] if ends else 0, end - 1)
        start = max(0, start - _REACH)
