"""Characters outside the vocabulary: written out beside the coded text, where they are paid for.

The text is coded with a stand-in at their places; the places (as gaps) and the characters (in UTF-8) are deflated.
So every text that has a UTF-8 form can be compressed, whatever it was trained on.
"""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np

from semagram.errors import UserError
from semagram.text.tokenizer import Tokenizer
from semagram.verbs.bytes_cursor import Cursor, number

_LARGEST = 9 + 4
"""Bytes that one escaped character takes before deflation, at most: a gap and four bytes of UTF-8."""


def escape(tokenizer: Tokenizer, text: str) -> tuple[str, bytes]:
    """A text of the same length that the tokenizer can write, and what must be put back; empty when nothing."""
    known = Counter(text)
    unknown = {c for c in known if not _can_write(tokenizer, c)}
    if not unknown:
        return text, b""
    stand_in = _stand_in(tokenizer, known, unknown)
    places = [i for i, c in enumerate(text) if c in unknown]
    gaps = (now - before for before, now in zip([-1, *places], places, strict=False))
    raw = number(len(places)) + b"".join(number(gap - 1) for gap in gaps)
    raw += "".join(text[i] for i in places).encode()
    packer = zlib.compressobj(9, wbits=-15)
    return text.translate({ord(c): stand_in for c in unknown}), packer.compress(raw) + packer.flush()


def restore(text: str, escapes: bytes) -> str:
    """Put the characters back into a decoded text; ``UserError`` for escapes that do not fit it."""
    if not escapes:
        return text
    unpacker = zlib.decompressobj(wbits=-15)
    try:
        raw = unpacker.decompress(escapes, _LARGEST * (len(text) + 1))
    except zlib.error:
        raise UserError("the file is damaged: its literal characters cannot be unpacked.") from None
    if not unpacker.eof or unpacker.unused_data:
        raise UserError("the file is damaged: its literal characters have the wrong size.")
    cursor = Cursor(raw)
    count = cursor.number()
    if count > len(text):
        raise UserError(f"the file is damaged: it has {count} literal characters for a text of {len(text)}.")
    places = np.cumsum([cursor.number() + 1 for _ in range(count)], dtype=object) - 1
    try:
        literal = cursor.take(cursor.left).decode()
    except UnicodeDecodeError:
        raise UserError("the file is damaged: its literal characters are not UTF-8.") from None
    if len(literal) != count or (count and places[-1] >= len(text)):
        raise UserError("the file is damaged: its literal characters do not fit the text.")
    out = list(text)
    for place, character in zip(places, literal, strict=True):
        out[place] = character
    return "".join(out)


def _can_write(tokenizer: Tokenizer, character: str) -> bool:
    try:
        tokenizer.encode(character)
    except UserError:
        return False
    return True


def _stand_in(tokenizer: Tokenizer, known: Counter[str], unknown: set[str]) -> str:
    """The text's most frequent character that can be written, since the model expects it; else any character."""
    for character, _ in known.most_common():
        if character not in unknown:
            return character
    for token in tokenizer.token_bytes:
        text = token.decode(errors="ignore")
        if len(text) == 1 and _can_write(tokenizer, text):
            return text
    raise UserError(f"the vocabulary cannot write {sorted(unknown)[:5]} nor any single character in their place.")
