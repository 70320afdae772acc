"""How several processes share one run. Every step is the same step, whatever is chosen: same batch, same loss.

The configurations only; what they do is Fabric's (``device``) and, for shards, ``sharded``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replicated:
    """Every process holds the whole network; gradients are averaged (DistributedDataParallel, arXiv 2006.15704)."""

    unreached: bool = False
    """Look in every step for parameters that the loss does not reach; without it such a network stops with an error."""


@dataclass(frozen=True)
class Sharded:
    """Every process holds its share of weights, gradients and optimiser state, and gathers a block's weights while
    the block is at work (ZeRO, arXiv 1910.02054; torch's FSDP2, ``fully_shard``).

    Scoring, sampling and checkpoints gather the weights once into a plain copy, so a file does not tell how many
    processes wrote it.
    """

    reshard: bool = True
    """Let go of a block's weights after its forward pass and gather them again for the backward pass; without it they
    are kept between the two, which needs more memory and less talk."""


Strategy = (
    Replicated
    | Sharded
)  # fmt: skip
