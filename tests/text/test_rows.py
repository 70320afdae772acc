"""Texts laid in rows: there and back, rows of one width, units at the beginning of rows."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.text.rows import Unit, lay, unlay


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab .!?\n\t\"'日", max_size=80), st.integers(1, 9), st.sampled_from(typing.get_args(Unit)))
def test_there_and_back(text: str, width: int, unit: Unit) -> None:
    rows = lay(text, width, unit)
    assert unlay(rows) == text and len(rows) % width == 0


def test_units_begin_rows() -> None:
    assert lay("ab\ncdefg\nh", 4) == "ab\n·cdefg\n··h···"
    assert lay("I am. You? No!", 6, "sentence") == "I am. You? ·No!···"
    assert lay("a\nb\n\nc", 5, "verse") == "a\nb\n\nc····"


def test_refusals() -> None:
    with pytest.raises(UserError, match="does not have"):
        lay("a·b", 4)
    with pytest.raises(UserError, match="at least 1, got 0"):
        lay("a", 0)
