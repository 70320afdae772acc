"""Labellers made of labellers: two that take the look-ahead away, and two controls that mean nothing.

``Finished(of)`` carries the tag of the last finished word, read without right context, on every character until the
next word is finished. ``Running(of)`` labels every prefix anew and keeps its last tag: exact, and slow where ``of``
reads far back. Both are causal whatever ``of`` is. ``Checksum(of)`` replaces what ``of`` says by a hash of the word,
with as many tags and known at the same time; ``Noise(of)`` by a number drawn for each place. A gain that a checksum
has as well is no gain: its tags only tell which letters come. Tested against their definitions: the first two label
every prefix by ``of.label``, and a change of what follows moves none of the tags of all four.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from semagram.errors import UserError
from semagram.text.labels.contract import (
    NONE,
    Alignment,
    LabelReader,
    PrefixLabeller,
    Tags,
    TextLabeller,
    WordLabeller,
)
from semagram.text.labels.kinds import Kind
from semagram.text.labels.part_of_speech import PartOfSpeech
from semagram.text.labels.words import APOSTROPHES, WordReader, finished, spread


@dataclass(frozen=True)
class Finished(TextLabeller):
    """The tag of the last letter of the last finished word; 0 before the first word is finished."""

    of: Kind = field(default_factory=PartOfSpeech)
    """Whose tag."""
    kind_of_alignment = "finished"

    def names(self) -> tuple[str, ...]:
        """Those of ``of``."""
        return self.of.names()

    def label(self, text: str) -> Tags:
        """(len(text),)"""
        return _finished(self.of, text)

    def reader(self) -> LabelReader:
        """It remembers the word, or as much of the text as ``of`` reads."""
        return _FinishedReader(self.of)


@dataclass(frozen=True)
class Running(TextLabeller):
    """The tag that a character has when nothing follows it: label(text[: t + 1])[t]."""

    of: Kind = field(default_factory=PartOfSpeech)
    """Whose tag; one that is causal by itself is refused."""
    kind_of_alignment = "running"

    def __post_init__(self) -> None:
        if self.of.causal:
            raise UserError(f"{type(self.of).__name__} is causal: Running would change nothing, leave it out.")

    def names(self) -> tuple[str, ...]:
        """Those of ``of``."""
        return self.of.names()

    def label(self, text: str) -> Tags:
        """(len(text),)"""
        return _running(self.of, text)

    def reader(self) -> LabelReader:
        """It remembers as much of the text as ``of`` reads."""
        return _RunningReader(self.of)


@dataclass(frozen=True)
class Checksum(TextLabeller):
    """A hash of the word (of its letters so far, of the last finished word) with as many tags as ``of``."""

    of: Kind | Finished | Running = field(default_factory=PartOfSpeech)
    """Whose number of tags, and when they are known."""

    @property
    def alignment(self) -> Alignment:
        """That of ``of``."""
        return self.of.alignment

    def names(self) -> tuple[str, ...]:
        """none, hash 1, ..., as many as ``of`` has."""
        return (NONE, *(f"hash {i}" for i in range(1, self.of.vocabulary_size)))

    def label(self, text: str) -> Tags:
        """(len(text),)"""
        words = _Hash(self.of.vocabulary_size)
        if self.alignment == "whole":
            return words.label(text)
        return (_finished if self.alignment == "finished" else _running)(words, text)

    def context(self, text: str, end: int) -> int:
        """The word's, where the tag is that of the word."""
        return _Hash(self.of.vocabulary_size).context(text, end) if self.alignment == "whole" else 0

    def reader(self) -> LabelReader:
        """That of ``Finished`` or ``Running``."""
        if not self.causal:
            raise UserError(
                f"Checksum({type(self.of).__name__}()) reads the whole word; while a text is being written, use "
                f"Checksum(Finished({type(self.of).__name__}()))."
            )
        words = _Hash(self.of.vocabulary_size)
        return (_FinishedReader if self.alignment == "finished" else _RunningReader)(words)


