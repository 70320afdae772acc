"""Constraints against ``re`` on all texts of a small alphabet, and in generating."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from laws.predictors_walked import VOCABULARY, network, ngram
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.predictors import CausalPredictor, Unmasking, predictor_of
from semagram.verbs.constraints import Allowed, Pattern
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

TEXTS = ["a", "b", "1", " ", "ab", "", None]
PATTERNS = [
    "a*b",
    "(a|b1)+ ?",
    "[ab]{2,3}",
    r"\d+|a b",
    "[^a]b?",
    "a{0}b",
    r"(?:ab){1,2}\s",
    r"\w*?1",
    ".{3}",
    "(|a)b",
    "a?a?b",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_allows_what_can_still_be_completed(pattern: str) -> None:
    """Of all texts up to 4 characters: walked to the end exactly those that match; and no dead ends."""
    constraint = Pattern(pattern, TEXTS)
    whole = ["".join(t) for n in range(6) for t in itertools.product("ab1 ", repeat=n)]
    matches = {t for t in whole if re.fullmatch(pattern, t)}
    for n in range(5):
        for tokens in itertools.product(range(5), repeat=min(n, 3)):
            text, state, fits = "", constraint.start(), True
            for token in tokens:
                fits = fits and bool(constraint.allowed(state)[token])
                state = constraint.advance(state, token)
                text += TEXTS[token] or ""
            if len(text) > 4:
                continue
            possible = any(m.startswith(text) for m in matches)
            assert fits == possible or (fits and len(text) >= 3), (pattern, text)
            if fits:
                assert constraint.matched(state) == (text in matches), (pattern, text)
    assert not constraint.allowed(constraint.start())[5] and not constraint.allowed(constraint.start())[6]


def test_generated_text_matches() -> None:
    texts = list("ab1 c")
    predictor = CausalPredictor(network(Visibility.CAUSAL, Sequence(12)), Sequence(12))
    prompts = [np.array([0, 1]), np.array([], dtype=np.int64), np.arange(15) % VOCABULARY]
    for pattern in ("(ab|1){2}", "a{3}b?"):
        for written, prompt in zip(
            generate(predictor, prompts, 9, constraint=Pattern(pattern, texts)), prompts, strict=True
        ):
            new = "".join(texts[i] for i in written[len(prompt) :])
            assert re.fullmatch(pattern, new), new
    for written, prompt in zip(
        generate(ngram(), prompts, 9, constraint=Allowed([1, 3], VOCABULARY)), prompts, strict=True
    ):
        assert len(written) == len(prompt) + 9 and set(written[len(prompt) :].tolist()) <= {1, 3}


def test_what_cannot_be_is_refused() -> None:
    for pattern, reason in (("(a", "no regular expression"), ("(?=a)b", "assert"), ("^a", "at"), ("(?i)a", "flags")):
        with pytest.raises(UserError, match=reason):
            Pattern(pattern, TEXTS)
    with pytest.raises(UserError, match="too large"):
        Pattern("(a{200}){200}", TEXTS)
    with pytest.raises(UserError, match=r"0\.\.4, got \[5\]"):
        Allowed([5], 5)
    full = predictor_of(network(Visibility.FULL, Sequence(5)), Sequence(5), Unmasking())
    with pytest.raises(UserError, match="fixed order"):
        generate(full, [np.array([1])], 3, constraint=Allowed([1], VOCABULARY))
    with pytest.raises(UserError, match="no token is left"):
        generate(ngram(), [np.array([1])], 3, Sampling(), constraint=Pattern("é", list("ab1 c")))
