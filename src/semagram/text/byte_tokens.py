"""Bytes as tokens: id i is the byte i of the UTF-8 form.

256 tokens, no training, and every text can be written.

A character outside ASCII takes two to four tokens, so a number in bits per token is not one in bits per
character: `lengths` counts each character once, at its leading byte.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from semagram.text.tokenizer import Ids, Tokenizer, utf8


@dataclass(frozen=True)
class Bytes:
    """One token for each of the 256 bytes; works for every text."""

    def train(self, text: str) -> "ByteTokenizer":
        """Return the byte tokenizer, which learns nothing from `text`.

        UserError for a lone surrogate in it.
        """
        utf8(text)
        return ByteTokenizer()


@dataclass(frozen=True)
class ByteTokenizer(Tokenizer):
    """Token i is the byte i."""

    def list_tokens(self) -> tuple[bytes, ...]:
        """Return the 256 bytes."""
        return tuple(bytes([byte]) for byte in range(256))

    def encode(self, text: str) -> Ids:
        """Return one id a UTF-8 byte. UserError for a lone surrogate, which has no UTF-8 form."""
        return np.frombuffer(utf8(text), dtype=np.uint8).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the kind; there is nothing else to know."""
        return {"kind": "bytes"}
