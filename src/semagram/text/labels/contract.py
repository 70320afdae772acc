"""What a labeller is: a function from a text to one tag per character, which says how much of the text it reads.

A labeller is a frozen configuration that labels by itself; there is nothing to train and nothing to hold. Tags are
whole numbers 0..v-1, 0 meaning *none* or *unknown*; their names are fixed before a text is seen. ``alignment`` says
what the tag of character t is computed from:

    "running"    text[: t + 1], so that the tag is known as soon as the character is: causal
    "finished"   the last word that was finished by then, read without what follows it: causal
    "whole"      the whole text: it may know of letters to come, and tells them to whoever reads it

For a causal labeller label(text[:n]) == label(text)[:n] for every n, and it has a *reader* that is given the text a
character at a time while the text is being written. Four kinds, by what a labeller is made from: ``TextLabeller``
(anything), ``PrefixLabeller`` (a reader), ``WordLabeller`` (each word by itself), ``SentenceLabeller`` (the words of a
sentence). ``peek.py`` measures whether a labeller keeps its word; the tests do so for the whole union.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.text.labels.words import sentence_start, sentences, spread, word_start

Tags = NDArray[np.int64]
Alignment = Literal["whole", "finished", "running"]
NONE = "none"
"""The name of tag 0."""


class LabelReader(Protocol):
    """Labels a text while it is being written."""

    def read(self, char: str) -> int:
        """The tag of ``char``, the character that comes next."""
        ...


class TextLabeller(ABC):
    """A labeller of any kind; what it reads is the whole text unless it says otherwise."""

    kind_of_alignment: ClassVar[Alignment] = "whole"

    @property
    def alignment(self) -> Alignment:
        """What the tag of a character is computed from."""
        return self.kind_of_alignment

    @property
    def causal(self) -> bool:
        """Whether a tag depends on nothing that follows its character."""
        return self.alignment != "whole"

    @property
    def vocabulary_size(self) -> int:
        """v: how many tags there are, ``none`` among them."""
        return len(self.names())

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What each tag is called; the first is "none"."""

    @abstractmethod
    def label(self, text: str) -> Tags:
        """The tag of each character, shape (len(text),), values 0..v-1."""

    def context(self, text: str, end: int) -> int:
        """Where one must begin to read: ``label(text[:end])[-1] == label(text[context:end])[-1]``."""
        return 0

    def last(self, text: str, end: int) -> int:
        """The tag of the last character of ``text[:end]``, when nothing follows it; ``end`` is at least 1."""
        return int(self.label(text[self.context(text, end) : end])[-1])

    def reader(self) -> LabelReader:
        """A reader at the beginning of a text. ``UserError`` for a labeller that reads the whole text."""
        raise UserError(
            f"{type(self).__name__} labels a text that is there as a whole; while a text is being written, "
            f"use Finished({type(self).__name__}()) or Running({type(self).__name__}())."
        )


class PrefixLabeller(TextLabeller):
    """A labeller that is its reader: causal by construction."""

    kind_of_alignment = "running"

    @abstractmethod
    def reader(self) -> LabelReader:
        """A reader at the beginning of a text."""

    def label(self, text: str) -> Tags:
        """What the reader says, character by character."""
        read = self.reader().read
        return np.fromiter((read(char) for char in text), np.int64, len(text))


class WordLabeller(TextLabeller):
    """A labeller of words, each by itself; what is between words has no tag."""

    @abstractmethod
    def letters(self, word: str) -> Sequence[int]:
        """The tag of each letter of ``word``."""

    def label(self, text: str) -> Tags:
        """Each distinct word is labelled once."""
        return spread(text, self.letters)

    def context(self, text: str, end: int) -> int:
        """Where the last word begins."""
        return word_start(text, end)


class SentenceLabeller(TextLabeller):
    """A labeller of the words of a sentence together; every letter of a word has the word's tag."""

    @abstractmethod
    def tags(self, words: Sequence[str]) -> Sequence[int]:
        """The tag of each word of one sentence."""

    def label(self, text: str) -> Tags:
        """Sentence by sentence."""
        labels = np.zeros(len(text), dtype=np.int64)
        for places in sentences(text):
            found = self.tags([text[start:end] for start, end in places])
            for (start, end), tag in zip(places, found, strict=True):
                labels[start:end] = tag
        return labels

    def context(self, text: str, end: int) -> int:
        """Where the last sentence begins."""
        return sentence_start(text, end)
