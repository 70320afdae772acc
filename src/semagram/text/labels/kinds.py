"""The labellers that say something of a text by themselves; adapters wrap any of them."""

from __future__ import annotations

from semagram.text.labels.brackets import BracketDepth
from semagram.text.labels.character_class import CharacterClass
from semagram.text.labels.morphemes import Morphemes
from semagram.text.labels.part_of_speech import PartOfSpeech
from semagram.text.labels.positions import PositionInLine, PositionInSentence, PositionInWord

Kind = (
    CharacterClass
    | PositionInWord
    | PositionInSentence
    | PositionInLine
    | BracketDepth
    | Morphemes
    | PartOfSpeech
)  # fmt: skip
