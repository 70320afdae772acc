"""The tokenizer contract: text <-> ids 0..v-1, with one id more that is reserved.

A tokenizer has v tokens, and each token is a string of UTF-8 bytes; decoding joins the bytes. Characters,
bytes and byte pairs differ only in how they cut a text, so a new kind states three things (`list_tokens`,
`encode`, `to_json`) and inherits the rest. Id v, the `mask_id`, is the reserved one: models take it as
*hidden here* and as the begin-of-text input; no text encodes to it, no model emits it, and decoding refuses
it.

Laws (tests/text/test_text_tokenizers.py): decode(encode(text)) == text for every text that has a UTF-8 form;
lengths(encode(text)).sum() == len(text); from_json(to_json()) is equal to the original and has its
fingerprint.
"""

import codecs
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError

Ids = NDArray[np.int64]


class Tokenizer(ABC):
    """A trained tokenizer. v is its `vocabulary_size`; subclasses are immutable and compare by value."""

    @abstractmethod
    def list_tokens(self) -> tuple[bytes, ...]:
        """Return the UTF-8 bytes of each of the v tokens; a token may hold only a part of a character."""

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """Return the ids of `text`, shape (n,), each in 0..v-1.

        UserError for text that cannot be written in them.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return all that makes this tokenizer, as plain JSON; `tokenizer_from_json` is the way back."""

    @cached_property
    def token_bytes(self) -> tuple[bytes, ...]:
        """What `list_tokens` returns, made once."""
        return self.list_tokens()

    @property
    def vocabulary_size(self) -> int:
        """v: the number of ids that can be emitted."""
        return len(self.token_bytes)

    @property
    def mask_id(self) -> int:
        """v, the reserved id: a hidden token, and the input before the first token. Never emitted."""
        return self.vocabulary_size

    def decode(self, ids: Sequence[int] | NDArray[Any], *, partial: bool = False, strict: bool = False) -> str:
        """Return the text of `ids`, a sequence of n integers in 0..v-1.

        What `encode` gave always decodes to the same text. Ids made by a model may not be whole characters:
        bytes that are not UTF-8 become U+FFFD or, with `strict`, a UserError. With `partial`, a character cut
        off at the end is left out, for display while more is to come. UserError too for the mask id and ids
        out of range.
        """
        data = self.bytes_of(ids)
        decoder = codecs.getincrementaldecoder("utf-8")("strict" if strict else "replace")
        try:
            return decoder.decode(data, final=not partial)
        except UnicodeDecodeError as error:
            raise UserError(
                f"the ids do not spell whole characters: byte 0x{data[error.start]:02x} at byte offset "
                f"{error.start} is not UTF-8 there. Decode without strict to show U+FFFD in its place."
            ) from None

    def bytes_of(self, ids: Sequence[int] | NDArray[Any]) -> bytes:
        """Return the bytes of `ids`, joined. UserError for the mask id and ids out of range."""
        table = self.token_bytes
        return b"".join([table[i] for i in self._checked(ids).tolist()])

    def lengths(self, ids: Sequence[int] | NDArray[Any]) -> Ids:
        """Return how many characters each token adds, shape (n,); over a whole text they sum to len(text).

        A character of several bytes is counted at its leading byte, so a token may count 0. UserError as
        `decode`.
        """
        return self._lengths[self._checked(ids)]

    def token_texts(self) -> list[str]:
        """Return a printable form of each of the v tokens, all different.

        As in a Python string: a line feed is \\n, a backslash \\\\, an unprintable character \\u0085; a lone
        byte that is no character by itself is \\xe9. A space stays a space.
        """
        return [_printable(piece) for piece in self.token_bytes]

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the canonical JSON: equal for equal tokenizers, 64 hexadecimal digits."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def _lengths(self) -> Ids:
        # Every byte but a continuation byte 0b10xxxxxx begins a character.
        return np.array([sum(byte & 0xC0 != 0x80 for byte in piece) for piece in self.token_bytes], dtype=np.int64)

    def _checked(self, ids: Sequence[int] | NDArray[Any]) -> Ids:
        row = np.asarray(ids)
        if row.ndim != 1:
            raise UserError(f"ids must be one row of integers, not of shape {row.shape}; decode one row at a time.")
        if row.size == 0:
            return np.zeros(0, dtype=np.int64)
        if row.dtype.kind not in "iu":
            raise UserError(f"ids must be integers 0..{self.mask_id - 1}, not {row.dtype}.")
        wrong = (row < 0) | (row >= self.vocabulary_size)
        if wrong.any():
            place = int(wrong.argmax())
            if row[place] == self.mask_id:
                raise UserError(f"id {self.mask_id} at place {place} is the mask id, which stands for no text.")
            raise UserError(f"id {row[place]} at place {place} is out of range; allowed are 0..{self.mask_id - 1}.")
        return row.astype(np.int64)


def utf8(text: str) -> bytes:
    """Return the UTF-8 bytes of `text`. UserError if it holds half of a surrogate pair, which has none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"the text holds a lone surrogate, {text[error.start]!r}, at position {error.start}: it is half "
            f"a character and has no UTF-8 form. Remove it, or read the text again in its right encoding."
        ) from None


def _printable(piece: bytes) -> str:
    # surrogateescape marks the bytes that are no part of a whole character as U+DC80..U+DCFF.
    return "".join(map(_printable_character, piece.decode("utf-8", "surrogateescape")))


def _printable_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    if code < 0x80:
        return repr(character)[1:-1]
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
