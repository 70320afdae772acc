"""Every command of the page that maps the seed's commands to ours is understood; every new recipe learns something."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from semagram.cli import COMMANDS, main
from semagram.lab import recipes
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives import weighted_nats

PAGE = Path(__file__).parents[1] / "docs" / "language_interpolation.md"
COMMAND = re.compile(r"`(semagram [^`]+|\.\.\. --[^`]+)`")
WRITTEN = [match for row in PAGE.read_text("utf-8").splitlines() if row.startswith("|") for match in
           COMMAND.findall(row.split("|")[2])]  # fmt: skip
TRAINING = [w.replace("...", "semagram train book.txt") for w in WRITTEN if w.startswith(("...", "semagram train"))]


@pytest.mark.parametrize("command", TRAINING)
def test_a_command_of_the_page_is_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()[1:]
    assert main([*words, "--print-config"]) == 0
    told = capsys.readouterr().out
    for option, value in itertools.pairwise(words):
        if option.startswith("--model.") and value[0].isupper():
            assert f'"kind": "{value}"' in told


def test_the_other_commands_exist() -> None:
    assert len(WRITTEN) > 15
    for command in WRITTEN:
        if command.startswith("semagram"):
            assert command.split()[1] in COMMANDS


@pytest.mark.parametrize("name", ["high_order", "high_order_transformer", "mamba", "tail_focus", "automaton"])
def test_a_recipe_learns_something(name: str) -> None:
    """A short line, again and again: the loss falls below that of knowing nothing."""
    experiment: Any = recipes.find(name).experiment
    visibility: Visibility = experiment.objective.visibility
    torch.manual_seed(0)
    network = experiment.model.build(7, experiment.layout, visibility)
    stepper = experiment.training.optimiser.build(network)
    positions = experiment.layout.positions().first(24)
    geometry = Geometry.of(positions, visibility)
    ids = torch.randint(0, 7, (2, 24))
    told = []
    for _ in range(8):
        example = experiment.objective.example(ids, geometry, 7, torch.Generator().manual_seed(0))
        loss = weighted_nats(network(example.inputs, geometry), example)
        told.append(loss.item())
        loss.backward()
        stepper.step(1.0)
        stepper.forget_gradients()
    assert told[0] == pytest.approx(1.9459, abs=1e-3) and told[-1] < 1.7
