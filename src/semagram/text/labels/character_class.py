"""The class of a character: letter, digit, space, the end of a line, a mark that ends a sentence, and so on.

Causal: a character tells its own class. Unicode categories decide outside ASCII. Tested against its reader.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np

from semagram.text.labels.contract import NONE, LabelReader, PrefixLabeller, Tags

CLASSES = (NONE, "lower", "upper", "letter", "digit", "space", "line", "stop", "pause", "quote", "bracket", "mark")
"""In the order of their tags; ``letter`` has no case, ``mark`` is any other visible sign, ``none`` a control sign."""
_SIGNS = {"\n": "line", **dict.fromkeys(".!?", "stop"), **dict.fromkeys(",;:", "pause")}
_SIGNS |= dict.fromkeys("'\"`\u2018\u2019\u201c\u201d«»", "quote") | dict.fromkeys("()[]{}<>", "bracket")


@dataclass(frozen=True)
class CharacterClass(PrefixLabeller):
    """The class of each character."""

    def names(self) -> tuple[str, ...]:
        """Twelve classes."""
        return CLASSES

    def reader(self) -> LabelReader:
        """It remembers nothing."""
        return _Reader()

    def label(self, text: str) -> Tags:
        """Each distinct character is looked up once, (len(text),)."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        distinct, where = np.unique(points, return_inverse=True)
        tags = np.fromiter((class_of(chr(point)) for point in distinct), np.int64, len(distinct))
        return tags[where]


class _Reader:
    def read(self, char: str) -> int:
        return class_of(char)


def class_of(char: str) -> int:
    """The tag of a character."""
    if char in _SIGNS:
        return CLASSES.index(_SIGNS[char])
    if char.isspace():
        return CLASSES.index("space")
    if char.isalpha():
        return CLASSES.index("lower" if char.islower() else "upper" if char.isupper() else "letter")
    if char.isdecimal():
        return CLASSES.index("digit")
    return CLASSES.index(NONE if unicodedata.category(char).startswith("C") else "mark")
