"""What every labeller promises, walked over the whole union with texts that hypothesis makes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from tests.text.labels.cases import TEXTS, cases, kinds, label, there
from tests.text.labels.promise import keeps_its_word

from semagram.config import from_json, members, to_json
from semagram.errors import UserError
from semagram.text.labels import Finished, Labeller, Running, TextLabeller
from semagram.text.labels.words import finished

CASES = pytest.mark.parametrize("labeller", cases(), ids=label)
QUICK = settings(max_examples=10, deadline=None, database=None, derandomize=True)


def test_every_member_of_the_union_is_walked() -> None:
    assert {type(case) for case in cases()} == {kind for kind in members(Labeller) if there(kind)}


@CASES
@QUICK
@given(text=TEXTS)
def test_one_tag_a_character_and_the_future_moves_none_of_a_causal_one(labeller: TextLabeller, text: str) -> None:
    keeps_its_word(labeller, text)


@pytest.mark.parametrize("of", kinds(), ids=label)
@QUICK
@given(text=TEXTS)
def test_adapters_are_what_they_are_defined_as(of: TextLabeller, text: str) -> None:
    wanted = np.zeros(len(text), dtype=np.int64)
    for _, end, by in finished(text):
        wanted[by:] = of.label(text[:end])[end - 1]
    assert (Finished(of).label(text) == wanted).all()  # pyright: ignore[reportArgumentType]
    if of.causal:
        with pytest.raises(UserError, match="causal"):
            Running(of)  # pyright: ignore[reportArgumentType]
    else:
        each = [of.label(text[: t + 1])[t] for t in range(len(text))]
        assert Running(of).label(text).tolist() == each  # pyright: ignore[reportArgumentType]


@CASES
def test_names_are_fixed_and_the_configuration_is_kept(labeller: TextLabeller) -> None:
    names = labeller.names()
    assert names[0] == "none" and len(set(names)) == len(names) == labeller.vocabulary_size
    assert from_json(Labeller, to_json(labeller)) == labeller  # pyright: ignore[reportArgumentType]
    assert dataclasses.is_dataclass(labeller) and hash(labeller) == hash(from_json(Labeller, to_json(labeller)))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("labeller", [case for case in cases() if not case.causal], ids=label)
def test_what_reads_the_whole_text_has_no_reader(labeller: TextLabeller) -> None:
    with pytest.raises(UserError, match="Finished"):
        labeller.reader()
