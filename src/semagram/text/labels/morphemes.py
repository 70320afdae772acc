"""Morphemes: which prefix or suffix a letter belongs to, by a list of affixes and the place in the word.

The longest prefix of the list is taken at the beginning of a word, then suffixes at its end, the longest first and at
most ``layers`` of them, one before the other (care-ful-ly); what is left is the stem, and never has fewer than
``stem`` letters, a vowel among them. So every letter is in one segment and every affix of the list can be assigned
(tested for each). It labels a word that is there as a whole: the tag of the first letter of "-ing" knows of the other
two. Wrap it in ``Finished`` or ``Running`` to predict with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from semagram.errors import UserError
from semagram.text.labels.affixes import PREFIXES, SUFFIXES
from semagram.text.labels.contract import NONE, WordLabeller

_VOWEL = re.compile("[aeiouy]")


@dataclass(frozen=True)
class Morphemes(WordLabeller):
    """The affix that a letter is part of; 0 on stems and between words."""

    prefixes: tuple[str, ...] = PREFIXES
    """Looked for at the beginning of words, in lower case."""
    suffixes: tuple[str, ...] = SUFFIXES
    """Looked for at the end of words, in lower case."""
    stem: int = 2
    """Letters that a stem has at least."""
    layers: int = 2
    """Suffixes that a word may end in, one before the other."""

    def __post_init__(self) -> None:
        if self.stem < 1 or self.layers < 1:
            raise UserError(f"morphemes need stem and layers of at least 1, got {self.stem} and {self.layers}.")
        for kind, affixes in (("prefix", self.prefixes), ("suffix", self.suffixes)):
            for affix in affixes:
                if not affix or affix != affix.lower() or affixes.count(affix) > 1:
                    raise UserError(f"each {kind} must be in lower case, not empty and given once, got {affix!r}.")

    def names(self) -> tuple[str, ...]:
        """none, the prefixes as "un-", the suffixes as "-ing"."""
        return (NONE, *(f"{p}-" for p in self.prefixes), *(f"-{s}" for s in self.suffixes))

    def segments(self, word: str) -> list[tuple[str, int]]:
        """The pieces of a word in order, each with its tag (0 for the stem); joined they are the word."""
        lower = word.lower().replace("\u2019", "'")
        if len(lower) != len(word):  # a letter whose lower case is two letters
            return [(word, 0)]
        start, end = 0, len(word)
        before: list[tuple[str, int]] = []
        behind: list[tuple[str, int]] = []
        for affix, tag in self._prefixes:
            if lower.startswith(affix) and self._leaves(lower[len(affix) :]):
                start = len(affix)
                before = [(word[:start], tag)]
                break
        for _ in range(self.layers):
            found = self._suffix(lower[start:end])
            if found is None:
                break
            length, tag = found
            behind.insert(0, (word[end - length : end], tag))
            end -= length
        return [*before, (word[start:end], 0), *behind]

    def letters(self, word: str) -> Sequence[int]:
        """The tag of each letter."""
        return [tag for piece, tag in self.segments(word) for _ in piece]

    def _suffix(self, rest: str) -> tuple[int, int] | None:
        for affix, tag in self._suffixes:
            if rest.endswith(affix) and self._leaves(rest[: -len(affix)]):
                return len(affix), tag
        return None

    def _leaves(self, stem: str) -> bool:
        return len(stem) >= self.stem and _VOWEL.search(stem) is not None

    @cached_property
    def _prefixes(self) -> list[tuple[str, int]]:
        return _longest_first(self.prefixes, 1)

    @cached_property
    def _suffixes(self) -> list[tuple[str, int]]:
        return _longest_first(self.suffixes, 1 + len(self.prefixes))


def _longest_first(affixes: Sequence[str], first: int) -> list[tuple[str, int]]:
    return sorted(((affix, first + i) for i, affix in enumerate(affixes)), key=lambda pair: -len(pair[0]))
