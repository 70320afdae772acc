"""Whatever the predictor, its order and the text: the file gives the text back and is as long as the score says."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from semagram.errors import UserError
from semagram.text.characters import Characters
from semagram.text.tokenizers import BPE, Bytes
from semagram.verbs.compress import compress, compress_text
from semagram.verbs.container import from_bytes
from semagram.verbs.decompress import decompress, decompress_text
from semagram.verbs.determinism import mark
from semagram.verbs.score import score
from verbs.verbs_toys import IDENTITY, ZOO, AdaptiveBigram, Wanderer, sample


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize(("count", "stretches"), [(1, None), (23, None), (100, 1), (200, 7)])
def test_round_trip_at_the_scored_length(name, count, stretches):
    predictor, ids = ZOO[name](), sample(count, 11, seed=count)
    data = compress(predictor, ids, IDENTITY, stretches=stretches)
    assert (decompress(predictor, data, IDENTITY) == ids).all()
    ideal = score(predictor, ids, stretches=stretches).total_nats / np.log(2)
    # Filler cells may stand elsewhere in another batch, but they never count.
    # Zeros at the end are not written, and where the file ends says so: a little luck is possible.
    assert ideal * 0.999 - 24 <= 8 * len(from_bytes(data).payload) <= ideal * 1.001 + 24


def test_the_same_call_gives_the_same_file():
    predictor, ids = ZOO["attention"](), sample(100, 11)
    assert compress(predictor, ids, IDENTITY) == compress(predictor, ids, IDENTITY)


@pytest.mark.parametrize("stride", [1, 5, 24])
def test_strides(stride):
    predictor, ids = ZOO["attention"](), sample(100, 11)
    data = compress(predictor, ids, IDENTITY, stretches=3, stride=stride)
    assert from_bytes(data).stride == stride
    assert (decompress(predictor, data, IDENTITY) == ids).all()


TEXT = "she sells sea shells by the sea shore\n" * 3


@pytest.mark.parametrize("text", ["", "s", TEXT, "Zoë sells ¥€ 🐚\U0010ffff shells\0", "日本語", "日", "sssé" * 50])
@pytest.mark.parametrize("tokenizer", [Characters(), Bytes(), BPE(300)])
def test_any_text_comes_back(text, tokenizer):
    trained = tokenizer.train(TEXT)
    predictor = AdaptiveBigram(trained.vocabulary_size)
    data = compress_text(predictor, trained, text, IDENTITY)
    assert decompress_text(predictor, trained, data, IDENTITY) == text
    assert from_bytes(data).characters == len(text)


def test_a_vocabulary_of_one_and_of_two():
    for training, text in [("a", "aaaa" * 500), ("ab", "abba"), ("a", "abc")]:
        trained = Characters().train(training)
        predictor = AdaptiveBigram(trained.vocabulary_size)
        data = compress_text(predictor, trained, text, IDENTITY)
        assert decompress_text(predictor, trained, data, IDENTITY) == text


def test_the_header_is_small_and_is_all_there_is_beside_the_ids():
    trained = Characters().train(TEXT)
    data = compress_text(AdaptiveBigram(trained.vocabulary_size), trained, TEXT, IDENTITY)
    found = from_bytes(data)
    assert len(data) - len(found.payload) <= 22
    assert found.bits_per_character() == 8 * len(data) / len(TEXT)


def test_an_embedded_model_is_kept_and_counted():
    trained = Characters().train(TEXT)
    predictor = AdaptiveBigram(trained.vocabulary_size)
    parts = {"config.json": b"{}", "model.safetensors": bytes(1000), "empty": b""}
    plain = compress_text(predictor, trained, TEXT, IDENTITY)
    data = compress_text(predictor, trained, TEXT, IDENTITY, parts=parts)
    found = from_bytes(data)
    assert found.parts == parts
    assert len(data) - len(plain) == found.model_bytes > 1000
    assert decompress_text(predictor, trained, data, IDENTITY) == TEXT


def test_threads_are_the_files_and_are_put_back():
    used = []

    class Watched(Wanderer):
        def canvas(self, length):
            used.append(torch.get_num_threads())
            return super().canvas(length)

    ids = sample(30, 7)
    data = compress(Watched(), ids, IDENTITY, 2)
    used.clear()
    assert (decompress(Watched(), data, IDENTITY) == ids).all()
    assert 2 in used and torch.get_num_threads() == 1


def test_another_build_is_warned_of_and_the_checksum_decides(monkeypatch):
    ids = sample(50, 7)
    monkeypatch.setattr("semagram.verbs.compress.mark", lambda: b"?" if mark() != b"?" else b"!")
    data = compress(Wanderer(), ids, IDENTITY)
    said: list[str] = []
    assert (decompress(Wanderer(), data, IDENTITY, warn=said.append) == ids).all()
    assert len(said) == 1 and "another torch build or processor" in said[0]
    with pytest.raises(UserError, match=r"match its checksum.*another torch build|cannot have been written"):
        decompress(AdaptiveBigram(7, context=12), data, IDENTITY, warn=said.append)


def test_another_model_never_gives_another_text():
    trained = Characters().train(TEXT)
    v = trained.vocabulary_size
    data = compress_text(AdaptiveBigram(v), trained, TEXT, IDENTITY)
    for wrong in (AdaptiveBigram(v, context=9), AdaptiveBigram(v - 1), AdaptiveBigram(v + 1)):
        with pytest.raises(UserError, match=r"does not match its checksum|cannot have been written"):
            decompress_text(wrong, trained, data, IDENTITY)
    with pytest.raises(UserError, match=r"written by run 012345\.\.\., you gave ffffff\.\.\."):
        decompress_text(AdaptiveBigram(v), trained, data, "f" * 64)
    with pytest.raises(UserError, match="holds text, not ids: read it with decompress_text"):
        decompress(AdaptiveBigram(v), data, IDENTITY)


def test_wrong_arguments_are_named():
    ids = sample(5, 7)
    with pytest.raises(UserError, match="threads must be from 1 to 255, got 0"):
        compress(Wanderer(), ids, IDENTITY, 0)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        compress(Wanderer(), ids, "abc")
    with pytest.raises(UserError, match=r"knows ids 0\.\.6"):
        compress(Wanderer(), ids + 7, IDENTITY)
    with pytest.raises(UserError, match="lone surrogate"):
        compress_text(Wanderer(), Bytes().train(""), "\ud800", IDENTITY)


def test_a_predictor_that_never_ends_is_stopped():
    class Endless(AdaptiveBigram):
        def open(self, layout, batch, given=None):
            state = super().open(layout, batch, given)
            state.n = 10**9
            state.write = lambda ids: None  # type: ignore[method-assign]
            return state

    class Tail(Endless):
        """Offers cells that do not count, for ever."""

        def canvas(self, length):
            return super().canvas(length + 5)

        def open(self, layout, batch, given=None):
            state = super().open(layout, batch, given)
            state.at = layout.count
            return state

    with pytest.raises(RuntimeError, match="must offer each of 5 cells once"):
        compress(Tail(7), sample(5, 7), IDENTITY)


def test_a_fresh_process_decodes(tmp_path: Path):
    predictor, ids = ZOO["attention"](), sample(300, 11)
    (tmp_path / "file").write_bytes(compress(predictor, ids, IDENTITY, stretches=4))
    program = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[2])\n"
        "from verbs_toys import ZOO, IDENTITY\n"
        "from semagram.verbs.decompress import decompress\n"
        "ids = decompress(ZOO['attention'](), open(sys.argv[1], 'rb').read(), IDENTITY)\n"
        "print(hashlib.sha256(ids.astype('<i4').tobytes()).hexdigest())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "file"), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == sha256(ids.astype("<i4").tobytes()).hexdigest()
