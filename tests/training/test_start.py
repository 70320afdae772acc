"""Beginning with another run: another page, another text, another head, frozen parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from semagram.cli import main
from semagram.errors import UserError
from semagram.layouts import Grid
from semagram.training import train
from semagram.training.progress import Silent
from semagram.training.start import Start
from training.tiny_runs import page_experiment, words


class Told(Silent):
    """Keeps the notices."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        """Keep it."""
        self.notices.append(text)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "first"
    train(page_experiment(3), words(300), folder)
    return folder


def goes_on(first: Path, folder: Path, text: str, steps: int = 1, **start: tuple[str, ...]) -> tuple[dict, dict, str]:
    """Weights before and after, and what was told; on a page of another shape."""
    experiment = page_experiment(steps, start=Start(str(first), **start))
    told = Told()
    train(replace(experiment, layout=Grid(3, 8)), text, folder, watch=told)
    return load_file(first / "model.safetensors"), load_file(folder / "model.safetensors"), " ".join(told.notices)


def test_a_run_goes_on_on_another_page_with_frozen_parts_and_a_new_head(first: Path, tmp_path: Path) -> None:
    old, new, told = goes_on(first, tmp_path / "next", words(300), frozen=("embedding", "blocks"), afresh=("head",))
    heads = [name for name in old if name.startswith("head")]
    kept = [name for name in old if name.startswith(("embedding.", "blocks."))]
    assert heads and kept
    assert all(torch.equal(old[name], new[name]) for name in kept)
    assert not any(torch.equal(old[name], new[name]) for name in heads)
    assert "tensors are from" in told and "head" not in told.split("afresh")[0]


def test_rows_of_another_text_are_taken_letter_by_letter(first: Path, tmp_path: Path) -> None:
    """The new text has letters before, between and behind the old ones: ids mean something else. Frozen, so that rows
    can be compared after training."""
    old_letters, text = sorted(set(words(300))), "AZ" + words(300).replace("t", "u")
    new_letters = sorted(set(text))
    old, new, told = goes_on(first, tmp_path / "next", text, frozen=("embedding",))
    (name,) = [n for n in old if n.startswith("embedding") and old[n].shape[0] == len(old_letters) + 1]
    shared = [(new_letters.index(c), old_letters.index(c)) for c in new_letters if c in old_letters]
    assert 0 < len(shared) < len(new_letters)
    for here, there in [*shared, (len(new_letters), len(old_letters))]:
        assert torch.equal(new[name][here], old[name][there])
    assert not torch.equal(new[name][new_letters.index("A")], old[name][0])
    assert f"{len(shared)} tokens known to both" in told


def test_it_goes_on_better_than_it_would_begin(first: Path, tmp_path: Path) -> None:
    long = tmp_path / "long"
    train(page_experiment(40), words(600), long)
    text = words(300, seed=1)
    begun = train(page_experiment(1), text, tmp_path / "afresh").held_out_nats
    gone_on = train(page_experiment(1, start=Start(str(long))), text, tmp_path / "on").held_out_nats
    assert gone_on is not None and begun is not None
    assert gone_on < begun - 0.1


def test_the_command_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--start", "runs/x", "--frozen", "embedding", "blocks", "--afresh", "head", "--print-config"]
    assert main(["train", "book.txt", *words]) == 0
    start = json.loads(capsys.readouterr().out)["training"]["start"]
    assert {"run": "runs/x", "frozen": ["embedding", "blocks"], "afresh": ["head"]}.items() <= start.items()


def test_what_cannot_be_begun_with_is_refused(first: Path, tmp_path: Path) -> None:
    everything = tuple({name.split(".")[0] for name in load_file(first / "model.safetensors")})
    for start, told in (
        ({"frozen": ("nobody",)}, "no part is called 'nobody'"),
        ({"frozen": everything}, "leaves nothing to train"),
    ):
        with pytest.raises(UserError, match=told):
            goes_on(first, tmp_path / str(len(told)), words(300), **start)
    with pytest.raises(UserError, match="not a finished run"):
        goes_on(tmp_path / "nowhere", tmp_path / "x", words(300))
    assert main(["train", "book.txt", "--frozen", "head", "--print-config"]) == 2
    with pytest.raises(UserError, match="afresh and be frozen"):
        Start("run", frozen=("head.weight",), afresh=("head",))
