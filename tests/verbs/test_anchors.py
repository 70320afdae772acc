"""The anchors are the compressors' own sizes, with and without the training text."""

import bz2
import gzip
import lzma

import pytest

from semagram.errors import UserError
from semagram.verbs.anchors import anchors

TRAINING = "the quick brown fox jumps over the lazy dog; é\n" * 40
TEXT = "the lazy brown fox over the quick dog jumps; é\n" * 3


def test_sizes():
    found = {a.name: a for a in anchors(TEXT, TRAINING)}
    data, both, before = TEXT.encode(), (TRAINING + TEXT).encode(), TRAINING.encode()
    sizes = {
        "gzip -9": lambda d: len(gzip.compress(d, 9)),
        "bz2 -9": lambda d: len(bz2.compress(d, 9)),
        "xz -9e": lambda d: len(lzma.compress(d, preset=9 | lzma.PRESET_EXTREME)),
    }
    assert set(found) == set(sizes)
    for name, size in sizes.items():
        assert found[name].alone == pytest.approx(8 * size(data) / len(TEXT))
        assert found[name].given_training == pytest.approx(8 * (size(both) - size(before)) / len(TEXT))


def test_without_training_text():
    assert all(a.given_training is None for a in anchors(TEXT))


def test_an_empty_text_is_refused():
    with pytest.raises(UserError, match="no bits per character"):
        anchors("")
