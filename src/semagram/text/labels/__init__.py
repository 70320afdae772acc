"""Labellers: functions from a text to one tag per character, and how much each of them peeks.

``Labeller`` is the union of all of them: the registry that streams, the command line and the tests read.
"""

from semagram.text.labels.adapters import Checksum, Finished, Noise, Running
from semagram.text.labels.brackets import BracketDepth
from semagram.text.labels.character_class import CharacterClass
from semagram.text.labels.contract import Alignment, LabelReader, Tags, TextLabeller
from semagram.text.labels.kinds import Kind
from semagram.text.labels.morphemes import Morphemes
from semagram.text.labels.part_of_speech import PartOfSpeech
from semagram.text.labels.peek import PeekRate, peek_rate
from semagram.text.labels.positions import PositionInLine, PositionInSentence, PositionInWord

Labeller = Kind | Finished | Running | Checksum | Noise

__all__ = [
    "Alignment",
    "BracketDepth",
    "CharacterClass",
    "Checksum",
    "Finished",
    "Kind",
    "LabelReader",
    "Labeller",
    "Morphemes",
    "Noise",
    "PartOfSpeech",
    "PeekRate",
    "PositionInLine",
    "PositionInSentence",
    "PositionInWord",
    "Running",
    "Tags",
    "TextLabeller",
    "peek_rate",
]
