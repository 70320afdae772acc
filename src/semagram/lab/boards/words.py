"""Word squares: the rows are words, and so are the columns (the same words, read downwards).

The word list is the caller's, by default the words of the text that ships with Python. Squares are found by search with
prefixes, in random order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from semagram.errors import UserError
from semagram.lab.boards.contract import hidden_at_random

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class WordSquare:
    """``side`` words of ``side`` letters."""

    side: int = 3
    """Letters of a word, and words."""
    words: tuple[str, ...] = ()
    """Lower-case words to choose from (others are left out); none: those of the text that ships with Python."""
    share: float = 0.5
    """Of the cells of a puzzle, those that are hidden."""

    def __post_init__(self) -> None:
        if self.side < 2 or not 0.0 < self.share <= 1.0:
            raise UserError(f"a word square has a side of at least 2 and hides a share of (0, 1], got {self}.")

    @property
    def height(self) -> int:
        """Rows."""
        return self.side

    @property
    def width(self) -> int:
        """Columns."""
        return self.side

    @property
    def symbols(self) -> str:
        """Letters."""
        return LETTERS

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        listed = self.words or _words_of_python()
        return tuple(sorted({w for w in listed if len(w) == self.side and set(w) <= set(LETTERS)}))

    @cached_property
    def _by_prefix(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for word in self._listed:
            for end in range(self.side + 1):
                found[word[:end]].append(word)
        return dict(found)

    def boards(self, count: int, seed: int) -> np.ndarray:
        """Squares; ``UserError`` if the words allow none."""
        random = np.random.default_rng((seed, 0))
        found = []
        for _ in range(count):
            square = self._grown([], random)
            if square is None:
                raise UserError(f"no word square of {self.side} can be made of {len(self._listed)} words.")
            found.append([LETTERS.index(letter) for word in square for letter in word])
        return np.array(found, dtype=np.int64).reshape(count, -1)

    def _grown(self, square: list[str], random: np.random.Generator) -> list[str] | None:
        row = len(square)
        if row == self.side:
            return square
        fitting = self._by_prefix.get("".join(word[row] for word in square), [])
        for i in random.permutation(len(fitting)):
            if (found := self._grown([*square, fitting[i]], random)) is not None:
                return found
        return None

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Letters hidden at random; several squares may fit."""
        boards = self.boards(count, seed)
        return hidden_at_random(boards, self.share, seed), boards

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """Every row and every column is a listed word."""
        listed = set(self._listed)
        return np.array(
            [
                all("".join(LETTERS[i] for i in line) in listed for line in (*square, *square.T))
                for square in boards.reshape(-1, self.side, self.side)
            ],
            dtype=bool,
        )


def _words_of_python() -> tuple[str, ...]:
    """Words that stand at least twice, in small letters, in the language reference's topics."""
    from pydoc_data.topics import topics

    counts = Counter(re.findall(r"\b[a-z]+\b", " ".join(topics.values())))
    return tuple(word for word, times in counts.items() if times > 1)
