"""Filling a text: gaps in a string, and what was written there with its moment and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.text.tokenizer import Tokenizer
from semagram.verbs.fill import fill
from semagram.verbs.filling.filled import Filled, Rewriting, Stroke
from semagram.verbs.gaps import PATTERN, Gap, Piece, parse_length, split_at_gaps
from semagram.verbs.sampling import Sampling


@dataclass(frozen=True)
class FilledText:
    """The whole text, and its tokens one by one."""

    text: str
    tokens: tuple[str, ...]
    """The text of each token."""
    filled: Filled
    """Their ids, moments and confidences."""

    def __str__(self) -> str:
        return self.text

    @property
    def strokes(self) -> Sequence[Stroke]:
        """Step by step."""
        return self.filled.strokes

    def to_json(self) -> dict[str, Any]:
        """Plain data: the text, and of every token its text, whether it was given, its moment and its probability."""
        f = self.filled
        return {
            "text": self.text,
            "nats": f.nats,
            "steps": len(f.strokes),
            "tokens": [
                {"text": token, "given": bool(given), "moment": int(moment), "probability": float(p)}
                for token, given, moment, p in zip(self.tokens, f.given, f.moments, f.confidence, strict=True)
            ],
        }


@dataclass(frozen=True)
class Filling:
    """How a text's gaps are found and filled."""

    gap: str = PATTERN
    """A regular expression for gaps; a gap has as many tokens as its match has characters."""
    length: str | None = None
    """Tokens of every gap, ``5`` or a range ``3-8`` of which the best length is chosen."""
    temperature: float = 0.0
    """0 takes the likeliest token (left to right: by beam search)."""
    candidates: int | None = None
    """Fillings of which the best is kept; none: 1, or 16 from left to right."""
    rewriting: Rewriting | None = None
    """Write doubtful cells again (models in any order)."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self) -> None:
        if self.temperature == 0 and self.seed != 0:
            raise UserError(f"seed {self.seed} cannot act at temperature 0: nothing is drawn.")


def fill_text(predictor: Predictor, tokenizer: Tokenizer, text: str, how: Filling) -> FilledText:
    """The text without gaps. ``UserError`` for one that has none, or has letters that the model does not know."""
    length = None if how.length is None else parse_length(how.length)
    pieces: list[Piece] = []
    for piece in split_at_gaps(text, how.gap, length):
        pieces.append(piece if isinstance(piece, Gap) else tokenizer.encode(piece))
    found = fill(
        predictor,
        pieces,
        Sampling(how.temperature),
        seed=how.seed,
        candidates=how.candidates,
        rewriting=how.rewriting,
    )
    texts = tokenizer.token_texts()
    return FilledText(tokenizer.decode(found.ids), tuple(texts[int(i)] for i in found.ids), found)
