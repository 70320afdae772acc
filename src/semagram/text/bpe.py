"""Byte pair encoding, trained on the corpus itself: frequent neighbours are merged, over and over.

Sennrich, Haddow and Birch 2016 (arXiv:1508.07909), over bytes, so that every text can be written. Words are
cut first, at the boundaries that GPT-2 made usual, and merges never cross them. The engine is Hugging Face
`tokenizers`.

The ids are ours and do not depend on the engine: 0..255 are the bytes, 256 and up the tokens that the merges
make, in the order in which they were learnt. So the list of merges is the whole tokenizer, and `Bytes` is the
one with none.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from semagram.errors import UserError
from semagram.text.tokenizer import Ids, Tokenizer, utf8

if TYPE_CHECKING:
    import tokenizers

_PIECE = 1 << 16  # characters handed to the engine at once: bounds its memory, and lets it use all cores
_PIECES_AT_ONCE = 64
# A word may begin with a space or a line feed, but none goes on across "visible ASCII, then space or line
# feed": the text can be cut there without changing a token.
_SAFE_CUT = re.compile(r"(?<=[!-~])(?=[ \n])")


@dataclass(frozen=True)
class BPE:
    """Byte pairs: at most `vocabulary_size` tokens, of which 256 are the bytes. A short text yields fewer."""

    vocabulary_size: int = 1024

    def __post_init__(self) -> None:
        if self.vocabulary_size < 256:
            raise UserError(
                f"vocabulary_size is {self.vocabulary_size}; BPE needs at least 256, one token a byte. "
                f"Characters() makes smaller vocabularies."
            )

    def train(self, text: str) -> "BPETokenizer":
        """Return the tokenizer learnt from `text`, the same one every time.

        UserError for a lone surrogate in it.

        Pairs seen only once are not merged, so the vocabulary can stay below `vocabulary_size`.
        """
        from tokenizers import Tokenizer as Engine
        from tokenizers import models, pre_tokenizers, trainers

        utf8(text)
        engine = Engine(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        engine.train_from_iterator(
            _pieces(text),
            trainers.BpeTrainer(
                vocab_size=self.vocabulary_size,
                initial_alphabet=list(_LETTERS),
                min_frequency=2,
                show_progress=False,
            ),
        )
        tokens = {_LETTERS[byte]: byte for byte in range(256)}
        merges: list[tuple[int, int]] = []
        for left, right in json.loads(engine.to_str())["model"]["merges"]:
            merges.append((tokens[left], tokens[right]))
            tokens.setdefault(left + right, len(tokens))
        return BPETokenizer(tuple(merges))


@dataclass(frozen=True)
class BPETokenizer(Tokenizer):
    """Bytes 0..255, then what `merges` makes: each merge names the ids of the two tokens that become one."""

    merges: tuple[tuple[int, int], ...]

    def list_tokens(self) -> tuple[bytes, ...]:
        """Return the bytes of each token. UserError if a merge names a token that does not exist by then."""
        tokens = {bytes([byte]): byte for byte in range(256)}
        listed = list(tokens)
        for place, (left, right) in enumerate(self.merges):
            if not (0 <= left < len(listed) and 0 <= right < len(listed)):
                raise UserError(f"merge {place} is {(left, right)}; at that place ids 0..{len(listed) - 1} are known.")
            joined = listed[left] + listed[right]
            if joined not in tokens:  # two different merges may spell the same token
                tokens[joined] = len(listed)
                listed.append(joined)
        return tuple(listed)

    def encode(self, text: str) -> Ids:
        """Return the ids of `text`. UserError for a lone surrogate, which has no UTF-8 form."""
        utf8(text)
        found: list[np.ndarray] = []
        for group in _groups(_pieces(text)):
            encodings = self.engine.encode_batch_fast(group, add_special_tokens=False)
            found += [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the kind and the merges."""
        return {"kind": "bpe", "merges": [list(pair) for pair in self.merges]}

    @cached_property
    def engine(self) -> "tokenizers.Tokenizer":
        """The same tokenizer as a Hugging Face `tokenizers.Tokenizer` with the same ids, e.g.

        to save it for others.
        """
        from tokenizers import Tokenizer as Engine
        from tokenizers import decoders, models, pre_tokenizers

        spelled = ["".join(_LETTERS[byte] for byte in piece) for piece in self.token_bytes]
        vocabulary = {token: i for i, token in enumerate(spelled)}
        engine = Engine(models.BPE(vocab=vocabulary, merges=[(spelled[a], spelled[b]) for a, b in self.merges]))
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        engine.decoder = decoders.ByteLevel()
        return engine


def _letters() -> str:
    """The 256 printable characters that stand for the bytes inside the engine, which works on characters."""
    themselves = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in themselves else next(others)) for byte in range(256))


_LETTERS = _letters()


def _pieces(text: str, size: int = _PIECE) -> Iterator[str]:
    """Cut `text` into pieces of at least `size` characters, at places where no token can be cut."""
    start = 0
    while start < len(text):
        cut = _SAFE_CUT.search(text, start + size)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


def _groups(pieces: Iterator[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for piece in pieces:
        group.append(piece)
        if len(group) == _PIECES_AT_ONCE:
            yield group
            group = []
    if group:
        yield group
