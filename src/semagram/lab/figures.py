"""Line charts and strips of points as plain SVG: no library, no script, and colours that follow the page's theme.

Lines carry CSS classes (``s0`` to ``s7``) and not colours, so light, dark and print are the page's business. Every
figure has a text alternative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]
COLOURS = 8
WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 42
"""Of a chart and of its margins, in units of the viewBox; on a page a chart is as wide as its place."""
_MOST_POINTS = 160


@dataclass(frozen=True)
class Line:
    """One curve: ``points`` ascending in x; ``colour`` 0..7; ``thin`` for what is beside the point."""

    label: str
    points: Sequence[Point]
    colour: int
    thin: bool = False
    dots: bool = False


def line_chart(lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """An ``<svg>`` of the lines, or an empty string when no line has a point."""
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_ticks, y_ticks = ticks(0.0, max(xs)), ticks(min(ys), max(ys))
    x_low, x_high = 0.0, max(max(xs), x_ticks[-1])
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def at(x: float, y: float) -> str:
        across = LEFT + (x - x_low) / ((x_high - x_low) or 1) * (WIDTH - LEFT - RIGHT)
        down = TOP + (y_high - y) / ((y_high - y_low) or 1) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = axes(x_ticks, y_ticks, at, x_label, y_label)
    for line in lines:
        points = thinned(line.points)
        kind = f"s{line.colour % COLOURS}{' thin' if line.thin else ''}"
        if len(points) > 1:
            parts.append(f'<polyline class="line {kind}" points="{" ".join(at(x, y) for x, y in points)}"/>')
        if line.dots or len(points) == 1:
            for x, y in points:
                across, down = at(x, y).split(",")
                told = f"<title>{escape(line.label)}: {y:.4f} at {compact(x)}</title>"
                parts.append(f'<circle class="dot {kind}" cx="{across}" cy="{down}" r="3.5">{told}</circle>')
    ends = "; ".join(f"{line.label} ends at {line.points[-1][1]:.3f}" for line in lines[:12])
    return svg(WIDTH, HEIGHT, f"{y_label} against {x_label}: {ends}", parts)


@dataclass(frozen=True)
class Strip:
    """One contestant's values, their mean and its interval."""

    label: str
    values: Sequence[float]
    colour: int
    mean: float
    low: float | None = None
    high: float | None = None


def strip_chart(strips: Sequence[Strip], x_label: str) -> str:
    """An ``<svg>`` with a row for each strip: a dot a value, a bar for the interval, a tick for the mean."""
    if not strips:
        return ""
    row, left = 40, 14
    every = [x for s in strips for x in (*s.values, s.mean)]
    widest = 4 * (max(every) - min(every))
    # An interval from two seeds can be so wide that it would squeeze all points into one: it is cut off instead.
    every += [x for s in strips for x in (s.low, s.high) if x is not None and abs(x - s.mean) <= widest]
    width, height = WIDTH, row * len(strips) + BOTTOM
    x_ticks = ticks(min(every), max(every))
    low, high = x_ticks[0], x_ticks[-1]

    def across(x: float) -> float:
        return left + (min(max(x, low), high) - low) / ((high - low) or 1) * (width - 2 * left)

    bottom = height - BOTTOM + 6
    parts = []
    for tick in x_ticks:
        parts.append(f'<line class="grid" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="4" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{across(tick):.1f}" y="{bottom + 15}">{compact(tick)}</text>')
    for number, strip in enumerate(strips):
        y, kind = row * number + 27, f"s{strip.colour % COLOURS}"
        if strip.low is not None and strip.high is not None:
            parts.append(
                f'<line class="interval {kind}" x1="{across(strip.low):.1f}" x2="{across(strip.high):.1f}" '
                f'y1="{y}" y2="{y}"/>'
            )
        middle = across(strip.mean)
        parts.append(f'<line class="line {kind}" x1="{middle:.1f}" x2="{middle:.1f}" y1="{y - 8}" y2="{y + 8}"/>')
        for value in strip.values:
            told = f"<title>{escape(strip.label)}: {value:.4f}</title>"
            parts.append(f'<circle class="dot {kind}" cx="{across(value):.1f}" cy="{y}" r="4">{told}</circle>')
        side = "start" if middle < width / 2 else "end"
        parts.append(
            f'<text class="name" text-anchor="{side}" x="{middle:.1f}" y="{y - 12}">{escape(strip.label)}</text>'
        )
    parts.append(f'<text class="axis" x="{width / 2}" y="{height - 2}">{escape(x_label)}</text>')
    told = "; ".join(f"{s.label}: mean {s.mean:.4f}" for s in strips)
    return svg(width, height, f"{x_label}: {told}", parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that reach from ``low`` or below to ``high`` or above, ``about`` so many."""
    if high <= low:
        low, high = low - (abs(low) * 0.05 or 0.5), high + (abs(high) * 0.05 or 0.5)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 12) for k in range(first, last + 1)]


def thinned(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """At most ``most`` points: means of neighbours, so that a noisy curve stays readable."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // most)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(g[-1][0], sum(y for _, y in g) / len(g)) for g in groups]


def compact(value: float) -> str:
    """``1.5M``, ``20k``, ``0.25``: what fits on an axis."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def axes(
    x_ticks: list[float], y_ticks: list[float], at: Callable[[float, float], str], x_label: str, y_label: str
) -> list[str]:
    """Grid lines, numbers and names; ``at`` turns values into ``"across,down"``."""
    parts = []
    for tick in y_ticks:
        y = float(at(0.0, tick).split(",")[1])
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick y" x="{LEFT - 6}" y="{y + 4}">{compact(tick)}</text>')
    for tick in x_ticks:
        if tick >= 0:
            x = at(tick, y_ticks[0]).split(",")[0]
            parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - BOTTOM + 17}">{compact(tick)}</text>')
    parts.append(f'<text class="axis" x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 4}">{escape(x_label)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" transform="translate(11 {middle}) rotate(-90)" x="0" y="0">{escape(y_label)}</text>'
    )
    return parts


def svg(width: int, height: int, told: str, parts: Sequence[str]) -> str:
    """The element, with ``told`` as its text alternative."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(told)}">{"".join(parts)}</svg>'
