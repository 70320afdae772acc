"""What a line is like: how far it is indented, and what it begins with. Causal.

While white space at the beginning of a line is read, ``Indentation`` is what was read so far; then it stays until the
line feed, which has tag 0. ``LineStart`` is the class of the first visible character, known from that character on,
and, if wanted, told apart by whether an empty line stood before.
"""

from __future__ import annotations

from dataclasses import dataclass

from semagram.errors import UserError
from semagram.text.labels.character_class import CLASSES, class_of
from semagram.text.labels.contract import NONE, LabelReader, PrefixLabeller

_BEGINNINGS = tuple(name for name in CLASSES if name not in (NONE, "space", "line"))


@dataclass(frozen=True)
class Indentation(PrefixLabeller):
    """Steps of white space that the line begins with: 0 (none) to ``most``."""

    step: int = 4
    """Columns of a step; a part of a step counts as one. A tab leads to the next multiple of it."""
    most: int = 8
    """Steps that are told apart."""

    def __post_init__(self) -> None:
        if self.step < 1 or self.most < 1:
            raise UserError(f"an indentation needs step and most of at least 1, got {self.step} and {self.most}.")

    def names(self) -> tuple[str, ...]:
        """none, indent 1, ..."""
        return (NONE, *(f"indent {i}" for i in range(1, self.most + 1)))

    def reader(self) -> LabelReader:
        """It counts columns."""
        return _IndentationReader(self.step, self.most)


@dataclass(frozen=True)
class LineStart(PrefixLabeller):
    """The class of the first visible character of the line; 0 until it was read."""

    paragraphs: bool = True
    """Whether a line after an empty line, or the first, has tags of its own."""

    def names(self) -> tuple[str, ...]:
        """none, lower, upper, ..., then "first lower", ... for the first line of a paragraph."""
        first = tuple(f"first {name}" for name in _BEGINNINGS) if self.paragraphs else ()
        return (NONE, *_BEGINNINGS, *first)

    def reader(self) -> LabelReader:
        """It remembers how the line began."""
        return _LineStartReader(self.paragraphs)


class _IndentationReader:
    def __init__(self, step: int, most: int) -> None:
        self.step, self.most = step, most
        self.columns, self.inside = 0, False

    def read(self, char: str) -> int:
        if char == "\n":
            self.columns, self.inside = 0, False
            return 0
        if not self.inside:
            if char == "\t":
                self.columns += self.step - self.columns % self.step
            elif char.isspace():
                self.columns += 1
            else:
                self.inside = True
        return min((self.columns + self.step - 1) // self.step, self.most)


class _LineStartReader:
    def __init__(self, paragraphs: bool) -> None:
        self.paragraphs = paragraphs
        self.tag, self.first = 0, True

    def read(self, char: str) -> int:
        if char == "\n":
            self.first = self.tag == 0
            self.tag = 0
            return 0
        if self.tag == 0 and not char.isspace():
            name = CLASSES[class_of(char)]
            if name in _BEGINNINGS:
                self.tag = 1 + _BEGINNINGS.index(name) + len(_BEGINNINGS) * (self.paragraphs and self.first)
        return self.tag