@dataclass(frozen=True)
class Noise(PrefixLabeller):
    """A tag that was drawn for the place, whatever stands there: independent, uniform over 1..v-1."""

    of: Kind | Finished | Running = field(default_factory=PartOfSpeech)
    """Whose number of tags."""
    seed: int = 0
    """Equal seeds give equal tags, others others."""

    def names(self) -> tuple[str, ...]:
        """none, noise 1, ..., as many as ``of`` has."""
        return (NONE, *(f"noise {i}" for i in range(1, self.of.vocabulary_size)))

    def label(self, text: str) -> Tags:
        """(len(text),): the places 0..n-1."""
        return _drawn(self.seed, np.arange(len(text)), self.of.vocabulary_size)

    def reader(self) -> LabelReader:
        """It counts the characters."""
        return _NoiseReader(self.seed, self.of.vocabulary_size)


@dataclass(frozen=True)
class _Hash(WordLabeller):
    size: int

    def names(self) -> tuple[str, ...]:
        return (NONE, *map(str, range(1, self.size)))

    def letters(self, word: str) -> Sequence[int]:
        tag = 1 + zlib.crc32(word.encode("utf-8", "surrogatepass")) % (self.size - 1) if self.size > 1 else 0
        return [tag] * len(word)


def _finished(of: TextLabeller, text: str) -> Tags:
    changes, tags = [0], [0]
    own = of.label(text) if of.causal else None
    known: dict[str, int] = {}
    for start, end, by in finished(text):
        if own is not None:
            tag = int(own[end - 1])
        elif isinstance(of, WordLabeller):
            word = text[start:end]
            tag = known.get(word, -1)
            if tag < 0:
                tag = known[word] = of.letters(word)[-1]
        else:
            tag = of.last(text, end)
        changes.append(by)
        tags.append(tag)
    return np.repeat(np.array(tags, dtype=np.int64), np.diff([*changes, len(text)]))


def _running(of: TextLabeller, text: str) -> Tags:
    if isinstance(of, WordLabeller):
        return spread(text, lambda word: _growing(of, word))
    return np.array([of.last(text, end) for end in range(1, len(text) + 1)], dtype=np.int64)


def _growing(of: WordLabeller, word: str) -> list[int]:
    """The tag of each letter of ``word`` while it is the last that was written; an apostrophe there is in no word."""
    return [0 if c in APOSTROPHES else of.letters(word[: i + 1])[i] for i, c in enumerate(word)]


class _FinishedReader:
    def __init__(self, of: TextLabeller) -> None:
        self.of, self.words, self.tag = of, WordReader(), 0
        self.own = of.reader() if of.causal else None
        self.inside = 0
        self.text = ""

    def read(self, char: str) -> int:
        word = self.words.read(char)
        if self.own is not None:
            if word is not None:
                self.tag = self.inside
            tag = self.own.read(char)
            self.inside = tag if char.isalnum() else self.inside
        elif isinstance(self.of, WordLabeller):
            if word is not None:
                self.tag = self.of.letters(word)[-1]
        else:
            if word is not None:
                self.tag = self.of.last(self.text, len(self.text.rstrip(APOSTROPHES)))
                self.text = self.text[self.of.context(self.text, len(self.text)) :]
            self.text += char
        return self.tag


class _RunningReader:
    def __init__(self, of: TextLabeller) -> None:
        self.of, self.text = of, ""

    def read(self, char: str) -> int:
        self.text += char
        tag = self.of.last(self.text, len(self.text))
        self.text = self.text[self.of.context(self.text, len(self.text)) :]
        return tag


class _NoiseReader:
    def __init__(self, seed: int, size: int) -> None:
        self.seed, self.size, self.place = seed, size, -1

    def read(self, char: str) -> int:
        self.place += 1
        return int(_drawn(self.seed, np.array([self.place]), self.size)[0])


def _drawn(seed: int, places: np.ndarray, size: int) -> Tags:
    """SplitMix64 (Steele, Lea and Flood 2014) of seed and place, so that place 10^6 costs no more than place 0."""
    if size < 2:
        return np.zeros(len(places), dtype=np.int64)
    start = np.uint64((seed * 0xD1342543DE82EF95) % 2**64)
    with np.errstate(over="ignore"):
        z = start + (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (1 + z % np.uint64(size - 1)).astype(np.int64)
