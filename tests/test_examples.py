"""The examples that a newcomer runs first, at toy size; those of models by hand are tested beside the models."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semagram.layouts import Grid

RECIPE = """
from semagram.experiment import Experiment
from semagram.layouts import Sequence
from semagram.models import Transformer

EXPERIMENT = Experiment(name="{name}", layout=Sequence(16), model=Transformer(width={width}, depth=1))
"""


def example(name: str) -> Any:
    return importlib.import_module(f"examples.{name}")


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A text of 3,000 characters in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("Call me Ishmael. Some years ago I sailed about a little.\n" * 52)
    return "book.txt"


def test_train_and_sample(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    example("train_and_sample").main(book, "2steps")
    assert "decoded: True" in capsys.readouterr().out
    assert Path("runs/train_and_sample/report.html").is_file()


def test_fill_a_page(book: str) -> None:
    filled = example("fill_a_page").main(book, "2steps", "Call me ___. Some", Grid(4, 8))
    assert filled.text.startswith("Call me ") and filled.text.endswith(". Some") and len(filled.text) == 17


def test_compare_two_ideas(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, width in (("narrow", 16), ("wide", 32)):
        Path(f"{name}.py").write_text(RECIPE.format(name=name, width=width))
    found = example("compare_two_ideas").main(book, "2steps", ("narrow.py", "wide.py"), 2)
    assert [row.name for row in found.rows] == ["narrow", "wide", "ngram"]
    assert "minus narrow" in capsys.readouterr().out


def test_a_part_of_ones_own_learns_and_is_sound() -> None:
    report, losses = example("own_part").trained(steps=25)
    assert report.passed, report.as_text()
    assert losses[-1] < losses[0] - 0.3


def test_digits_are_completed() -> None:
    """Pages are made, learnt and completed; what is known stays. Without scikit-learn."""
    module = example("complete_digits")
    random = np.random.default_rng(0)
    pages = module.pages_of(random.integers(0, 17, (12, 8, 8)), random.integers(0, 10, 12))
    assert pages.shape == (12, 72) and pages[:, 8:].max() == 3 and pages[:, :8].min() >= 4
    network = module.train(pages, steps=3, seed=0, batch=4)
    given = pages[:2].copy()
    given[:, 40:] = -1
    found = module.completed(network, given)
    assert np.array_equal(found[:, :40], pages[:2, :40]) and found.min() >= 0
    assert len(module.shown(given[0]).splitlines()) == 9
