"""Splits: by position, complete, and the enwik8 way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.text import Split, split


@given(st.text(), st.floats(0.01, 1.0), st.booleans())
def test_the_parts_joined_are_the_text(text: str, train: float, in_bytes: bool) -> None:
    rule = Split(train=train, validation=(1 - train) / 2, test=(1 - train) / 2, in_bytes=in_bytes)
    assert "".join(rule.cut(text)) == text
    assert "".join(split(text, train)) == text


@pytest.mark.parametrize(
    ("train", "total", "first"), [(0.9, 10, 9), (0.29, 100, 29), (0.7, 10, 7), (1.0, 7, 7), (0.9, 1, 0)]
)
def test_the_cut_is_where_it_is_expected(train: float, total: int, first: int) -> None:
    beginning, end = split("x" * total, train)
    assert (len(beginning), len(end)) == (first, total - first)


def test_three_parts() -> None:
    assert [len(part) for part in Split(0.9, 0.05, 0.05).cut("x" * 200)] == [180, 10, 10]


def test_bytes_are_counted_and_no_character_is_cut() -> None:
    text = "a" * 10 + "€" * 10  # 40 bytes; 0.5 of them falls inside the fourth euro sign, after 19 bytes
    beginning, middle, end = Split(0.5, 0.25, 0.25, in_bytes=True).cut(text)
    assert beginning == "a" * 10 + "€" * 3
    assert len(beginning.encode()) == 19 and beginning + middle + end == text
    assert Split(0.5, 0.5).cut(text)[0] == "a" * 10


@pytest.mark.parametrize(
    "parts", [(0.9, 0.2, 0.0), (0.0, 1.0, 0.0), (1.1, -0.1, 0.0), (0.5, 0.4, 0.0), (float("nan"), 0.1, 0.0)]
)
def test_fractions_that_are_no_split_are_refused(parts: tuple[float, float, float]) -> None:
    with pytest.raises(UserError, match="sum 1 and something to train on"):
        Split(*parts)
