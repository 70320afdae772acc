"""The file that ``compress`` writes: what a decoder must know, packed tightly, and a checksum over all of it.

The file's size is the score, so the header counts: about 100 bytes. Any damage is seen before anything is decoded
(CRC-32 over the whole file), and no length in it can make a reader allocate more than the file's own size allows: one
byte stands for at most 1,024 ids, as in deflate, and a text that would pack more tightly is filled up with zeros.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

from semagram.errors import UserError
from semagram.verbs.bytes_cursor import Cursor, number, string
from semagram.verbs.windows import MOST_STRETCHES

MAGIC = b"\x8bSGM"
VERSION = 1
MOST_IDS_A_BYTE = 1024
MOST_THREADS = 255
_SEALED_FROM = len(MAGIC) + 1 + 4
_IDENTITY_BYTES, _DIGEST_BYTES = 16, 32
_HOLDS = ("ids", "text")


@dataclass(frozen=True)
class Container:
    """Everything in a file."""

    identity: str
    """Of the run: the first 32 hexadecimal digits of the SHA-256 of configuration, weights and tokenizer."""
    digest: bytes
    """32 bytes, the SHA-256 of what the file decodes to: the text in UTF-8, or the ids as little-endian int32."""
    holds: str
    """What the digest is of: ``text`` or ``ids``."""
    count: int
    """N, ids."""
    characters: int
    """Of the text; 0 where the file holds ids."""
    stretches: int
    """S of the plan."""
    stride: int | None
    """Of the plan."""
    threads: int
    """Of torch, while coding."""
    facts: str
    """What else decides the last bit of a float: torch's build and the processor."""
    payload: bytes
    """The coded ids."""
    escapes: bytes = b""
    """Characters outside the vocabulary, see ``escapes``."""
    parts: dict[str, bytes] = field(default_factory=dict)
    """An embedded model, by file name; empty in the plain form."""

    @property
    def model_bytes(self) -> int:
        """What the embedded model takes up."""
        return sum(len(string(name.encode())) + len(string(data)) for name, data in self.parts.items())

    def bits_per_character(self) -> float:
        """8 x size of the whole file / characters, an embedded model included. ``UserError`` without characters."""
        if not self.characters:
            raise UserError("bits per character need a text with at least one character; this file has none.")
        return 8 * len(to_bytes(self)) / self.characters


def identity_digits(identity: str) -> str:
    """The digits of an identity that the file keeps. ``ValueError`` unless it is a SHA-256 in hexadecimal."""
    if not re.fullmatch(r"[0-9a-f]{64}", identity):
        raise ValueError(f"the identity must be a SHA-256 as 64 hexadecimal digits 0-9a-f, got {identity!r}.")
    return identity[: 2 * _IDENTITY_BYTES]


def to_bytes(container: Container) -> bytes:
    """The file."""
    c = container
    body = b"".join(
        [
            bytes([_HOLDS.index(c.holds), c.threads]),
            bytes.fromhex(c.identity)[:_IDENTITY_BYTES],
            c.digest,
            string(c.facts.encode()),
            number(c.count),
            number(c.characters),
            number(c.stretches),
            number(c.stride or 0),
            number(len(c.parts)),
            *(string(name.encode()) + string(data) for name, data in c.parts.items()),
            string(c.escapes),
            c.payload.ljust(-(-c.count // MOST_IDS_A_BYTE), b"\0"),
        ]
    )
    start = MAGIC + bytes([VERSION])
    return start + _checksum(start, body) + body


def from_bytes(data: bytes) -> Container:
    """What ``to_bytes`` wrote; ``UserError`` for anything else."""
    if not data.startswith(MAGIC):
        raise UserError(f"this is not a semagram file: it begins with {data[:4]!r}, not {MAGIC!r}.")
    if data[4:5] != bytes([VERSION]):
        found = f"has format {data[4]}" if len(data) > 4 else "ends after its first four bytes"
        raise UserError(f"this file {found}; this semagram reads format {VERSION}.")
    if data[5:_SEALED_FROM] != _checksum(data[:5], data[_SEALED_FROM:]):
        raise UserError(f"the file is damaged or cut short: its {len(data)} bytes do not match their checksum.")
    return _parsed(Cursor(data[_SEALED_FROM:]))


def _parsed(cursor: Cursor) -> Container:
    holds, threads = cursor.take(2)
    identity, digest = cursor.take(_IDENTITY_BYTES).hex(), cursor.take(_DIGEST_BYTES)
    facts = _text(cursor.string())
    count, characters, stretches, stride = (cursor.number() for _ in range(4))
    parts = {_text(cursor.string()): cursor.string() for _ in range(_at_most("parts", cursor.number(), cursor.left))}
    escapes = cursor.string()
    payload = cursor.take(cursor.left)
    _at_most("kind", holds, len(_HOLDS) - 1)
    _at_most("ids", count, MOST_IDS_A_BYTE * len(payload))
    _at_most("stretches", stretches, MOST_STRETCHES)
    if threads < 1 or (count and stretches < 1):
        raise UserError(f"the file is damaged: it names {threads} threads and {stretches} stretches.")
    return Container(
        identity=identity,
        digest=digest,
        holds=_HOLDS[holds],
        count=count,
        characters=characters,
        stretches=stretches,
        stride=stride or None,
        threads=threads,
        facts=facts,
        payload=payload,
        escapes=escapes,
        parts=parts,
    )


def _at_most(what: str, found: int, allowed: int) -> int:
    if found > allowed:
        raise UserError(f"the file is damaged: for {what} it says {found}, and at most {allowed} can be.")
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UserError(f"the file is damaged: {data[:20]!r} in its header is not UTF-8.") from None


def _checksum(start: bytes, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(start)).to_bytes(4, "little")
