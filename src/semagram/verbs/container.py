"""The file that ``compress`` writes: what a decoder must know, packed tightly, and a checksum over all of it.

The file's size is the score, so every byte of the header is paid for by the model: about 20 bytes in the plain form.
What a text does not need (escapes, an embedded model, an unusual plan, a character count other than the number of ids)
is left out and a flag says so. Hashes are cut to what their errors cost: a wrong model that passes for the right one
(1 in 2^24) still fails the digest of the text, which is the last word and passes a wrong text once in 2^48.

Any damage is seen before anything is decoded (CRC-32 over the whole file), and no length in it can make a reader
allocate more than the file's own size allows: one byte stands for at most 1,024 ids, as in deflate, and a text that
would pack more tightly is filled up with zeros.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

from semagram.errors import UserError
from semagram.verbs.bytes_cursor import Cursor, number, string
from semagram.verbs.windows import MOST_STRETCHES

MAGIC = b"\x8bS"
VERSION = 2
MOST_IDS_A_BYTE = 1024
MOST_THREADS = 255
DIGEST_BYTES = 6
FACTS_BYTES = 1
_SEALED_FROM = len(MAGIC) + 1 + 4
"""The mark, one byte of version (upper three bits) and flags, the checksum."""
_IDENTITY_BYTES = 3
_HOLDS = ("ids", "text")
_TEXT, _CHARACTERS, _PLAN, _PARTS, _ESCAPES = (1 << bit for bit in range(5))


@dataclass(frozen=True)
class Container:
    """Everything in a file."""

    identity: str
    """Of the run: the first 6 hexadecimal digits of the SHA-256 of configuration, weights and tokenizer."""
    digest: bytes
    """The first 6 bytes of the SHA-256 of what the file decodes to: the text in UTF-8, or the ids as little-endian
    int32."""
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
    facts: bytes
    """One byte that stands for what else decides the last bit of a float: torch's build and the processor."""
    payload: bytes
    """The coded ids."""
    escapes: bytes = b""
    """Characters outside the vocabulary, see ``escapes``."""
    parts: dict[str, bytes] = field(default_factory=dict)
    """An embedded model, by file name; empty in the plain form."""

    @property
    def model_bytes(self) -> int:
        """What the embedded model takes up."""
        return len(_packed(self.parts)) if self.parts else 0

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
    optional = (
        (_CHARACTERS, number(c.characters), c.characters != (c.count if c.holds == "text" else 0)),
        (_PLAN, bytes([c.threads]) + number(c.stride or 0), (c.threads, c.stride) != (1, None)),
        (_PARTS, _packed(c.parts), bool(c.parts)),
        (_ESCAPES, string(c.escapes), bool(c.escapes)),
    )
    flags = (_TEXT if c.holds == "text" else 0) | sum(flag for flag, _, needed in optional if needed)
    body = b"".join(
        [
            bytes.fromhex(c.identity),
            c.digest,
            c.facts,
            number(c.count),
            number(c.stretches),
            *(data for _, data, needed in optional if needed),
            c.payload.ljust(-(-c.count // MOST_IDS_A_BYTE), b"\0"),
        ]
    )
    start = MAGIC + bytes([VERSION << 5 | flags])
    return start + _checksum(start, body) + body


def from_bytes(data: bytes) -> Container:
    """What ``to_bytes`` wrote; ``UserError`` for anything else."""
    size = len(MAGIC)
    if not data.startswith(MAGIC):
        raise UserError(f"this is not a semagram file: it begins with {data[:size]!r}, not {MAGIC!r}.")
    if len(data) == size or data[size] >> 5 != VERSION:
        found = f"has format {data[size] >> 5}" if len(data) > size else f"ends after its first {size} bytes"
        raise UserError(f"this file {found}; this semagram reads format {VERSION}.")
    if data[size + 1 : _SEALED_FROM] != _checksum(data[: size + 1], data[_SEALED_FROM:]):
        raise UserError(f"the file is damaged or cut short: its {len(data)} bytes do not match their checksum.")
    return _parsed(data[size] & 31, Cursor(data[_SEALED_FROM:]))


def _parsed(flags: int, cursor: Cursor) -> Container:
    identity, digest, told = cursor.take(_IDENTITY_BYTES).hex(), cursor.take(DIGEST_BYTES), cursor.take(FACTS_BYTES)
    count, stretches = cursor.number(), cursor.number()
    characters = cursor.number() if flags & _CHARACTERS else count if flags & _TEXT else 0
    threads, stride = (cursor.take(1)[0], cursor.number()) if flags & _PLAN else (1, 0)
    parts = _unpacked(cursor) if flags & _PARTS else {}
    escapes = cursor.string() if flags & _ESCAPES else b""
    payload = cursor.take(cursor.left)
    _at_most("ids", count, MOST_IDS_A_BYTE * len(payload))
    _at_most("stretches", stretches, MOST_STRETCHES)
    if threads < 1 or (count and stretches < 1):
        raise UserError(f"the file is damaged: it names {threads} threads and {stretches} stretches.")
    return Container(
        identity=identity,
        digest=digest,
        holds=_HOLDS[bool(flags & _TEXT)],
        count=count,
        characters=characters,
        stretches=stretches,
        stride=stride or None,
        threads=threads,
        facts=told,
        payload=payload,
        escapes=escapes,
        parts=parts,
    )


def _packed(parts: dict[str, bytes]) -> bytes:
    return number(len(parts)) + b"".join(string(name.encode()) + string(data) for name, data in parts.items())


def _unpacked(cursor: Cursor) -> dict[str, bytes]:
    count = _at_most("parts", cursor.number(), cursor.left)
    return {_text(cursor.string()): cursor.string() for _ in range(count)}


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
