"""What a person sees of a training run: a live display, plain lines, or nothing.

The live display rewrites itself four times a second: loss, bits per character, tokens a second, time left, and the
newest sample. Where nobody watches a terminal, or NO_COLOR is set, plain lines say the same now and then.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType

    from semagram.training.state import Result


@dataclass(frozen=True)
class Moment:
    """Where a run stands after a step."""

    step: int
    """Steps done."""
    total_steps: int | None
    """Of how many; None while a budget in seconds is being timed."""
    seconds: float
    """Wall time of training steps."""
    tokens: int
    """Training tokens seen."""
    train_nats: float
    """Loss of this step, nats a token."""
    train_bits_per_character: float
    """The same in bits a character."""


class Watcher(Protocol):
    """Is told what happens; must not change anything."""

    def step(self, moment: Moment) -> None:
        """A step is done (called after each)."""
        ...

    def scored(self, step: int, nats: float, bits_per_character: float, best: bool) -> None:
        """The held-out text was scored."""
        ...

    def sample(self, step: int, text: str) -> None:
        """The network wrote something."""
        ...

    def notice(self, text: str) -> None:
        """Something a person should know."""
        ...

    def end(self, result: Result | None) -> None:
        """The run ended; None when by an error."""
        ...


class Silent:
    """Says nothing."""

    def step(self, moment: Moment) -> None:
        """Nothing."""

    def scored(self, step: int, nats: float, bits_per_character: float, best: bool) -> None:
        """Nothing."""

    def sample(self, step: int, text: str) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""

    def end(self, result: Result | None) -> None:
        """Nothing."""


class Smooth:
    """A mean of the recent steps, and how fast they went; what both displays show."""

    def __init__(self) -> None:
        self._bits: float | None = None
        self._rate: float | None = None
        self._before: Moment | None = None

    def add(self, moment: Moment) -> None:
        """Take in a step."""
        bits = moment.train_bits_per_character
        self._bits = bits if self._bits is None else self._bits + 0.1 * (bits - self._bits)
        before = self._before
        if before is not None and moment.seconds > before.seconds:
            rate = (moment.tokens - before.tokens) / (moment.seconds - before.seconds)
            self._rate = rate if self._rate is None else self._rate + 0.1 * (rate - self._rate)
        self._before = moment

    def line(self) -> str:
        """One line on the newest step."""
        moment = self._before
        if moment is None:
            return "starting"
        total = f"/{moment.total_steps}" if moment.total_steps is not None else ""
        words = [f"step {moment.step}{total}", f"loss {moment.train_nats:.3f}", f"{self._bits:.3f} bits/char"]
        if self._rate:
            words.append(f"{self._rate:,.0f} tokens/s")
            if moment.total_steps is not None:
                left = (moment.total_steps - moment.step) * moment.tokens / moment.step / self._rate
                words.append(f"{duration(left)} left")
        return "  ".join(words)


class PlainLines:
    """A line every ``seconds`` of wall time, and one for each score, sample and notice."""

    def __init__(self, stream: TextIO | None = None, seconds: float = 10.0) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._seconds = seconds
        self._smooth = Smooth()
        self._next = 0.0

    def step(self, moment: Moment) -> None:
        """Now and then."""
        self._smooth.add(moment)
        now = time.monotonic()
        if now >= self._next or moment.step == moment.total_steps:
            self._next = now + self._seconds
            self._say(self._smooth.line())

    def scored(self, step: int, nats: float, bits_per_character: float, best: bool) -> None:
        """Each time."""
        self._say(score_line(step, nats, bits_per_character, best))

    def sample(self, step: int, text: str) -> None:
        """Each time."""
        self._say(f"sample at step {step}: {text}")

    def notice(self, text: str) -> None:
        """Each time."""
        self._say(text)

    def end(self, result: Result | None) -> None:
        """How it ended."""
        if result is not None:
            self._say(end_line(result))

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class LiveDisplay:
    """A block of lines that rewrites itself; scores and notices stay above it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._smooth = Smooth()
        self._moment: Moment | None = None
        self._sample = ""
        self._console = Console(file=stream if stream is not None else sys.stderr)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._render)
        self._live.start()

    def step(self, moment: Moment) -> None:
        """Take note; rich's own thread redraws."""
        self._smooth.add(moment)
        self._moment = moment

    def scored(self, step: int, nats: float, bits_per_character: float, best: bool) -> None:
        """A line that stays."""
        self._console.print(score_line(step, nats, bits_per_character, best), markup=False, highlight=False)

    def sample(self, step: int, text: str) -> None:
        """Shown until the next one."""
        self._sample = text

    def notice(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False)

    def end(self, result: Result | None) -> None:
        """Take the block away, leave a line."""
        self._live.stop()
        if self._sample:
            self._console.print(self._sample, markup=False, highlight=False)
        if result is not None:
            self._console.print(end_line(result), markup=False, highlight=False)

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        moment = self._moment
        rows: list[RenderableType] = [Text(self._smooth.line())]
        if moment is not None and moment.total_steps is not None:
            rows.append(ProgressBar(total=moment.total_steps, completed=moment.step, width=60))
        if self._sample:
            rows.append(Text("\n" + "\n".join(self._sample.splitlines()[:8]), style="dim"))
        return Group(*rows)


def watcher(stream: TextIO | None = None) -> Watcher:
    """The live display on a terminal; plain lines when ``stream`` (stderr) is none, or NO_COLOR is set."""
    out: TextIO = stream if stream is not None else sys.stderr
    if out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return LiveDisplay(out)
    return PlainLines(out)


def score_line(step: int, nats: float, bits_per_character: float, best: bool) -> str:
    """What is said of a score."""
    return f"step {step}: held-out {bits_per_character:.4f} bits/char ({nats:.4f} nats/token){' best' if best else ''}"


def end_line(result: Result) -> str:
    """What is said at the end."""
    why = {
        "budget": "done",
        "patience": "stopped early: the score no longer improved",
        "clock": "stopped: the clock ran over the budget",
        "interrupted": "interrupted; go on with --resume",
    }[result.ended]
    return f"{why} after {result.step} steps, {result.tokens:,} tokens, {duration(result.seconds)}: {result.run}"


def duration(seconds: float) -> str:
    """``1:02:03``, ``2:03`` or ``3s``."""
    whole = math.ceil(max(0.0, seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}" if minutes else f"{whole}s"
