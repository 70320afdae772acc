"""What a person sees: plain lines without a terminal, a live display on one."""

import io
from dataclasses import replace

import pytest

from semagram.training import train
from semagram.training.progress import LiveDisplay, Moment, PlainLines, Smooth, duration, watcher
from training.tiny_runs import experiment, words


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_without_a_terminal_or_with_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(watcher(io.StringIO()), PlainLines)
    live = watcher(Terminal())
    assert isinstance(live, LiveDisplay)
    live.end(None)
    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(watcher(Terminal()), PlainLines)


def test_plain_lines_tell_the_run(tmp_path):
    out = io.StringIO()
    train(experiment(), words(), tmp_path / "run", watch=PlainLines(out), sample=lambda network: "a sample")
    text = out.getvalue()
    assert "step 1/12" in text and "step 12/12" in text and "bits/char" in text and "tokens/s" in text
    assert text.count("held-out") == 4 and text.count("a sample") == 4
    assert "done after 12 steps, 768 tokens" in text.splitlines()[-1]
    assert "\x1b" not in text


def test_the_live_display_shows_scores_samples_and_markup_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    train(
        experiment(), words(), tmp_path / "run", watch=LiveDisplay(out), sample=lambda network: "[red]a[/red] [/oops]"
    )
    text = out.getvalue()
    assert "held-out" in text and "[red]a[/red] [/oops]" in text and "done after" in text


def test_the_live_display_is_taken_away_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with pytest.raises(RuntimeError, match="broken"):
        train(experiment(), words(), tmp_path / "run", watch=LiveDisplay(out), evaluate=broken)
    assert "done" not in out.getvalue()


def broken(network):
    raise RuntimeError("broken")


def test_time_left_follows_the_speed():
    smooth = Smooth()
    assert smooth.line() == "starting"
    moment = Moment(
        1,
        101,
        1.0,
        100,
        2.0,
        2.9,
    )
    smooth.add(moment)
    assert "left" not in smooth.line()
    smooth.add(replace(moment, step=2, seconds=2.0, tokens=200))
    assert smooth.line() == "step 2/101  loss 2.000  2.900 bits/char  100 tokens/s  1:39 left"
    smooth.add(replace(moment, step=3, seconds=3.0, tokens=300, total_steps=None))
    assert "left" not in smooth.line()


def test_durations():
    assert [duration(s) for s in (-1, 0, 2.1, 61, 3723)] == ["0s", "0s", "3s", "1:01", "1:02:03"]
