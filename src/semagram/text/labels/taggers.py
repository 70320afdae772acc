"""Parts of speech by other people's taggers, which read a sentence as a whole: optional, each with its package.

All give the tags of Universal Dependencies as ``PartOfSpeech`` does, and are given the words of a sentence without its
punctuation. They look ahead to the end of the sentence; ``Finished`` gives them nothing behind the word to read.

| labeller | package | licence | needs a download | coarse accuracy, UD English-EWT test |
|---|---|---|---|---|
| ``HanTaTags`` | HanTa 1.2.1 | LGPL-3 | no | 0.929 |
| ``TextBlobTags`` | textblob 0.20.1 | MIT | no | 0.910 |
| ``SpacyTags`` | spacy 3.8 and a model | MIT | the model | 0.957 (en_core_web_sm) |
| ``NltkTags`` | nltk 3.10 | Apache-2.0 | averaged_perceptron_tagger_eng | not measured |

(Accuracies: gold tokens with punctuation, 25,094 of them; AUX/VERB, PROPN/NOUN, SCONJ/PART/ADP, DET/PRON merged.)
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, SentenceLabeller
from semagram.text.labels.tagsets import C5, PENN
from semagram.text.labels.universal import TAGS, tag_of


@dataclass(frozen=True)
class HanTaTags(SentenceLabeller):
    """The Hannover tagger (Wartena 2019)."""

    def names(self) -> tuple[str, ...]:
        """none and the fourteen tags of words."""
        return (NONE, *TAGS)

    def tags(self, words: Sequence[str]) -> list[int]:
        """One tag a word."""
        found = _hanta().tag_sent(list(words), taglevel=1)
        # Inflections and unknown names come as C5 with additions in brackets: "VV(VVD)".
        return [tag_of(C5.get(str(tag).split("(")[-1].strip(")"), "")) for _, _, tag in found]


@dataclass(frozen=True)
class TextBlobTags(SentenceLabeller):
    """TextBlob's pattern tagger: Brill's lexicon and rules of context."""

    def names(self) -> tuple[str, ...]:
        """none and the fourteen tags of words."""
        return (NONE, *TAGS)

    def tags(self, words: Sequence[str]) -> list[int]:
        """One tag a word."""
        found = _textblob().tag(" ".join(words), tokenize=False)
        return [tag_of(PENN.get(tag.split("-")[0], "")) for _, tag in found]


@dataclass(frozen=True)
class NltkTags(SentenceLabeller):
    """NLTK's averaged perceptron."""

    def names(self) -> tuple[str, ...]:
        """none and the fourteen tags of words."""
        return (NONE, *TAGS)

    def tags(self, words: Sequence[str]) -> list[int]:
        """One tag a word."""
        nltk = _package("nltk", "nltk")
        try:
            found = nltk.pos_tag(list(words))
        except LookupError:
            raise UserError(
                "NLTK's tagger needs its data: python -m nltk.downloader averaged_perceptron_tagger_eng."
            ) from None
        return [tag_of(PENN.get(tag, "")) for _, tag in found]


@dataclass(frozen=True)
class SpacyTags(SentenceLabeller):
    """A spaCy model."""

    model: str = "en_core_web_sm"
    """Its name, installed beforehand (``python -m spacy download en_core_web_sm``)."""

    def names(self) -> tuple[str, ...]:
        """none and the fourteen tags of words."""
        return (NONE, *TAGS)

    def tags(self, words: Sequence[str]) -> list[int]:
        """One tag a word."""
        model = _spacy(self.model)
        document = model(_package("spacy.tokens", "spacy").Doc(model.vocab, words=list(words)))
        return [tag_of(token.pos_) for token in document]


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"this tagger needs the package {package}: pip install {package}.") from None


@cache
def _hanta() -> Any:
    return _package("HanTa.HanoverTagger", "HanTa").HanoverTagger("morphmodel_en.pgz")


@cache
def _textblob() -> Any:
    return _package("textblob.en.taggers", "textblob").PatternTagger()


@cache
def _spacy(name: str) -> Any:
    spacy = _package("spacy", "spacy")
    try:
        return spacy.load(name, exclude=["parser", "ner", "lemmatizer"])
    except OSError:
        raise UserError(f"there is no spaCy model {name!r} here: python -m spacy download {name}.") from None
