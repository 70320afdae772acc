"""Who speaks in a play: the name in the last line that held nothing but "NAME:". Causal.

The line must be whole, so the tag changes at its line feed and not before; it stays until the next such line. Names
in ``speakers`` have a tag each; any other name shares one of ``slots`` tags, by a hash. So the tags are fixed before
a text is read, and a play that was never seen has speakers too. ``Speaker.of(text)`` takes the names from a text.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, LabelReader, PrefixLabeller

_LONGEST = 60
"""Characters of a line that can be a name."""
_LINE = re.compile(r"[ \t]*([^\W\d_][^:\n]*?)[ \t]*:[ \t\r]*")


@dataclass(frozen=True)
class Speaker(PrefixLabeller):
    """The speaker of the last complete line "NAME:"; 0 before the first."""

    speakers: tuple[str, ...] = ()
    """Names that have a tag of their own."""
    slots: int = 31
    """Tags that all other names share; 0: they have none."""

    def __post_init__(self) -> None:
        if self.slots < 0 or not self.slots + len(self.speakers):
            raise UserError(f"a speaker needs names or at least 1 slot, got {self.slots} slots and no names.")
        if len(set(self.speakers)) < len(self.speakers):
            raise UserError("each speaker must be named once.")

    @classmethod
    def of(cls, text: str, most: int = 100, slots: int = 31) -> Speaker:
        """With the ``most`` frequent speakers of ``text``."""
        found = Counter(name for line in text.splitlines() if (name := speaker_of(line)) is not None)
        return cls(tuple(name for name, _ in found.most_common(most)), slots)

    def names(self) -> tuple[str, ...]:
        """none, the names, then "speaker 1", ... for the others."""
        return (NONE, *self.speakers, *(f"speaker slot {i}" for i in range(1, self.slots + 1)))

    def tag(self, name: str) -> int:
        """The tag of a speaker."""
        tag = self._tags.get(name)
        if tag is None:
            tag = (
                1 + len(self.speakers) + zlib.crc32(name.encode("utf-8", "surrogatepass")) % self.slots
                if self.slots
                else 0
            )
        return tag

    def reader(self) -> LabelReader:
        """It remembers the line."""
        return _Reader(self)

    @cached_property
    def _tags(self) -> dict[str, int]:
        return {name: 1 + i for i, name in enumerate(self.speakers)}


def speaker_of(line: str) -> str | None:
    """The name in a line that is "NAME:" and no more, else none."""
    found = _LINE.fullmatch(line) if len(line) <= _LONGEST else None
    return found.group(1) if found is not None else None


class _Reader:
    def __init__(self, of: Speaker) -> None:
        self.of, self.line, self.tag = of, "", 0

    def read(self, char: str) -> int:
        if char != "\n":
            if len(self.line) <= _LONGEST:
                self.line += char
            return self.tag
        name = speaker_of(self.line)
        if name is not None:
            self.tag = self.of.tag(name)
        self.line = ""
        return self.tag
