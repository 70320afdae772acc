"""Characters as tokens: one id for each distinct character of the training text, in code-point order.

The smallest vocabulary, and the one in which published character-level numbers are stated. A text with a
character that the training text lacks cannot be written; `Bytes` can write every text.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.text.tokenizer import Ids, Tokenizer, utf8


@dataclass(frozen=True)
class Characters:
    """One token for each distinct character of the training text."""

    def train(self, text: str) -> "CharacterTokenizer":
        """Return the tokenizer whose vocabulary is the sorted characters of `text`.

        UserError if there are none.
        """
        if not text:
            raise UserError("the training text is empty: a vocabulary of characters needs at least one character.")
        utf8(text)
        return CharacterTokenizer("".join(sorted(set(text))))


@dataclass(frozen=True)
class CharacterTokenizer(Tokenizer):
    """Token i is `characters[i]`; the characters are distinct, sorted and at least one."""

    characters: str

    def __post_init__(self) -> None:
        if not self.characters or list(self.characters) != sorted(set(self.characters)):
            raise UserError(f"the characters must be distinct, sorted and not none; given {self.characters[:40]!r}.")
        utf8(self.characters)

    def list_tokens(self) -> tuple[bytes, ...]:
        """Return each character in UTF-8."""
        return tuple(character.encode("utf-8") for character in self.characters)

    def encode(self, text: str) -> Ids:
        """Return one id a character, shape (len(text),).

        UserError names the characters outside the vocabulary.
        """
        utf8(text)
        wanted = _code_points(text)
        ids = np.searchsorted(self._vocabulary, wanted)
        found = self._vocabulary[np.minimum(ids, self.vocabulary_size - 1)] == wanted
        if not found.all():
            raise UserError(self._complaint(text, first=int(found.argmin())))
        return ids.astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the kind and the characters."""
        return {"kind": "characters", "characters": self.characters}

    @cached_property
    def _vocabulary(self) -> NDArray[np.uint32]:
        return _code_points(self.characters)

    def _complaint(self, text: str, first: int) -> str:
        unknown = list(dict.fromkeys(c for c in text[first:] if c not in self.characters))
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        shown = ", ".join(map(repr, unknown[:5])) + more
        return (
            f"the text holds characters outside the vocabulary of {self.vocabulary_size}: {shown}; "
            f"the first, {text[first]!r}, stands at position {first}. Bytes() has no such limit."
        )


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
