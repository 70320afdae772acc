"""A tokenizer that others trained: a `tokenizer.json` of the Hugging Face `tokenizers` library.

Its ids are kept. Its special tokens are never written by `encode`, and a space that it would put before a text is
left out: so the tokens' bytes, joined, are the text again, and a text can be coded and decoded. Kinds of tokenizer
that change a text (lower case, words joined anew) can be scored with, but `compress` refuses them.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semagram.errors import UserError
from semagram.text.bpe import _LETTERS
from semagram.text.tokenizer import Ids, Tokenizer, utf8

if TYPE_CHECKING:
    import tokenizers

_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}


@dataclass(frozen=True)
class Pretrained:
    """A tokenizer that is there already: a `tokenizer.json`, or a folder that holds one."""

    file: str = "tokenizer.json"
    """Where it is."""

    def train(self, text: str) -> "PretrainedTokenizer":
        """Return the tokenizer; `text` changes nothing. UserError if there is none, or for a lone surrogate in it."""
        utf8(text)
        path = Path(self.file)
        path = path / "tokenizer.json" if path.is_dir() else path
        if not path.is_file():
            raise UserError(f"there is no {path}: a Pretrained tokenizer is a tokenizer.json or a folder with one.")
        content = path.read_text("utf-8")
        return PretrainedTokenizer(content, _engine(content).get_vocab_size(with_added_tokens=True))


@dataclass(frozen=True)
class PretrainedTokenizer(Tokenizer):
    """`description` is the text of a `tokenizer.json`; ids that it does not use, up to `size`, spell nothing."""

    description: str
    size: int

    def list_tokens(self) -> tuple[bytes, ...]:
        """Return the bytes of each token; special tokens are their own names."""
        vocabulary = self.engine.get_vocab(with_added_tokens=True)
        if vocabulary and max(vocabulary.values()) >= self.size:
            raise UserError(f"the tokenizer has ids up to {max(vocabulary.values())}, but the model only {self.size}.")
        added = {token.content for token in self.engine.get_added_tokens_decoder().values()}
        pieces = [b""] * self.size
        for token, number in vocabulary.items():
            spelled = token in added and not _is_byte(token)
            pieces[number] = token.encode() if spelled else self._spelled(token)
        return tuple(pieces)

    def encode(self, text: str) -> Ids:
        """Return the ids of `text`, without special tokens. UserError for a lone surrogate."""
        utf8(text)
        return np.array(self.engine.encode(text, add_special_tokens=False).ids, dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the kind, the size and the library's own description."""
        return {"kind": "pretrained", "size": self.size, "description": self.description}

    @cached_property
    def engine(self) -> "tokenizers.Tokenizer":
        """The library's object, without a space before the text."""
        return _engine(self.description)

    @cached_property
    def _kind(self) -> str:
        """How tokens are spelled: `bytes`, `words` or `marks`."""
        decoder = json.dumps(json.loads(self.description).get("decoder") or {})
        if '"ByteLevel"' in decoder:
            return "bytes"
        return "words" if '"WordPiece"' in decoder else "marks"

    def _spelled(self, token: str) -> bytes:
        if self._kind == "bytes" and all(letter in _BYTES for letter in token):
            return bytes(_BYTES[letter] for letter in token)
        if self._kind == "words":
            return (token[2:] if token.startswith("##") else f" {token}").encode()
        if _is_byte(token):
            return bytes([int(token[3:5], 16)])
        return token.replace("\u2581", " ").encode()


def _is_byte(token: str) -> bool:
    """Whether this is the name of a byte that has no token of its own, as `<0xE2>`."""
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _engine(description: str) -> "tokenizers.Tokenizer":
    """The library's tokenizer of a description, with what it puts before a text taken out."""
    from tokenizers import Tokenizer as Engine

    try:
        data = json.loads(description)
        _without_prefix(data)
        return Engine.from_str(json.dumps(data))
    except Exception as error:  # the library raises plain exceptions
        raise UserError(f"this is no tokenizer.json that can be read: {' '.join(str(error).split())[:200]}") from None


def _without_prefix(part: Any) -> None:
    """Change a description: no space before the text."""
    if isinstance(part, list):
        part[:] = [inner for inner in part if not (isinstance(inner, dict) and inner.get("type") == "Prepend")]
        for inner in part:
            _without_prefix(inner)
    elif isinstance(part, dict):
        if part.get("type") == "ByteLevel" and "add_prefix_space" in part:
            part["add_prefix_space"] = False
        if part.get("type") == "Metaspace":
            part["prepend_scheme"] = "never"
        for name in ("normalizer", "normalizers", "pre_tokenizer", "pretokenizers"):
            if isinstance(part.get(name), dict) and part[name].get("type") == "Prepend":
                part[name] = None
            _without_prefix(part.get(name))
