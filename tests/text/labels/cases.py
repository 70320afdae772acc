"""Every labeller of the union, ready to be walked, and texts to walk over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import hypothesis.strategies as st

from semagram.config import members
from semagram.text.labels import (
    BracketDepth,
    CharacterClass,
    Checksum,
    Document,
    Finished,
    Function,
    HanTaTags,
    Kind,
    Labeller,
    Lemma,
    Lexeme,
    Marked,
    Morphemes,
    NltkTags,
    Noise,
    PartOfSpeech,
    PositionInLine,
    PositionInSentence,
    Rules,
    Running,
    SpacyTags,
    Speaker,
    TextBlobTags,
    TextLabeller,
    WordFrequency,
)
from semagram.text.labels.contract import NONE, SentenceLabeller

HERE = Path(__file__).parent
DRESSED: dict[type, list[TextLabeller]] = {
    PositionInLine: [PositionInLine(most=4, step=3)],
    Speaker: [Speaker(("ROMEO",), slots=3)],
    Document: [Document(separator="\n\n")],
    Marked: [Marked((("ROMEO:", "play"), ("Chapter 3", "book")))],
    WordFrequency: [WordFrequency(("the", "walk"), first=1)],
    PartOfSpeech: [PartOfSpeech(), PartOfSpeech(coarse=True)],
    Rules: [Rules(), Rules((("end", r"ing$"), ("pair", r"(\w)\s\w")), unit="text")],
    Function: [
        Function(f"{HERE / 'by_hand.py'}:vowels_so_far", causal_by_promise=True),
        Function(f"{HERE / 'by_hand.py'}:before_a_vowel"),
    ],
    Finished: [Finished(PartOfSpeech()), Finished(Morphemes()), Finished(BracketDepth()), Finished(CharacterClass())],
    Running: [Running(PartOfSpeech()), Running(Morphemes()), Running(Rules())],
    Checksum: [
        Checksum(Morphemes()),
        Checksum(Finished(PartOfSpeech())),
        Checksum(Running(Morphemes())),
        Checksum(PositionInSentence()),
    ],
    Noise: [Noise(Morphemes()), Noise(Finished(), seed=3)],
}
"""Those that need to be told more than their class."""

NEEDS = {
    Lexeme: "simplemma",
    Lemma: "simplemma",
    HanTaTags: "HanTa",
    TextBlobTags: "textblob",
    NltkTags: "nltk",
    SpacyTags: "en_core_web_sm",
}
"""Package that a labeller cannot work without."""


@dataclass(frozen=True)
class Neighbours(SentenceLabeller):
    """A toy that reads the whole sentence: how many words it has, and which of them this is."""

    def names(self) -> tuple[str, ...]:
        return (NONE, *map(str, range(1, 10)))

    def tags(self, words: Sequence[str]) -> list[int]:
        return [1 + (3 * len(words) + i) % 9 for i in range(len(words))]


def there(kind: type) -> bool:
    """Whether the package that it needs is installed."""
    return kind not in NEEDS or find_spec(NEEDS[kind]) is not None


def cases() -> list[TextLabeller]:
    """At least one of every member of the union that can work here."""
    return [case for kind in members(Labeller) if there(kind) for case in DRESSED.get(kind) or [kind()]]


def kinds() -> list[TextLabeller]:
    """One of every labeller that says something by itself, and one that reads sentences."""
    return [*((DRESSED.get(kind) or [kind()])[0] for kind in members(Kind) if there(kind)), Neighbours()]


def label(case: TextLabeller) -> str:
    """A name for a test."""
    of = getattr(case, "of", None)
    return type(case).__name__ + (f"({label(of)})" if of is not None else "")


_PIECES = """the Un walk ing don 't ' \u2019 . ! ? ( )] [ : ROMEO: Chapter 3 \u00e9 \u8a9e \u0130 \U0001f642
_ ed dogs' s , " -"""
PIECES = st.sampled_from([*_PIECES.split(), " ", " ", "  ", "\n", "\n\n", ". ", "! ", "\t", "    ", "x = 1", "\r\n"])
TEXTS = st.lists(PIECES, max_size=14).map("".join)
