"""The labellers that say something of a text by themselves; adapters wrap any of them."""

from __future__ import annotations

from semagram.text.labels.brackets import BracketDepth
from semagram.text.labels.character_class import CharacterClass
from semagram.text.labels.documents import Document, Marked
from semagram.text.labels.frequency import WordFrequency
from semagram.text.labels.function import Function
from semagram.text.labels.lemma import Lemma, Lexeme
from semagram.text.labels.lines import Indentation, LineStart
from semagram.text.labels.morphemes import Morphemes
from semagram.text.labels.part_of_speech import PartOfSpeech
from semagram.text.labels.positions import PositionInLine, PositionInSentence, PositionInWord
from semagram.text.labels.rules import Rules
from semagram.text.labels.speaker import Speaker
from semagram.text.labels.taggers import HanTaTags, NltkTags, SpacyTags, TextBlobTags

Kind = (
    CharacterClass
    | PositionInWord
    | PositionInSentence
    | PositionInLine
    | BracketDepth
    | Indentation
    | LineStart
    | Speaker
    | Document
    | Marked
    | WordFrequency
    | Morphemes
    | PartOfSpeech
    | Lexeme
    | Lemma
    | Rules
    | Function
    | HanTaTags
    | TextBlobTags
    | NltkTags
    | SpacyTags
)
