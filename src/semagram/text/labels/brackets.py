"""How many brackets are open: the depth of ( [ { at each character, a bracket counted among what it encloses.

Causal. A closing bracket closes only what it fits; one that fits nothing leaves the depth as it is. Deeper than
``most`` is told as ``most``.
"""

from __future__ import annotations

from dataclasses import dataclass

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, LabelReader, PrefixLabeller

_OPENS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class BracketDepth(PrefixLabeller):
    """Depth of brackets, 0 (none) to ``most``."""

    most: int = 7
    """Depths that are told apart."""

    def __post_init__(self) -> None:
        if self.most < 1:
            raise UserError(f"a bracket depth must count to at least 1, got {self.most}.")

    def names(self) -> tuple[str, ...]:
        """none, depth 1, ..., depth ``most``."""
        return (NONE, *(f"depth {d}" for d in range(1, self.most + 1)))

    def reader(self) -> LabelReader:
        """It remembers which brackets are open."""
        return _Reader(self.most)


class _Reader:
    def __init__(self, most: int) -> None:
        self.most = most
        self.open: list[str] = []

    def read(self, char: str) -> int:
        if char in "([{":
            self.open.append(char)
        depth = len(self.open)
        if char in _OPENS and self.open and self.open[-1] == _OPENS[char]:
            self.open.pop()
        return min(depth, self.most)
