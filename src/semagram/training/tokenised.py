"""A text ready for training: ids to learn from, ids to be judged on, and the tokenizer that made them.

The held-out part is the text's end. A tokenizer that learns statistics (BPE) sees the training part only; an
alphabet (`Characters`) is that of the whole text, since it is what published character-level numbers assume and
a held-out text with one new letter could not be written at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.layouts import Joint, Layout, Streams
from semagram.text import Characters, Tokenizer, TokenizerConfig, split
from semagram.text.interleaved import InterleavedTokenizer


@dataclass(frozen=True, eq=False)
class TokenisedText:
    """``train`` and ``held_out`` are one-dimensional arrays of ids; character counts turn nats a token into bits
    a character."""

    train: NDArray[np.unsignedinteger]
    held_out: NDArray[np.unsignedinteger]
    train_characters: int
    held_out_characters: int
    tokenizer: Tokenizer

    @classmethod
    def of(
        cls, text: str, tokenizer: TokenizerConfig | Tokenizer, held_out: float, layout: Layout | None = None
    ) -> TokenisedText:
        """Cut the last ``held_out`` (share) of the characters off, train the tokenizer, encode both parts. Where tags
        of ``layout`` are written between the letters, ids are both.

        ``UserError`` for an empty text, or one that the tokenizer cannot write.
        """
        train, rest = split(text, 1 - held_out)
        if not train:
            raise UserError(f"the text has {len(text)} characters: nothing is left to train on.")
        if not isinstance(tokenizer, Tokenizer):
            tokenizer = tokenizer.train(text if isinstance(tokenizer, Characters) else train)
            if isinstance(layout, Streams) and layout.written:
                tokenizer = interleaved(tokenizer, layout)
        return cls(_encoded(train, tokenizer), _encoded(rest, tokenizer), len(train), len(rest), tokenizer)

    @property
    def train_characters_per_token(self) -> float:
        """Mean characters a training token adds."""
        return self.train_characters / max(1, len(self.train))

    @property
    def held_out_characters_per_token(self) -> float:
        """Mean characters a held-out token adds."""
        return self.held_out_characters / max(1, len(self.held_out))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all ids and of where the held-out part begins."""
        digest = hashlib.sha256(f"{len(self.train)} {len(self.held_out)} ".encode())
        for part in (self.train, self.held_out):
            digest.update(np.ascontiguousarray(part, dtype="<u4").tobytes())
        return digest.hexdigest()


def interleaved(tokenizer: Tokenizer, layout: Streams) -> InterleavedTokenizer:
    """The tokenizer of letters and of the tags between them."""
    protocol = layout.written[0].protocol
    assert isinstance(protocol, Joint)
    axes = tuple((axis.name, axis.labeller) for axis in layout.written)
    return InterleavedTokenizer(tokenizer, axes, protocol.order, protocol.every)


def _encoded(text: str, tokenizer: Tokenizer) -> NDArray[np.unsignedinteger]:
    """The ids in the smallest type that holds them: a book then takes a byte a character, not eight."""
    kind = next(t for t in (np.uint8, np.uint16, np.uint32) if tokenizer.vocabulary_size <= np.iinfo(t).max)
    return tokenizer.encode(text).astype(kind)
