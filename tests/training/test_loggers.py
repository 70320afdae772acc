"""Loggers: one option, the same numbers as metrics.jsonl, a plain word where a package is missing."""

import importlib
import sys
from types import ModuleType

import pytest

from semagram.errors import UserError
from semagram.training import train
from semagram.training.loggers import open_logger
from training.tiny_runs import experiment, words

TEXT = words()


class Kept:
    def __init__(self):
        self.lines, self.closed = [], False

    def log(self, values, step):
        self.lines.append((step, dict(values)))

    def close(self):
        self.closed = True


def test_a_logger_gets_what_the_log_gets_and_is_closed(tmp_path):
    kept = Kept()
    result = train(experiment(), TEXT, tmp_path / "run", loggers=[kept])
    assert kept.closed and len(kept.lines) == 12 + 4
    step, values = kept.lines[-1]
    assert step == 12 and values["held_out/nats"] == result.held_out_nats
    assert set(kept.lines[0][1]) >= {"train/nats", "train/rate", "train/tokens", "train/tokens_per_second"}


def test_a_logger_is_closed_after_an_error(tmp_path):
    kept = Kept()

    def broken(network):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        train(experiment(), TEXT, tmp_path / "run", loggers=[kept], evaluate=broken)
    assert kept.closed


@pytest.mark.parametrize("name, package", [("tensorboard", "tensorboardX"), ("wandb", "wandb"), ("trackio", "trackio")])
def test_a_missing_package_is_named_with_the_way_to_get_it(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    genuine = importlib.import_module

    def missing(wanted, *rest):
        if wanted == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return genuine(wanted, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match=rf'needs the package {package}: pip install "semagram\[{name}\]"'):
        open_logger(name, tmp_path, "tiny", {}, 0)


def test_an_unknown_logger_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match=r"tensorboard, wandb, trackio, got 'wandbb'. Did you mean \"wandb\""):
        open_logger("wandbb", tmp_path, "tiny", {}, 0)


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_trackers_are_called_as_they_wish(tmp_path, monkeypatch, name):
    calls = []
    package = ModuleType(name)
    package.init = lambda **settings: calls.append(("init", settings))
    package.log = lambda values, step: calls.append(("log", step))
    package.finish = lambda: calls.append(("finish", None))
    monkeypatch.setitem(sys.modules, name, package)
    train(experiment(), TEXT, tmp_path / "run", loggers=[name])
    assert calls[0][0] == "init" and calls[0][1]["config"]["seed"] == 0 and calls[0][1]["project"] == "semagram"
    assert [c[0] for c in calls[1:]] == ["log"] * 16 + ["finish"]


def test_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorboardX")
    train(experiment(), TEXT, tmp_path / "run", loggers=["tensorboard"])
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"held_out/nats" in events.read_bytes()
