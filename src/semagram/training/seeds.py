"""Seeds as a pure function of (run's seed, step, purpose): nothing random has a state that could be lost.

A resumed run therefore needs no sampler state and no generator state: it asks for the numbers of its step.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What the random numbers are for; different purposes get independent numbers."""

    EPOCH = 1
    """The order of canvases in an epoch."""
    EXAMPLE = 2
    """What the objective hides."""
    NETWORK = 3
    """Dropout."""


def seed_of(seed: int, index: int, purpose: Purpose, rank: int = 0) -> int:
    """A whole number of 63 bits; ``index`` is the step (or epoch), ``rank`` the process."""
    words = np.random.SeedSequence((seed % 2**64, index, int(purpose), rank)).generate_state(1, np.uint64)
    return int(words[0]) >> 1


def seed_network(seed: int) -> None:
    """Seed torch's own generators, from which dropout draws.

    Not ``torch.manual_seed``: without a GPU that formats a stack trace each time, 0.4 ms a step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(seed)
    elif torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
