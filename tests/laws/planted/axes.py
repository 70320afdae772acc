"""Faults between text and tags: what makes a tag know of letters to come. The pipeline law must catch every one.

Each gives ``prepare(text) -> (predictor, ids)``: the tags are made from the text as a careless experimenter would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from laws.cases import shaken
from semagram.layouts import Axis, Causal, Completed, Oracle, Streams, Visibility
from semagram.models import Transformer
from semagram.models.tagged import network_of
from semagram.predictors.labelled import Labelled, LabelledPredictor, labelled, labelled_predictor
from semagram.predictors.tags_of_tokens import UNKNOWN
from semagram.text import Characters
from semagram.text.labels import CharacterClass, Checksum, PartOfSpeech, PositionInWord, TextLabeller

TEXT = "the nation was told of it, and the nations' actions moved; 12 were able to.\nSo they did it gladly, again."
TOKENIZER = Characters().train(TEXT)

Prepare = Callable[[str], tuple[Any, np.ndarray]]


def predictor_of(*axes: Axis, length: int = 40) -> LabelledPredictor:
    """An untrained network with axes, nothing left at zero."""
    torch.manual_seed(0)
    layout = Streams(length, tags=axes)
    config = Transformer(width=16, depth=1)
    network = network_of(config, TOKENIZER.vocabulary_size, layout, Visibility.CAUSAL)
    return labelled_predictor(labelled(shaken(network).eval(), layout, TOKENIZER), layout)


def told(*axes: Axis) -> Prepare:
    """Tags of the whole text, made when the text is there."""
    predictor = predictor_of(*axes)
    return lambda text: (predictor.knowing(TOKENIZER.encode(text)), TOKENIZER.encode(text))


def plain(*axes: Axis) -> Prepare:
    """Tags made from ids by the predictor itself."""
    predictor = predictor_of(*axes)
    return lambda text: (predictor, TOKENIZER.encode(text))


@dataclass(frozen=True)
class Lying(TextLabeller):
    """Reads the whole word (or the whole text) and says that it reads no further."""

    of: Any
    kind_of_alignment = "running"

    def names(self) -> tuple[str, ...]:
        return self.of.names()

    def label(self, text: str) -> np.ndarray:
        return self.of.label(text)

    def reader(self) -> Any:
        return _Reader(self)


class _Reader:
    def __init__(self, of: Any) -> None:
        self.of, self.text = of, ""

    def read(self, char: str) -> int:
        self.text += char
        return int(self.of.label(self.text)[-1])


@dataclass(frozen=True)
class Commonness(TextLabeller):
    """How common a letter is in the text that is labelled: a statistic of a whole corpus."""

    def names(self) -> tuple[str, ...]:
        return "none", "rare", "common"

    def label(self, text: str) -> np.ndarray:
        counts = Counter(text)
        return np.array([1 + (counts[c] > len(text) / 20) for c in text], dtype=np.int64)


class OffByOne(Labelled):
    """Shows slot i the tags of the letter it is asked for."""

    def _whole(self, rows: np.ndarray, known: int, count: int, offsets: np.ndarray, start: int) -> np.ndarray:
        tags = super()._whole(rows, known, count, offsets, start)
        later = np.full_like(tags, UNKNOWN)
        later[:, :-1] = tags[:, 1:]
        return later


def off_by_one() -> Prepare:
    """Delay -1."""
    sound = predictor_of(Axis("kind", CharacterClass(), Causal()))
    wrong = LabelledPredictor(OffByOne(sound.network.network, sound.network.pieces), sound.layout)
    return lambda text: (wrong, TOKENIZER.encode(text))


FAULTS: dict[str, Callable[[], Prepare]] = {
    "aligned part of speech": lambda: told(Axis("pos", PartOfSpeech(), Oracle(allow_oracle=True))),
    "aligned checksum": lambda: told(Axis("sum", Checksum(of=PartOfSpeech()), Oracle(allow_oracle=True))),
    "a tagger of the whole corpus": lambda: plain(Axis("common", Lying(Commonness()), Causal())),
    "delay off by one": off_by_one,
    "tag of the unfinished word": lambda: plain(Axis("pos", Lying(PartOfSpeech()), Completed())),
}

SOUND: dict[str, Callable[[], Prepare]] = {
    "completed part of speech": lambda: plain(Axis("pos", PartOfSpeech(), Completed())),
    "completed checksum": lambda: plain(Axis("sum", Checksum(of=PartOfSpeech()), Completed())),
    "running classes, delayed": lambda: plain(
        Axis("kind", CharacterClass(), Causal(), delay=1), Axis("place", PositionInWord(), Causal())
    ),
    "the same told as an oracle, of what is past": lambda: told(
        Axis("kind", CharacterClass(), Oracle(allow_oracle=True))
    ),
}
