"""``semagram fill`` from end to end: the recipe trains, gaps are filled, animations are saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from semagram.cli import main

TEXT = "the quick brown fox jumps over the lazy dog.\nPACK MY BOX, with five dozen jugs!\n" * 12
TINY = ["--layout.height", "4", "--layout.width", "8", "--model.width", "32", "--model.depth", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe ``heptapod`` at toy size."""
    folder = tmp_path_factory.mktemp("fill")
    (folder / "book.txt").write_text(TEXT)
    words = [str(folder / "book.txt"), "--recipe", "heptapod", *TINY, "--budget", "30steps", "--quiet"]
    assert main(["train", *words, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_known_text_stays_and_gaps_are_filled(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = run.parent / "page.txt"
    page.write_text("the ____ brown ___\n")
    assert main(["fill", str(run), str(page)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the ") and " brown " in out and "_" not in out and len(out) == len("the ____ brown ___\n")
    assert main(["fill", str(run), "--text", "PACK ??? BOX", "--gap", r"\?+", "--length", "2-4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["text"].startswith("PACK ") and told["text"].endswith(" BOX") and 11 <= len(told["text"]) <= 13
    assert [t["text"] for t in told["tokens"]][:4] == list("PACK")
    assert all((t["moment"] >= 0) is not t["given"] for t in told["tokens"])


def test_animations(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html, gif = run.parent / "page.html", run.parent / "page.gif"
    words = ["fill", str(run), "--text", "five ___ jugs", "--rewrite", "1", "--watch"]
    assert main([*words, "--html", str(html), "--gif", str(gif)]) == 0
    text = html.read_text()
    assert text.startswith("<!doctype html>") and "http" not in text and "const frames = [[[" in text
    assert gif.read_bytes()[:6] in (b"GIF89a", b"GIF87a")
    assert "jugs" in capsys.readouterr().out
    assert main([*words, "--html", str(html)]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--text", "no gap"], "no gap"),
        (["--text", "a ___", "--seed", "3"], "cannot act at temperature 0"),
        (["--text", "a ___", "--rewrite-share", "0.5"], "cannot act without --rewrite"),
        (["--text", "a ___", "--length", "x"], "range like 3-8"),
        (["nowhere.txt"], "there is no file"),
        (["some.txt", "--text", "a ___"], "not both"),
    ],
)
def test_bad_input_is_one_line(run: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str) -> None:
    assert main(["fill", str(run), *words]) == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1
