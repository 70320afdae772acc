"""Which of several texts is being read: counted by what separates them, or named by the lines that begin them. Causal.

``Document`` counts separators; ``Marked`` knows lines by heart ("THE TEMPEST", "# lang: fr") and names what follows
them: books, languages, authors, parts of a program. A separator or line counts once it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, LabelReader, PrefixLabeller


@dataclass(frozen=True)
class Document(PrefixLabeller):
    """1 in the first document, 2 behind the first separator, and so on up to ``most``, which all later ones share."""

    separator: str = "\n\n\n"
    """What stands between two documents; two of them do not overlap."""
    most: int = 64
    """Documents that are told apart."""

    def __post_init__(self) -> None:
        if not self.separator or self.most < 2:
            raise UserError(f"documents need a separator and at least 2 tags, got {self.separator!r} and {self.most}.")

    def names(self) -> tuple[str, ...]:
        """none (never used), document 1, ..."""
        return (NONE, *(f"document {i}" for i in range(1, self.most + 1)))

    def reader(self) -> LabelReader:
        """It remembers as much as a separator is long."""
        return _DocumentReader(self.separator, self.most)


@dataclass(frozen=True)
class Marked(PrefixLabeller):
    """The name that belongs to the last line of the table that was read; 0 before the first."""

    lines: tuple[tuple[str, str], ...]
    """(line, name), the line without white space around it; several lines may lead to one name."""

    def __post_init__(self) -> None:
        marks = [line for line, _ in self.lines]
        if not marks or any(not line or line != line.strip() or "\n" in line for line in marks):
            raise UserError(f"marks must be single lines without white space around them, got {marks}.")
        if len(set(marks)) < len(marks):
            raise UserError("each marking line must be given once.")

    def names(self) -> tuple[str, ...]:
        """none, then the names in the order of the table."""
        return tuple(dict.fromkeys((NONE, *(name for _, name in self.lines))))

    def reader(self) -> LabelReader:
        """It remembers the line."""
        return _MarkedReader(self)

    @cached_property
    def tags(self) -> dict[str, int]:
        """Line -> tag."""
        return {line: self.names().index(name) for line, name in self.lines}

    @cached_property
    def longest(self) -> int:
        """Characters of the longest line."""
        return max(len(line) for line, _ in self.lines)


class _DocumentReader:
    def __init__(self, separator: str, most: int) -> None:
        self.separator, self.most = separator, most
        self.tail, self.count = "", 1

    def read(self, char: str) -> int:
        self.tail = (self.tail + char)[-len(self.separator) :]
        if self.tail == self.separator:
            self.tail = ""
            self.count += 1
        return min(self.count, self.most)


class _MarkedReader:
    def __init__(self, of: Marked) -> None:
        self.of, self.line, self.tag = of, "", 0

    def read(self, char: str) -> int:
        if char == "\n":
            self.tag = self.of.tags.get(self.line.rstrip(), self.tag)
            self.line = ""
        elif (self.line or not char.isspace()) and len(self.line) <= self.of.longest + 8:
            self.line += char
        return self.tag
