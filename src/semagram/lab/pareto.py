"""What quality costs: every contestant as a dot of (cost, score), and the front of those that none beats in both.

A contestant is on the front when no other is at least as good for at most as much, and better in one of the two. Costs
reach over several powers of ten, so they stand on a logarithmic axis. A label takes the first place beside its dot
where it covers nothing; without such a place it is left to the dot's title.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from semagram.lab.figures import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes, compact, svg, ticks

_LETTER, _LINE = 6.4, 13
"""Width and height of a letter of a label, about."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Dot:
    """One contestant: ``cost`` > 0, ``score`` (lower is better), ``colour`` 0..7."""

    label: str
    cost: float
    score: float
    colour: int


def front(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other beats, by rising cost."""
    found: list[Dot] = []
    for dot in sorted(dots, key=lambda d: (d.cost, d.score)):
        if not found or dot.score < found[-1].score:
            found.append(dot)
    return found


def pareto_chart(dots: Sequence[Dot], cost_label: str, score_label: str) -> str:
    """An ``<svg>`` of the dots and their front, or an empty string for fewer than two."""
    dots = [dot for dot in dots if dot.cost > 0]
    if len(dots) < 2:
        return ""
    x_ticks = log_ticks(min(d.cost for d in dots), max(d.cost for d in dots))
    y_ticks = ticks(min(d.score for d in dots), max(d.score for d in dots))
    low, high = math.log(x_ticks[0]), math.log(x_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (math.log(x) - low if x > 0 else 0.0) / (high - low) * (WIDTH - LEFT - RIGHT)
        return across, TOP + (y_ticks[-1] - y) / (y_ticks[-1] - y_ticks[0]) * (HEIGHT - TOP - BOTTOM)

    def at(x: float, y: float) -> str:
        across, down = place(x, y)
        return f"{across:.1f},{down:.1f}"

    parts = axes(x_ticks, y_ticks, at, cost_label, score_label)
    best = front(dots)
    steps = [at(best[0].cost, best[0].score)]
    for before, after in pairwise(best):
        steps += [at(after.cost, before.score), at(after.cost, after.score)]
    steps.append(at(x_ticks[-1], best[-1].score))
    parts.append(f'<polyline class="front" points="{" ".join(steps)}"/>')
    places = [place(d.cost, d.score) for d in dots]
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    # Labels of the front first: they are what the figure is about. Dots come last, so that no label hides one.
    circles = []
    for dot, (x, y) in sorted(zip(dots, places, strict=True), key=lambda pair: pair[0] not in best):
        told = f"<title>{escape(dot.label)}: {dot.score:.4f} for {compact(dot.cost)}</title>"
        kind = f"s{dot.colour % COLOURS}"
        circles.append(f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="5">{told}</circle>')
        parts += _label(dot.label, x, y, taken)
    told = f"{score_label} against {cost_label}; on the front: {', '.join(d.label for d in best)}"
    return svg(WIDTH, HEIGHT, told, parts + circles)


def log_ticks(low: float, high: float) -> list[float]:
    """Values 1, 2 and 5 times powers of ten (over long spans the powers alone) that reach over ``low`` to ``high``."""
    begin, end = math.floor(math.log10(low) - 1e-9), math.ceil(math.log10(high) + 1e-9)
    steps = (1,) if end - begin > 3 else (1, 2, 5)
    every = [m * 10.0**power for power in range(begin, end + 1) for m in steps]
    first = max(n for n, tick in enumerate(every) if tick < low)
    last = min(n for n, tick in enumerate(every) if tick > high)
    return every[first : last + 1]


def _label(text: str, x: float, y: float, taken: list[Box]) -> list[str]:
    wide = _LETTER * len(text)
    for left, middle in ((x + 9, y), (x - 9 - wide, y), (x - wide / 2, y - 13), (x - wide / 2, y + 13)):
        box = (left, middle - _LINE / 2, left + wide, middle + _LINE / 2)
        inside = box[0] >= LEFT and box[2] <= WIDTH + 2 and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
        if inside and not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
            taken.append(box)
            return [f'<text class="name" x="{left:.1f}" y="{middle + 4:.1f}">{escape(text)}</text>']
    return []
