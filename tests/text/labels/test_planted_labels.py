"""Labellers with a fault each, as they are easily written: the law of labels catches every one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from tests.text.labels.promise import keeps_its_word

from semagram.text.labels import LabelReader, Tags, TextLabeller
from semagram.text.labels.contract import PrefixLabeller, SentenceLabeller, WordLabeller
from semagram.text.labels.words import WORD

NAMES = ("none", *map(str, range(1, 10)))
TEXTS = ("The dogs walked. They don't, do they?", "a'b ''c d' e\n\nf (g", "x")


@dataclass(frozen=True)
class WordSaidToBeCausal(WordLabeller):
    """The seed's alignment: the tag of the word on each of its letters, and a claim that nothing peeks."""

    kind_of_alignment = "running"

    def names(self) -> tuple[str, ...]:
        return NAMES

    def letters(self, word: str) -> Sequence[int]:
        return [len(word) % 10] * len(word)

    def reader(self) -> LabelReader:
        raise AssertionError("never reached")


@dataclass(frozen=True)
class FinishedTooSoon(TextLabeller):
    """The last word counts as finished at its own last letter, which only the character after it can tell."""

    kind_of_alignment = "finished"

    def names(self) -> tuple[str, ...]:
        return NAMES

    def label(self, text: str) -> Tags:
        tags = np.zeros(len(text), dtype=np.int64)
        for found in WORD.finditer(text):
            tags[found.end() - 1 :] = len(found.group()) % 10
        return tags


@dataclass(frozen=True)
class ApostropheTooSoon(TextLabeller):
    """An apostrophe finishes a word at once, although a letter may follow and make it part of the word."""

    kind_of_alignment = "finished"

    def names(self) -> tuple[str, ...]:
        return NAMES

    def label(self, text: str) -> Tags:
        tags = np.zeros(len(text), dtype=np.int64)
        for found in WORD.finditer(text):
            tags[found.end() :] = len(found.group()) % 10
        return tags


@dataclass(frozen=True)
class CountedOverTheText(PrefixLabeller):
    """Its reader is honest, its fast path ranks characters by how often the whole text has them."""

    def names(self) -> tuple[str, ...]:
        return NAMES

    def reader(self) -> LabelReader:
        raise AssertionError("never reached")

    def label(self, text: str) -> Tags:
        return np.array([min(text.count(char), 9) for char in text], dtype=np.int64)


class _Late:
    def __init__(self) -> None:
        self.before = 0

    def read(self, char: str) -> int:
        tag, self.before = self.before, int(char.isalpha())
        return tag


@dataclass(frozen=True)
class ReaderOfAnother(PrefixLabeller):
    """Its reader is a character late."""

    def names(self) -> tuple[str, ...]:
        return NAMES

    def reader(self) -> LabelReader:
        return _Late()

    def label(self, text: str) -> Tags:
        return np.array([char.isalpha() for char in text], dtype=np.int64)


@dataclass(frozen=True)
class ContextTooShort(SentenceLabeller):
    """Says that nothing before the last word is read, although its number in the sentence is."""

    def names(self) -> tuple[str, ...]:
        return NAMES

    def tags(self, words: Sequence[str]) -> list[int]:
        return [1 + i % 9 for i in range(len(words))]

    def context(self, text: str, end: int) -> int:
        return end - 1


@dataclass(frozen=True)
class OutOfRange(WordLabeller):
    """More tags than names."""

    def names(self) -> tuple[str, ...]:
        return NAMES[:3]

    def letters(self, word: str) -> Sequence[int]:
        return list(range(len(word)))


FAULTS = (
    WordSaidToBeCausal,
    FinishedTooSoon,
    ApostropheTooSoon,
    CountedOverTheText,
    ReaderOfAnother,
    ContextTooShort,
    OutOfRange,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught(fault: type[TextLabeller]) -> None:
    with pytest.raises(AssertionError) as caught:
        for text in TEXTS:
            keeps_its_word(fault(), text)
    assert "never reached" not in str(caught.value)
