"""Lexemes and lemmas, by simplemma: which dictionary word a word is a form of, and how the form is made from it.

``Lexeme`` names the dictionary word: those in ``lexemes`` by a tag each, all others by one of ``slots`` shared tags (a
hash). ``Lemma`` names the change that leads from the word to its lemma: "-ed" walked to walk, "-ies +y" cities to city,
"same", or "other" for changes that are not among the common ones. Both read a word by itself and as a whole.

Needs the package simplemma, MIT (``pip install 'semagram[annotate]'``). Lemmas right on the test split of UD
English-EWT, alphabetic tokens: 0.977 with simplemma 2.0.0 (its tables may have seen that treebank).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, WordLabeller
from semagram.text.labels.words import WORD

CHANGES = (
    "same", "-s", "-es", "-ed", "-d", "-ing", "-ing +e", "-ied +y", "-ies +y", "-er", "-r", "-est", "-st", "-ier +y",
    "-iest +y", "-ning", "-ned", "-ting", "-ted", "-ping", "-ped", "-ging", "-ged", "-ding", "-ded", "-ming", "-med",
    "-ring", "-red", "-bing", "-bed", "-ling", "-led", "-n", "-en", "-t", "-ves +f", "-ves +fe", "-men +man", "other",
)  # fmt: skip
"""What is taken from the end of a word and what is put there to make its lemma."""


def simplemma() -> Any:
    """The package; ``UserError`` saying how to get it."""
    try:
        import simplemma  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("lemmas need the package simplemma: pip install 'semagram[annotate]'.") from None
    return simplemma


@lru_cache(maxsize=200_000)
def lemma_of(word: str, language: str) -> str:
    """The lemma of a word, in lower case."""
    return str(simplemma().lemmatize(word.lower(), lang=language)).lower()


@dataclass(frozen=True)
class Lexeme(WordLabeller):
    """Which dictionary word a word is a form of."""

    lexemes: tuple[str, ...] = ()
    """Lemmas in lower case that have a tag of their own; ``Lexeme.of(text)`` takes the frequent ones of a text."""
    slots: int = 255
    """Tags that all others share; 0: they have none."""
    language: str = "en"
    """A language that simplemma knows, by its ISO 639-1 code."""

    def __post_init__(self) -> None:
        if self.slots < 0 or not self.slots + len(self.lexemes):
            raise UserError(f"lexemes need a table or at least 1 slot, got {self.slots} slots and no table.")
        if len(set(self.lexemes)) < len(self.lexemes):
            raise UserError("each lexeme must be given once.")
        _check_language(self.language)

    @classmethod
    def of(cls, text: str, most: int = 500, slots: int = 255, language: str = "en") -> Lexeme:
        """With the ``most`` frequent lexemes of ``text``."""
        counts = Counter(lemma_of(word, language) for word in WORD.findall(text))
        return cls(tuple(sorted(counts, key=lambda lemma: (-counts[lemma], lemma))[:most]), slots, language)

    def names(self) -> tuple[str, ...]:
        """none, the lexemes, then "lexeme slot 1", ..."""
        return (NONE, *self.lexemes, *(f"lexeme slot {i}" for i in range(1, self.slots + 1)))

    def letters(self, word: str) -> Sequence[int]:
        """The same tag on each letter."""
        lemma = lemma_of(word, self.language)
        tag = self._tags.get(lemma, 0)
        if tag == 0 and self.slots:
            tag = 1 + len(self.lexemes) + zlib.crc32(lemma.encode("utf-8", "surrogatepass")) % self.slots
        return [tag] * len(word)

    @cached_property
    def _tags(self) -> dict[str, int]:
        return {lemma: 1 + i for i, lemma in enumerate(self.lexemes)}


@dataclass(frozen=True)
class Lemma(WordLabeller):
    """How a word is made from its lemma."""

    language: str = "en"
    """A language that simplemma knows, by its ISO 639-1 code."""

    def __post_init__(self) -> None:
        _check_language(self.language)

    def names(self) -> tuple[str, ...]:
        """none, then ``CHANGES``."""
        return (NONE, *CHANGES)

    def letters(self, word: str) -> Sequence[int]:
        """The same tag on each letter."""
        change = change_of(word.lower(), lemma_of(word, self.language))
        return [1 + CHANGES.index(change if change in CHANGES else "other")] * len(word)


def change_of(word: str, lemma: str) -> str:
    """What is taken from the end of ``word`` and what is put there to make ``lemma``: "-ies +y"; "same" for nothing."""
    if word == lemma:
        return "same"
    common = next((i for i, (a, b) in enumerate(zip(word, lemma, strict=False)) if a != b), min(len(word), len(lemma)))
    if word.endswith("men") and lemma == word[:-3] + "man":  # a whole ending reads better than "-en +an"
        return "-men +man"
    taken, put = word[common:], lemma[common:]
    return " ".join(part for part in (f"-{taken}" if taken else "", f"+{put}" if put else "") if part)


def _check_language(language: str) -> None:
    if len(language) not in (2, 3) or not language.isalpha() or language != language.lower():
        raise UserError(f"a language is given by its code of two or three letters, got {language!r}.")
