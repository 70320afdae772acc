"""The laws of every tokenizer: lossless, counted right, equal after JSON, its mask id never text."""

import hashlib
import json
import os
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laws.foreign_tokenizers import tokenizer_file
from semagram.errors import UserError
from semagram.text import (
    BPE,
    Bytes,
    Characters,
    StreamingDecoder,
    Tokenizer,
    TokenizerConfig,
    tokenizer_from_json,
)
from semagram.text.bpe import BPETokenizer, _pieces
from semagram.text.byte_tokens import ByteTokenizer
from semagram.text.pretrained import Pretrained

CONFIGS = (Characters(), Bytes(), BPE(300), Pretrained(tokenizer_file(262)))
CORPUS = (
    "The cat sat on the mat.  The cat's hat, 1999!\r\n\r\n\tNaïve café — 日本語の文章。\n"
    "émigré e\u0301 😀👩‍🚀 \x00 end\n" * 8
)
# What breaks tokenizers: runs of white space, line ends, apostrophes, digits, joining marks, far planes, NUL.
HARD = st.text(alphabet=" \n\r\t\x0b\u00a0\u2028'.!aAsSt19é\u0301日😀\u200d\x00\\", max_size=60)
HARD_EXAMPLES = (
    "",
    " ",
    "\r\n",
    "\n\r",
    "a  b",
    "\x00",
    "e\u0301",
    "👩‍🚀",
    "\ufeffa",
    "\u2028",
    "don't\n\n\n  x ",
    "\U0010ffff",
)

TRAINED: dict[str, Tokenizer] = {type(config).__name__: config.train(CORPUS) for config in CONFIGS}
every_tokenizer = pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED.keys())


def obeys_the_laws(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64 and ids.ndim == 1
    assert tokenizer.mask_id == tokenizer.vocabulary_size
    assert np.all((ids >= 0) & (ids < tokenizer.vocabulary_size))
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids.tolist(), strict=True) == text
    assert tokenizer.lengths(ids).shape == ids.shape
    assert tokenizer.lengths(ids).sum() == len(text)
    stream = StreamingDecoder(tokenizer)
    assert "".join(stream.push([i]) for i in ids.tolist()) + stream.finish() == text


def test_every_kind_of_tokenizer_is_tested() -> None:
    assert {type(config) for config in CONFIGS} == set(get_args(TokenizerConfig))


@given(st.text())
def test_characters_are_lossless(text: str) -> None:
    if text:
        obeys_the_laws(Characters().train(text), text)


@given(st.text() | HARD)
def test_bytes_are_lossless(text: str) -> None:
    obeys_the_laws(TRAINED["Bytes"], text)


@given(st.text() | HARD)
@settings(max_examples=150)
def test_bpe_is_lossless_on_texts_it_was_not_trained_on(text: str) -> None:
    obeys_the_laws(TRAINED["BPE"], text)


@pytest.mark.parametrize("text", [*HARD_EXAMPLES, CORPUS])
def test_hard_texts_are_lossless(text: str) -> None:
    for config in CONFIGS:
        obeys_the_laws(config.train(text or "a"), text)
    obeys_the_laws(TRAINED["BPE"], text)


