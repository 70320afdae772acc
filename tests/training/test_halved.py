"""Half lines at first: the same tokens, read as twice as many canvases, and the switch comes with the step."""

from pathlib import Path

import pytest
import torch

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Grid, Sequence
from semagram.training import train
from semagram.training.run import Run
from training.tiny_runs import experiment, words


def shapes_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, halved: float) -> list[tuple[int, int]]:
    """``(canvases, length)`` of the network's inputs, step by step."""
    seen: list[tuple[int, int]] = []
    before = Run.gradient

    def spied(self: Run) -> float:
        handle = self.network.register_forward_pre_hook(lambda _m, given: seen.append(tuple(given[0].shape)))
        try:
            return before(self)
        finally:
            handle.remove()

    monkeypatch.setattr(Run, "gradient", spied)
    train(experiment(steps=10, halved=halved), words(), tmp_path / "run")
    return seen


def test_the_switch_comes_where_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shapes_seen(tmp_path, monkeypatch, 0.4) == [(8, 8)] * 4 + [(4, 16)] * 6


def test_never_and_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(shapes_seen(tmp_path / "never", monkeypatch, 0.0)) == {(4, 16)}
    assert set(shapes_seen(tmp_path / "always", monkeypatch, 1.0)) == {(8, 8)}


def test_it_changes_the_weights(tmp_path: Path) -> None:
    whole = train(experiment(steps=4, halved=0.0), words(), tmp_path / "whole").network.state_dict()
    half = train(experiment(steps=4, halved=1.0), words(), tmp_path / "half").network.state_dict()
    assert any(not torch.equal(whole[name], half[name]) for name in whole)


def test_pages_and_odd_lines_cannot_be_cut() -> None:
    settings = experiment().training
    for layout in (Grid(4, 4), Sequence(15)):
        with pytest.raises(UserError, match=r"halved .* even length"):
            Experiment(layout=layout, training=settings)
