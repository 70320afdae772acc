"""Every command of the page that maps the seed's commands to ours is understood; every new recipe learns something."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from semagram.cli import COMMANDS, main
from semagram.config import from_json
from semagram.experiment import Experiment
from semagram.feedforward.twice import twice_differentiable
from semagram.lab import recipes
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives import weighted_nats
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.trained import load

PAGE = Path(__file__).parents[1] / "docs" / "language_interpolation.md"
COMMAND = re.compile(r"`(semagram [^`]+|\.\.\. --[^`]+)`")
WRITTEN = [match for row in PAGE.read_text("utf-8").splitlines() if row.startswith("|") for match in
           COMMAND.findall(row.split("|")[2])]  # fmt: skip
TRAINING = [w.replace("...", "semagram train book.txt") for w in WRITTEN if w.startswith(("...", "semagram train"))]


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("command", TRAINING)
def test_a_command_of_the_page_is_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()[1:]
    assert main([*words, "--print-config"]) == 0
    told = capsys.readouterr().out
    for option, value in itertools.pairwise(words):
        if option.startswith("--model.") and value[0].isupper():
            assert f'"kind": "{value}"' in told
    experiment = from_json(Experiment, json.loads(told))
    if not isinstance(experiment.model, BoostedTrees):
        take_a_step(experiment)


def take_a_step(experiment: Any) -> None:
    """On two short lines: every parameter that has a gradient moves, and the loss is a number."""
    torch.manual_seed(0)
    visibility: Visibility = experiment.objective.visibility
    network = experiment.model.build(7, experiment.layout, visibility)
    geometry = Geometry.of(experiment.layout.positions().first(8), visibility)
    ids = torch.randint(0, 7, (2, 8))
    example = experiment.objective.example(ids, geometry, 7, torch.Generator().manual_seed(0))
    stepper = experiment.training.optimiser.build(network)
    with twice_differentiable() if stepper.second_order else nullcontext():
        loss = weighted_nats(network(example.inputs, geometry), example)
        loss.backward(create_graph=stepper.second_order)
    before = network.head.weight.clone() if hasattr(network, "head") and hasattr(network.head, "weight") else None
    stepper.step(1.0)
    assert loss.isfinite() and (before is None or not torch.equal(before, network.head.weight))


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


def test_trees_are_a_run_that_every_command_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightgbm")
    book, run = tmp_path / "book.txt", str(tmp_path / "run")
    book.write_text("the ring of ink and the ink of time is a ring. " * 30)
    small = ["--model.rounds", "3", "--model.context", "3", "--quiet", "--out", run]
    assert main(["train", str(book), "--recipe", "boosted_trees", *small]) == 0
    assert main(["score", run]) == 0
    assert main(["compress", run, "-o", str(tmp_path / "file")]) == 0
    assert main(["decompress", run, str(tmp_path / "file"), "-o", str(tmp_path / "again")]) == 0
    again = (tmp_path / "again").read_text()
    assert again and book.read_text().endswith(again)
    capsys.readouterr()
    assert main(["generate", run, "--prompt", "the ", "--tokens", "10"]) == 0
    assert capsys.readouterr().out.startswith("the ")
    assert load(run).save(tmp_path / "copy") and load(tmp_path / "copy").identity == load(run).identity


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--training.batch", "3"], "training.batch does not act on trees"),
        (["--budget", "5s"], "training.budget does not act on trees"),
        (["--objective.z-loss", "0.1"], "nothing beside it"),
    ],
    ids=str,
)
def test_what_does_not_act_on_trees_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "book.txt", "--recipe", "boosted_trees", "--print-config", *words]) == 2
    assert said in capsys.readouterr().err
