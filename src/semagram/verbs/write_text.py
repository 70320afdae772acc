"""From a prompt to text, in every way there is: sampling, beams, drafts, contrasts, constraints.

One function for whatever has a predictor and a tokenizer; trained models and ensembles have it as ``generate``. What
cannot act beside something else is refused in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.predictors.contrastive import Contrastive
from semagram.text.streaming import StreamingDecoder
from semagram.text.tokenizer import Tokenizer
from semagram.verbs.beams import Beams, beam_search
from semagram.verbs.constraints import Pattern
from semagram.verbs.drafts import PredictorDraft
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling
from semagram.verbs.speculative import Draft, speculate


class Writer(Protocol):
    """What writes text: a trained model, or an ensemble of them."""

    @property
    def predictor(self) -> Predictor:
        """It under the predictor contract."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """From text to ids and back."""
        ...


def write_text(
    self: Writer,
    prompt: str | Sequence[str] = "",
    tokens: int = 200,
    *,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: str | None = None,
    samples: int = 1,
    seed: int = 0,
    stream: Callable[[int, str], None] | None = None,
    typical_p: float | None = None,
    eta: float | None = None,
    top_a: float | None = None,
    frequency_penalty: float = 0.0,
    presence_penalty: float = 0.0,
    ban: Sequence[str] = (),
    pattern: str | None = None,
    beams: int | None = None,
    length_penalty: float = 1.0,
    draft: Writer | Draft | None = None,
    ahead: int = 4,
    contrast: Writer | None = None,
    strength: float = 0.5,
) -> str | list[str]:
    """Continue a prompt (or several, of any lengths, in one batch) by ``tokens`` tokens.

    Returns prompt and continuation: a string for one prompt and one sample, otherwise a list, the samples of
    a prompt together. ``stop`` ends a text before its first occurrence. ``stream(row, text)`` is called with
    each piece of text as it is written. Temperature to ``top_a`` and penalties: ``verbs.sampling``. ``ban``: texts of
    single tokens that are never written. ``pattern``: a regular expression that the continuation matches as far as it
    goes. ``beams``: the likeliest texts that so many beams find; nothing is drawn (``samples`` asks for the best few).
    ``draft``: another model of the same tokenizer, or a ``Draft``, proposes ``ahead`` tokens at a time; what is
    written keeps its distribution. ``contrast``: a poorer model, whose habits are held against it with ``strength``.
    Raises ``UserError`` for what cannot be, or cannot act.
    """
    if tokens < 0:
        raise UserError(f"tokens must be 0 or more, got {tokens}.")
    if samples < 1:
        raise UserError(f"samples must be at least 1, got {samples}.")
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    banned = tuple(_one_token(self.tokenizer, text) for text in ban)
    sampling = Sampling(
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty,
        typical_p,
        eta,
        top_a,
        frequency_penalty,
        presence_penalty,
        banned=banned,
    )
    predictor = self.predictor
    if contrast is not None:
        predictor = Contrastive(predictor, _same_text(self, contrast, "contrast").predictor, strength)
    elif strength != 0.5:
        raise UserError(f"strength {strength} cannot act without a model to contrast with.")
    if beams is None and length_penalty != 1.0:
        raise UserError(f"length_penalty {length_penalty} cannot act without beams.")
    if draft is None and ahead != 4:
        raise UserError(f"ahead {ahead} cannot act without a draft.")
    if beams is not None:
        if draft is not None or pattern is not None:
            raise UserError("beams cannot be searched with a draft or a pattern: leave one of them out.")
        if samples > beams:
            raise UserError(f"{beams} beams give at most {beams} texts a prompt, but {samples} samples were asked for.")
        if stream is not None:
            raise UserError("beams cannot be streamed: which text is best is known at the end only.")
        if sampling != Sampling(temperature=temperature, banned=banned) or temperature not in (0.8, 1.0):
            raise UserError("beams draw nothing: temperature, filters and penalties cannot act beside them.")
        texts = _searched(
            predictor, self.tokenizer, prompts, tokens, Beams(beams, length_penalty), samples, banned, stop
        )
        return texts[0] if isinstance(prompt, str) and samples == 1 else texts

    rows = [text for text in prompts for _ in range(samples)]
    decoders = [StreamingDecoder(self.tokenizer) for _ in rows]

    def told(row: int, token: int) -> None:
        piece = decoders[row].push([token])
        if piece and stream is not None:
            stream(row, piece)

    def ended(row: int, new: list[int]) -> bool:
        return bool(stop) and stop in self.tokenizer.decode(new, partial=True)

    encoded = [self.tokenizer.encode(text) for text in rows]
    streamed, finished = told if stream is not None else None, ended if stop else None
    if draft is not None:
        if pattern is not None:
            raise UserError("a draft cannot be checked under a pattern: leave one of them out.")
        proposer = draft if hasattr(draft, "drafter") else PredictorDraft(_same_text(self, draft, "draft").predictor)  # type: ignore[arg-type]
        written = speculate(
            predictor, proposer, encoded, tokens, sampling, ahead=ahead, seed=seed, stream=streamed, finished=finished  # type: ignore[arg-type]
        ).ids  # fmt: skip
    else:
        constraint = None if pattern is None else Pattern(pattern, exact_texts(self.tokenizer))
        written = generate(
            predictor, encoded, tokens, sampling, seed=seed, stream=streamed, finished=finished, constraint=constraint
        )
    texts = []
    for row, text in enumerate(rows):
        if stream is not None and (rest := decoders[row].finish()):
            stream(row, rest)
        new = self.tokenizer.decode(written[row][len(encoded[row]) :])
        texts.append(text + (new.split(stop)[0] if stop else new))
    return texts[0] if isinstance(prompt, str) and samples == 1 else texts


def exact_texts(tokenizer: Tokenizer) -> list[str | None]:
    """The text of each of the v tokens; None for one that is only part of a character."""
    found: list[str | None] = []
    for piece in tokenizer.list_tokens():
        try:
            found.append(piece.decode("utf-8"))
        except UnicodeDecodeError:
            found.append(None)
    return found


def _searched(
    predictor: Predictor,
    tokenizer: Tokenizer,
    prompts: list[str],
    tokens: int,
    beams: Beams,
    samples: int,
    banned: tuple[int, ...],
    stop: str | None,
) -> list[str]:
    """The best ``samples`` texts of each prompt."""
    if tokens == 0:
        return [text for text in prompts for _ in range(samples)]

    def ended(new: list[int]) -> bool:
        return bool(stop) and stop in tokenizer.decode(new, partial=True)

    encoded = [np.asarray(tokenizer.encode(text), dtype=np.int64) for text in prompts]
    plain = Sampling(banned=banned) if banned else None
    found = beam_search(predictor, encoded, tokens, beams, finished=ended if stop else None, sampling=plain)
    texts = []
    for text, continuations in zip(prompts, found, strict=True):
        for one in continuations[:samples]:
            new = tokenizer.decode(one.ids)
            texts.append(text + (new.split(stop)[0] if stop else new))
    return texts


def _one_token(tokenizer: Tokenizer, text: str) -> int:
    ids = tokenizer.encode(text) if text else []
    if len(ids) != 1:
        raise UserError(f"only single tokens can be banned; {text!r} is {len(ids)} tokens.")
    return int(ids[0])


def _same_text(model: Writer, other: Writer | Draft, what: str) -> Writer:
    """``other``, which must read the same ids."""
    if other.tokenizer.fingerprint != model.tokenizer.fingerprint:  # type: ignore[union-attr]
        raise UserError(f"the {what} model has another tokenizer than the model: train both with the same one.")
    return other  # type: ignore[return-value]
