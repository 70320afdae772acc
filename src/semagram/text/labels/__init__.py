"""Labellers: functions from a text to one tag per character, and how much each of them peeks.

``Labeller`` is the union of all of them: the registry that streams, the command line and the tests read.
"""

from semagram.text.labels.adapters import Checksum, Finished, Noise, Running
from semagram.text.labels.brackets import BracketDepth
from semagram.text.labels.character_class import CharacterClass
from semagram.text.labels.contract import Alignment, LabelReader, Tags, TextLabeller
from semagram.text.labels.documents import Document, Marked
from semagram.text.labels.frequency import WordFrequency
from semagram.text.labels.function import Function
from semagram.text.labels.kinds import Kind
from semagram.text.labels.lemma import Lemma, Lexeme
from semagram.text.labels.lines import Indentation, LineStart
from semagram.text.labels.morphemes import Morphemes
from semagram.text.labels.part_of_speech import PartOfSpeech
from semagram.text.labels.peek import PeekRate, peek_rate
from semagram.text.labels.positions import PositionInLine, PositionInSentence, PositionInWord
from semagram.text.labels.rules import Rules
from semagram.text.labels.speaker import Speaker
from semagram.text.labels.taggers import HanTaTags, NltkTags, SpacyTags, TextBlobTags

Labeller = Kind | Finished | Running | Checksum | Noise

__all__ = [
    "Alignment",
    "BracketDepth",
    "CharacterClass",
    "Checksum",
    "Document",
    "Finished",
    "Function",
    "HanTaTags",
    "Indentation",
    "Kind",
    "LabelReader",
    "Labeller",
    "Lemma",
    "Lexeme",
    "LineStart",
    "Marked",
    "Morphemes",
    "NltkTags",
    "Noise",
    "PartOfSpeech",
    "PeekRate",
    "PositionInLine",
    "PositionInSentence",
    "PositionInWord",
    "Rules",
    "Running",
    "SpacyTags",
    "Speaker",
    "Tags",
    "TextBlobTags",
    "TextLabeller",
    "WordFrequency",
    "peek_rate",
]
