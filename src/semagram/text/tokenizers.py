"""The kinds of tokenizer there are, and the way back from JSON.

`TokenizerConfig` is the union that a recipe chooses from: `config.train(text)` gives a `Tokenizer`. To add a
kind, write its file, add its config here and its case to `tokenizer_from_json`.
"""

from collections.abc import Mapping
from typing import Any

from semagram.config import from_json
from semagram.errors import UserError, nearest
from semagram.text.bpe import BPE, BPETokenizer
from semagram.text.byte_tokens import Bytes, ByteTokenizer
from semagram.text.characters import Characters, CharacterTokenizer
from semagram.text.interleaved import InterleavedTokenizer
from semagram.text.labels import Labeller
from semagram.text.pretrained import Pretrained, PretrainedTokenizer
from semagram.text.tokenizer import Tokenizer

TokenizerConfig = Characters | Bytes | BPE | Pretrained

_KINDS = ("characters", "bytes", "bpe", "pretrained", "interleaved")


def tokenizer_from_json(data: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer that `Tokenizer.to_json` wrote. UserError if `data` is not such a description."""
    match data:
        case {"kind": "characters", "characters": str(characters), **rest} if not rest:
            return CharacterTokenizer(characters)
        case {"kind": "bytes", **rest} if not rest:
            return ByteTokenizer()
        case {"kind": "bpe", "merges": list(merges), **rest} if not rest:
            return _bpe(merges)
        case {"kind": "pretrained", "size": int(size), "description": str(description), **rest} if not rest:
            return PretrainedTokenizer(description, size)
        case {"kind": "interleaved", "inner": Mapping() as inner, "axes": list(axes), "order": order, "every": every}:
            return InterleavedTokenizer(tokenizer_from_json(inner), _axes(axes), order, every)
        case {"kind": str(kind)} if kind not in _KINDS:
            raise UserError(f'"{kind}" is no kind of tokenizer; allowed: {", ".join(_KINDS)}.{nearest(kind, _KINDS)}')
        case _:
            given = ", ".join(map(str, data)) or "nothing"
            raise UserError(f"this does not describe a tokenizer: it holds {given}; expected is what to_json() writes.")


def _axes(axes: list[Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((str(axis["name"]), from_json(Labeller, axis["labeller"], "tokenizer")) for axis in axes)  # type: ignore[arg-type]


def _bpe(merges: list[Any]) -> BPETokenizer:
    pairs: list[tuple[int, int]] = []
    for place, pair in enumerate(merges):
        match pair:
            case [int(left), int(right)]:
                pairs.append((left, right))
            case _:
                raise UserError(f"merge {place} of the tokenizer must be two ids, not {pair!r}.")
    tokenizer = BPETokenizer(tuple(pairs))
    tokenizer.token_bytes  # noqa: B018 - a merge of unknown tokens is refused now, not at first use
    return tokenizer
