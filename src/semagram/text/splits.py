"""Cutting a text in two or three by position: the beginning to learn from, the end to be judged on.

By position, because neighbouring passages resemble each other: held-out pieces drawn at random from the
middle would be half known.
"""

from dataclasses import dataclass

from semagram.errors import UserError


@dataclass(frozen=True)
class Split:
    """Fractions of a text, from its beginning on: they lie in 0..1 and sum to 1.

    With `in_bytes` they are fractions of the UTF-8 bytes, as the enwik8 literature counts (90, 5 and 5 MB); a
    cut that would fall inside a character moves to just before it. Otherwise they are fractions of the
    characters.
    """

    train: float = 0.9
    validation: float = 0.1
    test: float = 0.0
    in_bytes: bool = False

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        if not all(0 <= part <= 1 for part in parts) or abs(sum(parts) - 1) > 1e-9 or self.train == 0:
            raise UserError(
                f"a split needs fractions 0..1 with sum 1 and something to train on; given "
                f"train={self.train}, validation={self.validation}, test={self.test} (sum {sum(parts):g})."
            )

    def cut(self, text: str) -> tuple[str, str, str]:
        """Return (train, validation, test), which joined are `text`; a part of fraction 0 is ''."""
        if not self.in_bytes or text.isascii():
            first, second = self._places(len(text))
            return text[:first], text[first:second], text[second:]
        data = text.encode("utf-8")
        first, second = (_character_start(data, place) for place in self._places(len(data)))
        return data[:first].decode("utf-8"), data[first:second].decode("utf-8"), data[second:].decode("utf-8")

    def _places(self, total: int) -> tuple[int, int]:
        # Rounded to a millionth first: 0.29 of 100 is 29, although 100 * 0.29 falls just short of it.
        first = int(round(total * self.train, 6))
        second = total if self.test == 0 else int(round(total * (self.train + self.validation), 6))
        return first, second


def split(text: str, train: float = 0.9) -> tuple[str, str]:
    """Return (train, validation): the first `train`, 0 < train <= 1, of the characters, and the rest."""
    beginning, end, _ = Split(train=train, validation=1 - train).cut(text)
    return beginning, end


def _character_start(data: bytes, place: int) -> int:
    while 0 < place < len(data) and data[place] & 0xC0 == 0x80:
        place -= 1
    return place
