"""Every labeller of the union, ready to be walked, and texts to walk over."""

from __future__ import annotations

import hypothesis.strategies as st

from semagram.config import members
from semagram.text.labels import (
    BracketDepth,
    CharacterClass,
    Checksum,
    Finished,
    Kind,
    Labeller,
    Morphemes,
    Noise,
    PartOfSpeech,
    PositionInSentence,
    Running,
    TextLabeller,
)

DRESSED: dict[type, list[TextLabeller]] = {
    Finished: [Finished(PartOfSpeech()), Finished(Morphemes()), Finished(BracketDepth()), Finished(CharacterClass())],
    Running: [Running(PartOfSpeech()), Running(Morphemes())],
    Checksum: [
        Checksum(Morphemes()),
        Checksum(Finished(PartOfSpeech())),
        Checksum(Running(Morphemes())),
        Checksum(PositionInSentence()),
    ],
    Noise: [Noise(Morphemes()), Noise(Finished(), seed=3)],
}
"""Those that need to be told more than their class."""


def cases() -> list[TextLabeller]:
    """At least one of every member of the union."""
    return [case for kind in members(Labeller) for case in DRESSED.get(kind) or [kind()]]


def kinds() -> list[TextLabeller]:
    """One of every labeller that says something by itself."""
    return [(DRESSED.get(kind) or [kind()])[0] for kind in members(Kind)]


def label(case: TextLabeller) -> str:
    """A name for a test."""
    of = getattr(case, "of", None)
    return type(case).__name__ + (f"({label(of)})" if of is not None else "")


_PIECES = """the Un walk ing don 't ' \u2019 . ! ? ( )] [ : ROMEO: Chapter 3 \u00e9 \u8a9e \u0130 \U0001f642 _ ed dogs' s , " -"""
PIECES = st.sampled_from([*_PIECES.split(), " ", " ", "  ", "\n", "\n\n", ". ", "! ", "\t", "    ", "x = 1", "\r\n"])
TEXTS = st.lists(PIECES, max_size=14).map("".join)
