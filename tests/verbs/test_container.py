"""Damage is found before decoding, by name; 10,000 and more mutated files never crash, hang or lie."""

import dataclasses
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.text.characters import Characters
from semagram.verbs.bytes_cursor import Cursor, number, string
from semagram.verbs.compress import compress_text
from semagram.verbs.container import Container, from_bytes, to_bytes
from semagram.verbs.decompress import decompress_text
from verbs.verbs_toys import IDENTITY, AdaptiveBigram

TEXT = "no news is good news, é no"
TOKENIZER = Characters().train(TEXT.replace("é", "e"))
PREDICTOR = AdaptiveBigram(TOKENIZER.vocabulary_size)
FILE = compress_text(PREDICTOR, TOKENIZER, TEXT, IDENTITY, stretches=2, parts={"a": b"model"})


def sealed(data: bytes) -> bytes:
    """The same bytes with the checksum made to fit: what a malicious writer would do."""
    return data[:3] + zlib.crc32(data[7:], zlib.crc32(data[:3])).to_bytes(4, "little") + data[7:]


def decoded(data: bytes) -> str | None:
    try:
        return decompress_text(PREDICTOR, TOKENIZER, data, IDENTITY, warn=lambda line: None)
    except UserError as error:
        assert str(error) and "\n" not in str(error)
        return None


def mutants(generator: random.Random, count: int):
    for _ in range(count):
        data = bytearray(FILE)
        for _ in range(generator.choice([1, 1, 1, 2, 5])):
            at = generator.randrange(len(data)) if data else 0
            kind = generator.randrange(6)
            if kind == 0 and data:
                data[at] ^= 1 << generator.randrange(8)
            elif kind == 1 and data:
                data[at] = generator.choice([0, 1, 127, 128, 255, generator.randrange(256)])
            elif kind == 2:
                del data[at:]
            elif kind == 3:
                data[at:at] = generator.randbytes(generator.choice([1, 1, 2, 9, 300]))
            elif kind == 4:
                del data[at : at + generator.randrange(1, 9)]
            else:
                data[at : at + 9] = b"\xff" * generator.randrange(1, 9) + b"\x7f"
        yield bytes(data)


def test_mutated_files_are_refused():
    for data in mutants(random.Random(1), 12_000):
        assert decoded(data) is None or data == FILE


def test_mutated_files_with_a_fitting_checksum_are_refused_or_right():
    right = 0
    for data in mutants(random.Random(2), 2_000):
        found = decoded(sealed(data))
        assert found in (None, TEXT)
        right += found == TEXT
    assert right < 1_000


def test_every_truncation_and_every_flipped_bit_is_refused():
    for end in range(len(FILE)):
        assert decoded(FILE[:end]) is None
    for place in range(8 * len(FILE)):
        flipped = bytearray(FILE)
        flipped[place // 8] ^= 1 << place % 8
        assert decoded(bytes(flipped)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": 10**12}, "for ids it says 1000000000000"),
        ({"stretches": 10**6}, "for stretches it says 1000000, and at most 256"),
        ({"stretches": 0}, "0 stretches"),
        ({"threads": 0}, "0 threads"),
        ({"characters": 10**15}, "does not match its checksum"),
        ({"characters": 5}, "does not match its checksum"),
        ({"count": 27}, "does not match its checksum"),
        ({"stretches": 1}, "does not match its checksum"),
        ({"stride": 2}, "leave the stride out"),
        ({"digest": bytes(6)}, "does not match its checksum"),
        ({"escapes": b"\0"}, "does not match its checksum"),
        ({"escapes": zlib.compress(bytes(10**7), wbits=-15)}, "does not match its checksum"),
        ({"escapes": b""}, "does not match its checksum"),
        ({"holds": "ids"}, "holds ids, not text"),
    ],
)
def test_a_changed_field_is_named(monkeypatch, change, said):
    # A writer without our limits: payloads are not filled up.
    monkeypatch.setattr("semagram.verbs.container.MOST_IDS_A_BYTE", 10**15)
    data = to_bytes(dataclasses.replace(from_bytes(FILE), **change))
    monkeypatch.undo()
    with pytest.raises(UserError, match=said):
        decompress_text(PREDICTOR, TOKENIZER, data, IDENTITY)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a semagram file"),
        (b"PK\3\4abc", "not a semagram file"),
        (FILE[:2], "ends after its first 2 bytes"),
        (FILE[:2] + b"\xe1" + FILE[3:], "has format 7; this semagram reads format 2"),
        (FILE[:-1], "damaged or cut short"),
        (FILE + b"\0", "damaged or cut short"),
        (sealed(FILE[:7]), "should have 3 more bytes, but has 0"),
        (sealed(FILE[:19]), "damaged"),
    ],
)
def test_other_files_are_refused(data, said):
    with pytest.raises(UserError, match=said):
        from_bytes(data)


def test_a_text_that_packs_too_well_is_filled_up():
    packed = dataclasses.replace(from_bytes(FILE), count=5_000, payload=b"x")
    assert from_bytes(to_bytes(packed)).payload == b"x\0\0\0\0"


@given(st.binary(max_size=40), st.integers(0, 2**63 - 1), st.binary(max_size=5))
def test_numbers_and_strings_come_back(data, value, rest):
    cursor = Cursor(string(data) + number(value) + rest)
    assert (cursor.string(), cursor.number(), cursor.take(len(rest)), cursor.left) == (data, value, rest, 0)


@pytest.mark.parametrize("value", [-1, 2**63])
def test_numbers_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match=f"got {value}"):
        number(value)


def test_no_characters_no_bits_per_character():
    empty = from_bytes(compress_text(PREDICTOR, TOKENIZER, "", IDENTITY))
    assert isinstance(empty, Container)
    with pytest.raises(UserError, match="at least one character"):
        empty.bits_per_character()
