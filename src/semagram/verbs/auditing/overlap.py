"""Does the held-out text stand in the training text? Long verbatim passages, found by hashed windows.

Every window of ``window`` symbols of the training text whose place is a multiple of ``window // 2`` is put in a set; a
held-out passage of 3 / 2 windows that also stands in the training text contains one of them, wherever it begins, and
is then compared symbol by symbol and prolonged to both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

from semagram.verbs.auditing.report import NotAsked, Suspicion

WINDOW = 64
ALLOWED = 0.01
"""Share of the held-out text that may stand verbatim in the training text (licences, headings, quotations)."""


def overlap(training: Sequence, held_out: Sequence, window: int = WINDOW) -> tuple[float, int]:
    """Share of ``held_out`` that lies in verbatim passages of at least ``window`` symbols, and where the first begins
    (-1: nowhere). Texts or rows of ids."""
    training, held_out = _plain(training), _plain(held_out)
    step = max(window // 2, 1)
    starts: dict[object, int] = {}
    for start in range(0, len(training) - step + 1, step):
        starts.setdefault(training[start : start + step], start)
    covered, first, place = 0, -1, 0
    while place + step <= len(held_out):
        found = starts.get(held_out[place : place + step])
        if found is None:
            place += 1
            continue
        left, right = 0, step
        while left < min(place, found) and training[found - left - 1] == held_out[place - left - 1] and left < window:
            left += 1
        while (
            found + right < len(training)
            and place + right < len(held_out)
            and training[found + right] == held_out[place + right]
        ):
            right += 1
        if left + right >= window:
            covered += min(left + right, right + place)
            first = place - left if first < 0 else first
            place += right
        else:
            place += 1
    return min(covered / max(len(held_out), 1), 1.0), first


def _plain(text: Sequence) -> str | tuple:
    """Something whose slices can be looked up."""
    return text if isinstance(text, str) else tuple(int(i) for i in text)


def held_out_is_held_out(training: Sequence | None, held_out: Sequence, window: int = WINDOW) -> str:
    """At most ``ALLOWED`` of the held-out text stands in the training text."""
    if training is None:
        raise NotAsked("no training text was given")
    if len(held_out) < window:
        raise NotAsked(f"the held-out text is shorter than {window} symbols")
    share, first = overlap(training, held_out, window)
    if share > ALLOWED:
        raise Suspicion(
            f"{share:.1%} of the held-out text stands word for word in the training text, in passages of {window} "
            f"symbols or more; the first begins at {first}",
            place=first, size=share,
        )  # fmt: skip
    return f"{share:.2%} of the held-out text stands word for word in the training text"
