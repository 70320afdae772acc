"""The user's errors, and the nearest match in them."""

from semagram.errors import UserError, nearest


def test_nearest_suggests_the_likeliest_word_in_its_own_spelling() -> None:
    assert nearest("caracters", ["bytes", "Characters"]) == ' Did you mean "Characters"?'
    assert nearest("BYTES", ["bytes", "bpe"]) == ' Did you mean "bytes"?'


def test_nearest_is_silent_when_nothing_is_like_it() -> None:
    assert nearest("zzz", ["bytes", "bpe"]) == ""
    assert nearest("anything", []) == ""


def test_a_user_error_is_a_value_error() -> None:
    assert issubclass(UserError, ValueError)
