"""The collapse alarm: where auxiliary losses are on, a run says how alike the elements of levels are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from semagram.models import Hierarchical, Level
from semagram.models.hierarchical_losses import Health, NextLatent
from semagram.training import train
from semagram.training.progress import Silent
from training.tiny_runs import experiment, words


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        """A notice."""
        self.notices.append(text)


def held_out(folder: Path, *losses: NextLatent) -> tuple[list[dict], list[str]]:
    """Lines of the log on the held-out text, and what a person was told."""
    model = Hierarchical(16, 1, (Level(width=16), Level(factor=4, stride=2, width=16)), losses=losses)
    watch = Heard()
    train(replace(experiment(steps=4), model=model), words(), folder, watch=watch)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "held_out_nats" in line], watch.notices


def test_a_run_tells_how_alike_elements_are(tmp_path: Path) -> None:
    """In the log and to the person, where a loss could be won by collapse; the training itself does not change."""
    with_loss, told = held_out(tmp_path / "with", NextLatent())
    assert all(-1 <= line["level_1_cosine"] <= 1 <= line["level_1_participation"] <= 16 for line in with_loss)
    assert len(told) == len(with_loss) and "level 1: cosine of random pairs" in told[-1] and "axes" in told[-1]
    without, told = held_out(tmp_path / "without")
    assert not told and not any("level_1_cosine" in line for line in without)


def test_the_alarm_is_heard() -> None:
    assert "COLLAPSED" in str(Health(0.95, 20.0)) and "COLLAPSED" in str(Health(0.1, 1.2))
    assert "COLLAPSED" not in str(Health(0.1, 20.0))
