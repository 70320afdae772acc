"""Whatever a user gets wrong is one clear line on stderr, exit status 2, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from semagram.cli import main

Said = Callable[..., tuple[int, str]]
TINY = ["--model.width", "16", "--model.depth", "1", "--model.mixer.heads", "2", "--layout.length", "16"]
QUICK = [*TINY, "--training.batch", "2", "--budget", "4steps", "--quiet"]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command; its exit status and what it said on stderr."""

    def run(*words: object) -> tuple[int, str]:
        status = main([str(w) for w in words])
        return status, capsys.readouterr().err

    return run


def refused(result: tuple[int, str], *words: str) -> None:
    """Exit status 2, one line, with these words in it."""
    status, line = result
    assert status == 2, line
    assert line.count("\n") == 1 and "Traceback" not in line, line
    for word in words:
        assert word in line, line


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a small alphabet."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text("abc abd acd bcd. " * 60)
    assert main(["train", str(folder / "text.txt"), *QUICK, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run that may be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"text\x00\x01\x02binary" * 30, "binary"), (b"a", "1 character"), (b"abcdefg" * 2, "canvas")],
    ids=["empty", "binary", "one character", "shorter than the context"],
)
def test_texts_that_cannot_be_trained_on(said: Said, tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    refused(said("train", tmp_path / "text.txt", *QUICK, "--out", tmp_path / "run"), word)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_missing_file_names_the_nearest(said: Said, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("some text")
    refused(said("train", tmp_path / "bok.txt", "--out", tmp_path / "run"), "bok.txt", "book.txt")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.dpth", "3"], ["--model.dpth", "--model.depth"]),
        (["--model.depth", "three"], ["--model.depth", "three"]),
        (["--model.depth", "-3"], ["depth", "-3"]),
        (["--model.mixer", "Atention"], ["Atention", "Attention", "Convolution"]),
        (["--model.mixer.heads", "5"], ["5 heads", "128"]),
        (["--objective", "Masked"], ["Masked", "FULL", "RankByRank", "CAUSAL"]),
        (["--budget", "5parsecs"], ["5parsecs", "2000steps"]),
        (["--recipe", "basline"], ["basline", "baseline"]),
        (["--recipe", "nowhere.py"], ["nowhere.py"]),
        (["--training.batch", "0"], ["batch", "0"]),
        (["--training.precision", "float31"], ["float31", "float32"]),
    ],
)
def test_wrong_options(said: Said, tmp_path: Path, words: list[str], told: list[str]) -> None:
    refused(said("train", "pydocs", "--out", tmp_path / "run", "--quiet", *words), *told)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_wrong_command(said: Said) -> None:
    refused(said("trian"), "trian", "train")


def test_a_recipe_that_does_not_run(said: Said, tmp_path: Path) -> None:
    (tmp_path / "idea.py").write_text("EXPERIMENT = 1 / 0\n")
    refused(said("train", "--recipe", tmp_path / "idea.py"), "idea.py", "ZeroDivisionError")
    (tmp_path / "idea.py").write_text("experiment = 3\n")
    refused(said("train", "--recipe", tmp_path / "idea.py"), "EXPERIMENT")


def test_a_run_is_not_written_over(said: Said, trained: Path) -> None:
    before = (trained / "model.safetensors").read_bytes()
    refused(said("train", "pydocs", *QUICK, "--out", trained), "already holds a run", "--resume")
    assert (trained / "model.safetensors").read_bytes() == before


def test_a_damaged_model(said: Said, copied: Path) -> None:
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(said("generate", copied), "model.safetensors", "damaged")


def test_a_damaged_checkpoint(said: Said, copied: Path) -> None:
    for path in (copied / "checkpoints").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    text = copied.parent.parent / "nothing"
    refused(said("train", "--resume", "--out", copied, *QUICK, _text_of(copied)), "safetensors")
    assert not text.exists()


def _text_of(run: Path) -> str:
    return json.loads((run / "config.json").read_text())["text"][0]


def test_a_model_of_another_vocabulary(said: Said, copied: Path) -> None:
    tokenizer = json.loads((copied / "tokenizer.json").read_text())
    tokenizer["characters"] += "xyz"
    (copied / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused(said("generate", copied), "embedding", "shape")


def test_a_damaged_configuration(said: Said, copied: Path) -> None:
    (copied / "config.json").write_text("{")
    refused(said("generate", copied), "config.json", "damaged")
    (copied / "config.json").write_text('{"kind": "Experiment", "nme": "x"}')
    refused(said("generate", copied), "nme", "name")


def test_a_prompt_that_the_vocabulary_cannot_spell(said: Said, trained: Path) -> None:
    refused(said("generate", trained, "--prompt", "abc Zebra"), "Z")


def test_not_a_run(said: Said, tmp_path: Path) -> None:
    refused(said("generate", tmp_path / "nowhere"), "nowhere")
    refused(said("score", tmp_path), "config.json")


def test_wrong_sampling(said: Said, trained: Path) -> None:
    refused(said("generate", trained, "--temperature", "-1"), "temperature", "-1")
    refused(said("generate", trained, "--top-p", "2"), "top_p", "2")
    refused(said("generate", trained, "--top-k", "0"), "top_k", "0")


@contextmanager
def powerless() -> Iterator[None]:
    """As nobody special: root, who may write anywhere, becomes another user for the time of the test."""
    before, nobody = os.geteuid(), 65534
    os.seteuid(nobody if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that may be read and entered, and not written to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        yield Path(folder)
        Path(folder).chmod(0o755)


@pytest.fixture
def readable(trained: Path) -> Iterator[Path]:
    """A copy of the run, and of its text, that every user may read."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(shutil.copytree(trained, Path(folder) / "run"))
        Path(folder, "text.txt").write_text("abc abd acd bcd. " * 60)
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield run


@pytest.mark.parametrize("place", ["run", "a/b/run"])
def test_no_permission(said: Said, readable: Path, forbidden: Path, place: str) -> None:
    words = ["train", readable.parent / "text.txt", *QUICK, "--out"]
    assert said(*words, readable.parent / "another")[0] == 0  # All that is imported late is imported now.
    with powerless():
        refused(said(*words, forbidden / place), "ermission", str(forbidden))
    assert not list(forbidden.iterdir())


def test_no_permission_to_write_the_answer(said: Said, readable: Path, forbidden: Path) -> None:
    words = ["compress", readable, readable.parent / "text.txt", "-o"]
    assert said(*words, readable.parent / "file")[0] == 0
    with powerless():
        refused(said(*words, forbidden / "file"), "ermission", str(forbidden))
    assert not list(forbidden.iterdir())


def test_a_file_where_the_run_should_be(said: Said, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    refused(said("train", "pydocs", *QUICK, "--out", tmp_path / "run"), "run", "file")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_foreign_file_is_not_decompressed(said: Said, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(b"PK\x03\x04 not ours" * 20)
    refused(said("decompress", trained, tmp_path / "foreign", "-o", tmp_path / "text"))
    assert not (tmp_path / "text").exists()


def test_compressing_does_not_write_over(said: Said, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    refused(said("compress", trained, "-o", tmp_path / "mine"), "mine", "--force")
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_internal_error_says_so(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_words: list[str]) -> int:
        raise RuntimeError("broken inside")

    monkeypatch.setattr("semagram.commands.recipes.run", fail)
    status, line = said("recipes")
    assert status == 1 and "internal error" in line and "--debug" in line and "Traceback" not in line
    with pytest.raises(RuntimeError):
        main(["recipes", "--debug"])
