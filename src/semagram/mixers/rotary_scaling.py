"""Reading further than one was trained: rules that slow the planes of rotary positions down.

All four turn the angular frequencies ``w_p = base^(-p / P)`` of an axis with P planes into slower ones, for texts
``factor`` times as long as those of the training.

| rule | frequency of plane p | paper |
|---|---|---|
| Interpolation | w_p / factor | arXiv 2306.15595 |
| NTKAware | with base * factor^(P / (P - 1)): fast planes stay, the slowest is divided by factor | bloc97, 2023 |
| YaRN | fast planes stay, slow ones are divided, a ramp between; scores times (0.1 ln f + 1)^2 | arXiv 2309.00071 |
| Llama3 | as YaRN, the ramp in wave lengths | arXiv 2407.21783 |

A plane is fast when it turns more than so often within ``trained_length``. "Dynamic" scaling, which changes with the
length read so far, is left out: a slot's keys would change when later slots come, so that stepping could not equal the
parallel pass. Tested against the rotary initialisers of Hugging Face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError


@dataclass(frozen=True)
class Interpolation:
    """Every plane is slowed by the same factor (position interpolation)."""

    factor: float = 2.0
    """How many times longer than in training."""

    def __post_init__(self) -> None:
        _longer(self.factor)

    def frequencies(self, base: float, planes: int) -> Tensor:
        """Radians a step, ``(planes,)`` float64."""
        return plain_frequencies(base, planes) / self.factor

    def amplitude(self) -> float:
        """What queries and keys are multiplied with."""
        return 1.0


@dataclass(frozen=True)
class NTKAware:
    """The base grows, so that the fastest plane stays and the slowest is slowed by the whole factor."""

    factor: float = 2.0
    """How many times longer than in training."""

    def __post_init__(self) -> None:
        _longer(self.factor)

    def frequencies(self, base: float, planes: int) -> Tensor:
        """Radians a step, ``(planes,)`` float64; a single plane has nothing to spread and keeps its speed."""
        grown = base if planes == 1 else base * self.factor ** (planes / (planes - 1))
        return plain_frequencies(grown, planes)

    def amplitude(self) -> float:
        """What queries and keys are multiplied with."""
        return 1.0


@dataclass(frozen=True)
class YaRN:
    """Fast planes stay, slow ones are interpolated, and the scores are sharpened a little."""

    factor: float = 2.0
    """How many times longer than in training."""
    trained_length: int = 2048
    """Slots of the texts of the training."""
    fast: float = 32.0
    """A plane that turns this often within trained_length stays as it is."""
    slow: float = 1.0
    """A plane that turns this often or less is slowed by the whole factor."""
    gain: float | None = None
    """What queries and keys are multiplied with; none: 0.1 ln(factor) + 1."""

    def __post_init__(self) -> None:
        _longer(self.factor)
        _band(self.trained_length, self.fast, self.slow)
        if self.gain is not None and not self.gain > 0:
            raise UserError(f"rotary scaling gain must be above 0 or none, got {self.gain}.")

    def frequencies(self, base: float, planes: int) -> Tensor:
        """Radians a step, ``(planes,)`` float64."""
        extrapolated = plain_frequencies(base, planes)

        def plane_of(turns: float) -> float:
            return planes * math.log(self.trained_length / (turns * 2 * math.pi)) / math.log(base)

        first = max(math.floor(plane_of(self.fast)), 0)
        last = min(math.ceil(plane_of(self.slow)), 2 * planes - 1)
        if first == last:
            last += 0.001  # a ramp of no length divides by nothing
        ramp = ((torch.arange(planes, dtype=torch.float64) - first) / (last - first)).clamp(0, 1)
        return extrapolated / self.factor * ramp + extrapolated * (1 - ramp)

    def amplitude(self) -> float:
        """What queries and keys are multiplied with."""
        return 0.1 * math.log(self.factor) + 1.0 if self.gain is None else self.gain


@dataclass(frozen=True)
class Llama3:
    """Llama 3.1's rule: by wave length, with a smooth passage between kept and slowed planes."""

    factor: float = 8.0
    """How many times longer than in training."""
    trained_length: int = 8192
    """Slots of the texts of the training."""
    fast: float = 4.0
    """A plane that turns more often than this within trained_length stays as it is."""
    slow: float = 1.0
    """A plane that turns less often is slowed by the whole factor."""

    def __post_init__(self) -> None:
        _longer(self.factor)
        _band(self.trained_length, self.fast, self.slow)

    def frequencies(self, base: float, planes: int) -> Tensor:
        """Radians a step, ``(planes,)`` float64."""
        frequency = plain_frequencies(base, planes)
        turns = self.trained_length * frequency / (2 * math.pi)
        kept = ((turns - self.slow) / (self.fast - self.slow)).clamp(0, 1)
        return frequency * (kept + (1 - kept) / self.factor)

    def amplitude(self) -> float:
        """What queries and keys are multiplied with."""
        return 1.0


Scaling = Interpolation | NTKAware | YaRN | Llama3


def plain_frequencies(base: float, planes: int) -> Tensor:
    """``base^(-p / planes)``, ``(planes,)`` float64."""
    return base ** -(torch.arange(planes, dtype=torch.float64) / max(planes, 1))


def _longer(factor: float) -> None:
    if not factor > 1.0:
        raise UserError(f"rotary scaling factor must be above 1, got {factor}.")


def _band(trained_length: int, fast: float, slow: float) -> None:
    if trained_length < 1:
        raise UserError(f"rotary scaling trained_length must be at least 1, got {trained_length}.")
    if not fast > slow > 0:
        raise UserError(f"rotary scaling needs fast > slow > 0, got fast {fast} and slow {slow}.")
