"""Where a character stands: its place in the word, the word's place in the sentence, its place in the line.

All causal, and counted from 1 up to ``most``; what is further is told as ``most``. 0 stands for what is in no word, in
no sentence, or is the line feed itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, LabelReader, PrefixLabeller
from semagram.text.labels.words import APOSTROPHES, WordReader


@dataclass(frozen=True)
class PositionInWord(PrefixLabeller):
    """1 on the first letter of a word, 2 on the second, and so on."""

    most: int = 12
    """Letters that are told apart."""

    def __post_init__(self) -> None:
        _check(self.most)

    def names(self) -> tuple[str, ...]:
        """none, letter 1, ..."""
        return _numbered("letter", self.most)

    def reader(self) -> LabelReader:
        """It remembers the word so far."""
        return _InWord(self.most)


@dataclass(frozen=True)
class PositionInSentence(PrefixLabeller):
    """1 on the first word of a sentence and what follows it, 2 on the second, and so on."""

    most: int = 31
    """Words that are told apart."""

    def __post_init__(self) -> None:
        _check(self.most)

    def names(self) -> tuple[str, ...]:
        """none, word 1, ..."""
        return _numbered("word", self.most)

    def reader(self) -> LabelReader:
        """It counts the words since the last end of a sentence."""
        return _InSentence(self.most)


@dataclass(frozen=True)
class PositionInLine(PrefixLabeller):
    """1 on the first ``step`` characters of a line, 2 on the next, and so on; 0 on the line feed."""

    most: int = 40
    """Places that are told apart."""
    step: int = 2
    """Characters that share a place."""

    def __post_init__(self) -> None:
        _check(self.most)
        if self.step < 1:
            raise UserError(f"a place in a line must be at least 1 character wide, got {self.step}.")

    def names(self) -> tuple[str, ...]:
        """none, place 1, ..."""
        return _numbered("place", self.most)

    def reader(self) -> LabelReader:
        """It counts the characters since the line feed."""
        return _InLine(self.most, self.step)


def _check(most: int) -> None:
    if most < 1:
        raise UserError(f"positions must be counted to at least 1, got {most}.")


def _numbered(what: str, most: int) -> tuple[str, ...]:
    return (NONE, *(f"{what} {i}" for i in range(1, most + 1)))


class _InWord:
    def __init__(self, most: int) -> None:
        self.most = most
        self.words = WordReader()

    def read(self, char: str) -> int:
        self.words.read(char)
        return min(len(self.words.word), self.most) if char.isalnum() else 0


class _InSentence:
    def __init__(self, most: int) -> None:
        self.most = most
        self.words = WordReader()
        self.count = 0
        self.stopped = False
        """A mark that ends a sentence was the last thing read, closing quotes apart."""
        self.blank = False
        """Nothing but white space was read since the last line feed."""

    def read(self, char: str) -> int:
        inside = bool(self.words.word)
        self.words.read(char)
        if char.isalnum():
            self.count += not inside
            self.stopped = self.blank = False
        elif char.isspace():
            if self.stopped or (char == "\n" and self.blank):
                self.count = 0
            self.stopped = False
            self.blank = char == "\n" or self.blank
        else:
            self.stopped = char in ".!?" or (self.stopped and (char in APOSTROPHES or char in '"”)]'))
            self.blank = False
        return min(self.count, self.most)


class _InLine:
    def __init__(self, most: int, step: int) -> None:
        self.most, self.step = most, step
        self.column = 0

    def read(self, char: str) -> int:
        if char == "\n":
            self.column = 0
            return 0
        self.column += 1
        return min((self.column + self.step - 1) // self.step, self.most)