@every_tokenizer
def test_json_and_back_is_equal(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again == tokenizer and hash(again) == hash(tokenizer)
    assert again.fingerprint == tokenizer.fingerprint
    assert np.array_equal(again.encode(CORPUS), tokenizer.encode(CORPUS))


def test_fingerprints_differ_with_the_vocabulary() -> None:
    tokenizers = [
        Characters().train("ab"),
        Characters().train("abc"),
        Bytes().train(""),
        BPE(300).train(CORPUS),
    ]
    tokenizers.append(BPE(301).train(CORPUS))
    assert len({tokenizer.fingerprint for tokenizer in tokenizers}) == 5
    canonical = b'{"characters":"ab","kind":"characters"}'  # saved runs rely on this form
    assert tokenizers[0].fingerprint == hashlib.sha256(canonical).hexdigest()


@every_tokenizer
def test_token_texts_are_printable_and_all_different(tokenizer: Tokenizer) -> None:
    texts = tokenizer.token_texts()
    assert len(texts) == len(set(texts)) == tokenizer.vocabulary_size
    assert all(text.isprintable() for text in texts)


def test_token_texts_are_written_as_in_a_python_string() -> None:
    assert Characters().train("\n\x00 \\é\x85😀\U000e0001").token_texts() == [
        "\\x00", "\\n", " ", "\\\\", "\\u0085", "é", "😀", "\\U000e0001",
    ]  # fmt: skip
    assert Bytes().train("").token_texts()[0xE9] == "\\xe9"


@every_tokenizer
def test_the_mask_id_and_foreign_ids_are_refused(tokenizer: Tokenizer) -> None:
    v = tokenizer.vocabulary_size
    with pytest.raises(UserError, match=rf"id {v} at place 1 is the mask id"):
        tokenizer.decode([0, v])
    for wrong in (-1, v + 1):
        with pytest.raises(UserError, match=rf"id {wrong} at place 0 is out of range; allowed are 0\.\.{v - 1}\."):
            tokenizer.decode([wrong])
        with pytest.raises(UserError, match="out of range"):
            tokenizer.lengths([wrong])
        with pytest.raises(UserError, match="out of range"):
            StreamingDecoder(tokenizer).push([wrong])
    with pytest.raises(UserError, match="integers"):
        tokenizer.decode(np.array([0.5]))
    with pytest.raises(UserError, match="one row"):
        tokenizer.decode(np.zeros((2, 2), dtype=int))
    assert tokenizer.decode([]) == "" and tokenizer.lengths([]).shape == (0,)


@pytest.mark.parametrize("config", CONFIGS, ids=TRAINED.keys())
def test_lone_surrogates_are_refused(config: TokenizerConfig) -> None:
    for act in (config.train, config.train("ab").encode):
        with pytest.raises(UserError, match=r"lone surrogate, '\\ud800', at position 2"):
            act("ab\ud800")


# --- characters


def test_characters_are_sorted_and_small_vocabularies_work() -> None:
    assert Characters().train("banana\n").to_json()["characters"] == "\nabn"
    assert Characters().train("aaa").encode("aa").tolist() == [0, 0]
    with pytest.raises(UserError, match="the training text is empty"):
        Characters().train("")


def test_unknown_characters_are_named() -> None:
    tokenizer = Characters().train("bdf")
    with pytest.raises(UserError) as raised:
        tokenizer.encode("bdaceé\ngab")
    assert str(raised.value) == (
        "the text holds characters outside the vocabulary of 3: 'a', 'c', 'e', 'é', '\\n' and 1 more; "
        "the first, 'a', stands at position 2. Bytes() has no such limit."
    )
    for unknown in "ag\U0010ffff\x00":  # before, behind and far behind the vocabulary
        with pytest.raises(UserError, match="outside the vocabulary"):
            tokenizer.encode(unknown)


# --- bytes of a model are not always characters


@given(st.binary(max_size=12))
@example(b"\xf0\x9f")
@example(b"\xe2\x28\xa1")
def test_streaming_any_bytes_equals_decoding_them_at_once(data: bytes) -> None:
    tokenizer, ids = ByteTokenizer(), list(data)
    stream = StreamingDecoder(tokenizer)
    shown = [stream.push([i]) for i in ids]
    assert tokenizer.decode(ids, partial=True) == "".join(shown)
    assert "".join(shown) + stream.finish() == tokenizer.decode(ids) == data.decode("utf-8", "replace")
    assert stream.push([65]) == "A"  # finish() leaves nothing behind


def test_partial_drops_only_an_unfinished_tail() -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode("a😀")
    assert [tokenizer.decode(ids[:n], partial=True) for n in range(6)] == ["", "a", "a", "a", "a", "a😀"]
    assert tokenizer.decode(ids[:3]) == "a\ufffd"
    assert tokenizer.decode(ids[:3], partial=True, strict=True) == "a"


def test_strict_decoding_names_the_byte() -> None:
    with pytest.raises(UserError, match="byte 0xff at byte offset 1 is not UTF-8"):
        ByteTokenizer().decode([65, 255, 65], strict=True)
    with pytest.raises(UserError, match="byte 0xe2 at byte offset 0"):
        ByteTokenizer().decode([0xE2, 0x82], strict=True)


def test_lengths_count_a_character_at_its_leading_byte() -> None:
    assert ByteTokenizer().lengths(ByteTokenizer().encode("é€😀a")).tolist() == [1, 0, 1, 0, 0, 1, 0, 0, 0, 1]


# --- byte pairs


def test_bpe_shortens_what_it_was_trained_on_and_has_the_size_asked_for() -> None:
    tokenizer = BPE(300).train(CORPUS)
    assert tokenizer.vocabulary_size == 300
    assert len(tokenizer.encode(CORPUS)) < 0.6 * len(CORPUS.encode())
    assert BPE(256).train(CORPUS).encode("né").tolist() == list("né".encode())
    assert BPE(5000).train("abab abab").vocabulary_size < 270  # nothing more to merge
    with pytest.raises(UserError, match=r"vocabulary_size is 255; BPE needs at least 256"):
        BPE(255)


# One that has merged runs of white space, which a cut in the wrong place would break.
RUNS = BPE(340).train((CORPUS + "\n\n\n   x  \n\n y \r\n\r\n    don't  \n") * 20)


@given(HARD)
@example("x\n\n\n   x")
@settings(max_examples=150)
def test_cutting_a_long_text_into_pieces_changes_no_token(text: str) -> None:
    pieces = list(_pieces(text, size=1))
    assert "".join(pieces) == text
    cut = [i for piece in pieces for i in RUNS.engine.encode(piece).ids]
    assert cut == RUNS.engine.encode(text).ids


def test_a_text_of_many_pieces_and_a_word_without_end() -> None:
    tokenizer = TRAINED["BPE"]
    assert len(list(_pieces(CORPUS * 200))) > 2
    obeys_the_laws(tokenizer, "x" * 70_000 + " y")
    ids = tokenizer.encode(CORPUS * 200)
    assert tokenizer.decode(ids) == CORPUS * 200


def test_the_engine_has_the_same_ids_and_text() -> None:
    tokenizer = TRAINED["BPE"]
    assert isinstance(tokenizer, BPETokenizer)
    ids = tokenizer.encode(CORPUS)
    assert tokenizer.engine.encode(CORPUS).ids == ids.tolist()
    assert tokenizer.engine.decode(ids.tolist()) == CORPUS
    assert tokenizer.engine.get_vocab_size() == tokenizer.vocabulary_size


def test_training_twice_in_other_processes_gives_the_same_tokenizer() -> None:
    program = (
        "import sys; from semagram.text import BPE; print(BPE(400).train(sys.stdin.buffer.read().decode()).fingerprint)"
    )
    text = (CORPUS + "".join(f"word{i % 37} {i * i} " for i in range(3000))) * 2
    here = BPE(400).train(text).fingerprint
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        there = subprocess.run(
            [sys.executable, "-c", program],
            input=text.encode(),
            env=environment,
            capture_output=True,
            check=True,
        )
        assert there.stdout.decode().strip() == here


def test_two_merges_that_spell_the_same_token_are_one_token() -> None:
    a, b, c = b"abc"
    tokenizer = BPETokenizer(((a, b), (b, c), (256, c), (a, 257), (258, a)))
    assert tokenizer.vocabulary_size == 260
    assert tokenizer.token_bytes[256:] == (b"ab", b"bc", b"abc", b"abca")
    obeys_the_laws(tokenizer, "abcabca abc bc")


# --- JSON that is not ours


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"kind": "byte"},
            r'"byte" is no kind of tokenizer; allowed: characters, bytes, bpe, pretrained, interleaved',
        ),
        ({}, "it holds nothing"),
        ({"kind": "bytes", "more": 1}, "it holds kind, more"),
        ({"kind": "characters"}, "it holds kind;"),
        ({"kind": "characters", "characters": "ba"}, "distinct, sorted"),
        ({"kind": "characters", "characters": "aa"}, "distinct, sorted"),
        ({"kind": "characters", "characters": ""}, "distinct, sorted"),
        ({"kind": "characters", "characters": "\ud800"}, "lone surrogate"),
        (
            {"kind": "bpe", "merges": [[97, 256]]},
            r"merge 0 is \(97, 256\); at that place ids 0..255 are known",
        ),
        ({"kind": "bpe", "merges": [[97, -1]]}, "merge 0"),
        ({"kind": "bpe", "merges": [[97]]}, r"merge 0 of the tokenizer must be two ids, not \[97\]"),
    ],
)
def test_wrong_json_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tokenizer_from_json(data)
