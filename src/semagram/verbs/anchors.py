"""Anchors: what general compressors make of the same text, in bits per character.

Two numbers each, never to be mixed up. ``alone`` is the compressed text by itself: the compressor knows nothing
beforehand. ``given_training`` is what the text adds to a file that already holds the training text,
size(training + text) - size(training): the fair one beside a model, which has seen the training text too. (gzip looks
back 32 KB and bz2 900 KB, so more training text than that does not help them; xz -9e looks back 64 MB.)
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from dataclasses import dataclass

from semagram.errors import UserError
from semagram.text.tokenizer import utf8

_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip -9": lambda data: gzip.compress(data, 9, mtime=0),
    "bz2 -9": lambda data: bz2.compress(data, 9),
    "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


@dataclass(frozen=True)
class Anchor:
    """One compressor on one text, bits per character."""

    name: str
    """Compressor and level."""
    alone: float
    """The training text is not used."""
    given_training: float | None
    """What the text adds to the compressed training text; None without one."""


def anchors(text: str, training: str | None = None) -> list[Anchor]:
    """gzip, bz2 and xz at their best on ``text`` (UTF-8), in bits per character. ``UserError`` for an empty text."""
    if not text:
        raise UserError("an empty text has no bits per character.")
    data, before = utf8(text), utf8(training or "")

    def one(name: str, pack: Callable[[bytes], bytes]) -> Anchor:
        added = None if training is None else len(pack(before + data)) - len(pack(before))
        return Anchor(name, 8 * len(pack(data)) / len(text), None if added is None else 8 * added / len(text))

    return [one(name, pack) for name, pack in _COMPRESSORS.items()]
