"""How sure a number is: Student's t over seeds, and a bootstrap over blocks of the text.

Two questions are asked, and they need two answers. *Would other seeds give this too?* Runs of one seed share initial
draws and batches, so differences are taken seed by seed and their interval is Student's. *Would another text?* Where
there is one seed only, that is all that can be asked: blocks of 1,000 characters are drawn anew, with replacement,
since neighbouring characters are not independent (Efron 1979; Künsch 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# 97.5 % quantiles of Student's t, 1 to 30 degrees of freedom.
_T = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)  # fmt: skip
_NORMAL = 1.959964
BLOCK_CHARACTERS = 1000
FEWEST_BLOCKS = 10
"""With fewer blocks a bootstrap says too little to be printed."""
_RESAMPLES = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval; ``low`` and ``high`` are None where there is too little to tell."""

    mean: float
    low: float | None = None
    high: float | None = None
    basis: str = "1 value"
    """What the interval is over: ``3 seeds``, ``112 blocks of text``."""

    @property
    def certain(self) -> bool:
        """True when the interval does not hold zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def t_quantile(degrees: int) -> float:
    """The 97.5 % quantile of Student's t; beyond 30 degrees of freedom by Cornish and Fisher, exact to 1e-4."""
    if degrees < 1:
        raise ValueError(f"degrees of freedom must be at least 1, got {degrees}.")
    if degrees <= len(_T):
        return _T[degrees - 1]
    z = _NORMAL
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def mean_over_seeds(values: Sequence[float]) -> Estimate:
    """Mean and Student's 95 % interval of one value a seed (no interval for a single one)."""
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(mean)
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1))
    half = t_quantile(n - 1) * spread / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, f"{n} seeds")


@dataclass(frozen=True, eq=False)
class Blocks:
    """What each block of 1,000 characters of a text costs: ``nats`` and ``characters``, both ``(k,)`` float64."""

    nats: NDArray[np.float64]
    characters: NDArray[np.float64]


def blocks_of(nats: NDArray[np.floating], lengths: NDArray[np.integer], block: int = BLOCK_CHARACTERS) -> Blocks:
    """Sum ``nats`` ``(N,)`` of tokens that add ``lengths`` ``(N,)`` characters into blocks of ``block`` characters.

    A token counts where it begins, so contestants with different tokens can be paired.
    """
    total = int(lengths.sum())
    count = max(1, -(-total // block))
    begins = np.minimum(np.cumsum(lengths) - lengths, total - 1)
    sums = np.bincount(begins // block, weights=nats, minlength=count).astype(np.float64)
    sizes = np.full(count, float(block))
    sizes[-1] = total - block * (count - 1)
    return Blocks(sums, sizes)


def bootstrap(difference: NDArray[np.float64], characters: NDArray[np.float64]) -> Estimate:
    """Mean difference in bits per character and its percentile interval, from nats a block ``(k,)``."""
    scale = 1 / math.log(2)
    mean = float(difference.sum() / characters.sum()) * scale
    k = len(difference)
    if k < FEWEST_BLOCKS:
        return Estimate(mean, basis=f"{k} block{'s' if k > 1 else ''} of text, too few")
    drawn = np.random.default_rng(0).multinomial(k, np.full(k, 1 / k), size=_RESAMPLES)
    means = (drawn @ difference) / (drawn @ characters) * scale
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(mean, float(low), float(high), f"{k} blocks of text")
