"""Memorisation: figures against the definitions, written out."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from semagram.cli import main
from semagram.errors import UserError
from semagram.lab.memorisation import accuracy, ceiling, longest_copy
from semagram.predictors.suffix import SuffixConfig


@pytest.mark.parametrize("context", [0, 1, 2, 5, 300])
@pytest.mark.parametrize("v", [2, 5])
def test_the_ceiling_by_a_dictionary(context: int, v: int) -> None:
    ids = np.random.default_rng(context).integers(0, v, 300)
    after: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for i, token in enumerate(ids.tolist()):
        after[tuple(ids[max(0, i - context) : i].tolist())][token] += 1
    best = sum(max(counts.values()) for counts in after.values())
    assert ceiling(ids, context) == pytest.approx(best / 300)


def test_nobody_is_above_the_ceiling_and_a_look_up_comes_near() -> None:
    text = np.frombuffer(b"the quick brown fox jumps over the lazy dog and the slow red fox sleeps. " * 8, np.uint8)
    ids = np.unique(text, return_inverse=True)[1]
    known = accuracy(SuffixConfig().fit(ids, int(ids.max()) + 1), ids)
    assert 0.9 < known <= ceiling(ids, len(ids)) == 1.0
    assert ceiling(ids, 1) < ceiling(ids, 3)


@pytest.mark.parametrize(
    ("written", "text", "copy"),
    [
        ("xxthe catyy", "on the cat sat", "the cat"),
        ("", "abc", ""),
        ("abc", "", ""),
        ("abab", "ab ab", "ab"),
        ("zzz", "abc", ""),
        ("aXbcdeY", "bcde a", "bcde"),
        ("same", "the same", "same"),
    ],
)
def test_the_longest_copy(written: str, text: str, copy: str) -> None:
    assert longest_copy(written, text) == copy
    pieces = {written[i:j] for i in range(len(written)) for j in range(i, len(written) + 1)}
    assert len(copy) == max((len(p) for p in pieces if p in text), default=0)


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(UserError, match="at least 0, got 3 tokens and -1"):
        ceiling(np.arange(3), -1)
    with pytest.raises(UserError, match="empty text"):
        accuracy(SuffixConfig().fit(np.arange(3), 3), np.zeros(0, dtype=np.int64))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.txt").write_text("the monster awakes and the monster sleeps. " * 40)
    words = ["train", str(tmp_path / "book.txt"), "--recipe", "high_order", "--budget", "40steps", "--quiet",
             "--out", str(tmp_path / "run"), "--layout.length", "32", "--model.width", "32",
             "--training.evaluate-every", "1", "--training.warmup", "0", "--training.optimiser.rate",
             "0.02"]  # fmt: skip
    assert main(words) == 0
    capsys.readouterr()
    assert main(["memorise", str(tmp_path / "run"), "--json", "--tokens", "60", "--context", "3", "16"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["accuracy"] > 0.8 and told["ceilings"]["16"] > 0.98
    assert len(told["copied"]) > 20
    assert main(["memorise", str(tmp_path / "run"), "--tokens", "20"]) == 0
    assert "were the model's first guess" in capsys.readouterr().out
    assert main(["memorise", str(tmp_path / "run"), "--characters", "0"]) == 2
    assert "at least 1 or none, got 0" in capsys.readouterr().err
