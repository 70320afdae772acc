"""A passage of held-out text, each character coloured by what it cost, or by which of two contestants paid less.

A token of several characters is one span. Tokens that add no character (the second byte of an é) cost as part of the
span before. Colours are classes (``h0`` to ``h9``; ``d0`` to ``d8``), so the page decides how they look in light, in
dark and on paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEAT_STEPS, DIFFERENCE_STEPS = 10, 9
FULL_HEAT_BITS = 8.0
"""Bits a character that get the strongest colour."""
FULL_DIFFERENCE_BITS = 2.0
PASSAGE_CHARACTERS = 1500


_CONTROL = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}


@dataclass(frozen=True)
class Cell:
    """One span: its text, its CSS classes and what is said when it is pointed at."""

    text: str
    style: str
    told: str


@dataclass(frozen=True)
class Passage:
    """Characters ``begin`` up to, not including, ``end`` of the held-out text."""

    begin: int
    end: int

    @classmethod
    def of(cls, text: str, characters: int = PASSAGE_CHARACTERS) -> Passage:
        """From about the middle, where every contestant has context; at a line's beginning if one is near."""
        begin = max(0, (len(text) - characters) // 2)
        line = text.find("\n", begin, begin + 300)
        if begin and line >= 0:
            begin = line + 1
            while begin < len(text) - 1 and text[begin] == "\n":
                begin += 1
        return cls(begin, min(len(text), begin + characters))


def heat(text: str, nats: NDArray[np.float64], lengths: NDArray[np.int64], passage: Passage) -> list[Cell]:
    """The spans of ``passage``; ``nats`` and ``lengths`` ``(N,)`` are of the tokens of the whole ``text``."""
    cells = []
    for begin, end, cost in _spans(nats, lengths, passage):
        bits = cost / math.log(2)
        step = min(HEAT_STEPS - 1, int(bits / (end - begin) / FULL_HEAT_BITS * HEAT_STEPS))
        told = f"{_shown(text[begin:end])}  {bits:.2f} bits, probability {_probability(cost)}"
        cells.append(_cell(text[begin:end], f"h{step}", told))
    return cells


def character_bits(nats: NDArray[np.float64], lengths: NDArray[np.int64], passage: Passage) -> NDArray[np.float64]:
    """``(passage,)`` bits of each character; a token's are shared evenly among its characters."""
    bits = np.zeros(passage.end - passage.begin)
    for begin, end, cost in _spans(nats, lengths, passage):
        low, high = max(begin, passage.begin), min(end, passage.end)
        bits[low - passage.begin : high - passage.begin] = cost / math.log(2) / (end - begin)
    return bits


def difference(
    text: str, passage: Passage, first: tuple[str, NDArray[np.float64]], second: tuple[str, NDArray[np.float64]]
) -> list[Cell]:
    """One span a character: which of two (name, ``character_bits``) paid less, and by how much."""
    cells = []
    middle = DIFFERENCE_STEPS // 2
    for place, (a, b) in enumerate(zip(first[1].tolist(), second[1].tolist(), strict=True)):
        share = max(-1.0, min(1.0, (b - a) / FULL_DIFFERENCE_BITS))
        character = text[passage.begin + place]
        told = f"{_shown(character)}  {first[0]} {a:.2f} bits, {second[0]} {b:.2f} bits"
        cells.append(_cell(character, f"d{middle + round(share * middle)}", told))
    return cells


def visible(text: str) -> str:
    """``text`` with control characters as their pictures (␀, ␛), which HTML could not hold; lines and tabs stay."""
    return text.translate(_CONTROL)


def _cell(text: str, style: str, told: str) -> Cell:
    return Cell(visible(text), f"{style} nl" if text.endswith("\n") else style, visible(told))


def _spans(nats: NDArray[np.float64], lengths: NDArray[np.int64], passage: Passage) -> list[tuple[int, int, float]]:
    """(begin, end, nats) of every token, or run of tokens that make a whole character, that touches the passage."""
    ends = np.cumsum(lengths)
    starts = np.flatnonzero(lengths > 0)
    costs = np.add.reduceat(nats, starts) if len(starts) else np.zeros(0)
    begins, stops = ends[starts] - lengths[starts], ends[starts]
    inside = (stops > passage.begin) & (begins < passage.end)
    return list(zip(begins[inside].tolist(), stops[inside].tolist(), costs[inside].tolist(), strict=True))


def _shown(text: str) -> str:
    return text if text.isprintable() and not text.isspace() else repr(text)[1:-1].replace(" ", "space")


def _probability(nats: float) -> str:
    p = math.exp(-nats)
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"
