"""Numbers and strings as bytes: whole numbers take 7 bits a byte, strings say their length first.

Reading never goes past the end: whatever a damaged length says, nothing larger than the file is made.
"""

from __future__ import annotations

from semagram.errors import UserError

_LONGEST_NUMBER = 9
"""Bytes: 63 bits."""


def number(value: int) -> bytes:
    """A whole number 0 <= value < 2^63, low 7 bits first; the top bit says that more follow. ``ValueError`` outside."""
    if not 0 <= value < 1 << 7 * _LONGEST_NUMBER:
        raise ValueError(f"a number must be from 0 to 2^63 - 1, got {value}.")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def string(value: bytes) -> bytes:
    """The length, then the bytes."""
    return number(len(value)) + value


class Cursor:
    """Reads what ``number`` and ``string`` wrote; ``UserError`` where the data end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise UserError(f"the file is damaged: it should have {count} more bytes, but has {self.left}.")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        """The next whole number."""
        value = 0
        for place in range(_LONGEST_NUMBER):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise UserError(f"the file is damaged: a number in it has more than {_LONGEST_NUMBER} bytes.")

    def string(self) -> bytes:
        """The next string."""
        return self.take(self.number())
