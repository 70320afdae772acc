"""Recipes so small that they train in a tenth of a second, and a text with everything that HTML could trip over."""

from __future__ import annotations

from pathlib import Path

import pytest

from semagram.lab import comparison_judged

RECIPE = '''"""{line}"""

from semagram.experiment import Experiment
from semagram.layouts import Sequence
from semagram.models import Transformer
from semagram.objectives import Masked, NextToken
from semagram.predictors import RankByRank, Unmasking
from semagram.training.budget import Budget
from semagram.training.optimisers import AdamW
from semagram.training.settings import Training

EXPERIMENT = Experiment(
    name="{name}",
    text=({text!r},),
    layout=Sequence(16),
    model=Transformer(width=16, depth={depth}),
    training=Training(budget=Budget({steps}, "steps"), batch=4, threads=1, evaluate_every=0.5{training}),
    {more}
)
'''
NASTY = '<script>alert("1 & 2")</script>\n\tna\u00efve \U0001f600 & </pre> {{ 7 * 7 }} \x1b[31m\r\n'
PLAIN = "It was the best of times, it was the worst of times, it was the age of wisdom.\n"


@pytest.fixture(autouse=True)
def short_samples(monkeypatch) -> None:
    """What the contestants write is not what is tested here."""
    monkeypatch.setattr(comparison_judged, "SAMPLE_TOKENS", 10)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """3,600 characters, all kinds of them in both parts."""
    path = tmp_path / "text.txt"
    path.write_bytes(((PLAIN * 3 + NASTY) * 12)[:3600].encode())
    return path


@pytest.fixture
def recipe(tmp_path: Path, text: Path):
    """``recipe("a", depth=1, steps=4, more="...", training=", clip=none")`` writes a.py and returns its path."""

    def write(name: str, *, depth: int = 1, steps: int = 4, more: str = "", training: str = "", on: Path = text) -> str:
        path = tmp_path / f"{name}.py"
        line = f"The recipe {name}."
        path.write_text(
            RECIPE.format(line=line, name=name, text=str(on), depth=depth, steps=steps, more=more, training=training)
        )
        return str(path)

    return write


MASKED = "objective=Masked(), writing=Unmasking(cells=8),"


@pytest.fixture
def masked(recipe):
    """A recipe whose loss is a bound."""
    return recipe("masked", more=MASKED)
