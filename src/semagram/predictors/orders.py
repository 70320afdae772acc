"""Which unknown cells come next, and how many: the rules by which a masked model writes a page.

*How many* (``sizes``): a constant number, or a plan of ``steps`` steps in which the share of known cells grows evenly
(linear) or as 1 - cos(pi t / 2), slowly at first when little is known (cosine; MaskGIT, arXiv 2202.04200).

*Which* (``wishes``): the cells the model is surest of, by its largest probability, by the margin between the two
largest or by the least entropy (confidence order: 2502.06768); or an order that does not ask the model. Every rule
depends on what is known alone, so a decoder arrives at the same choice.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Choice = Literal["confidence", "margin", "entropy", "random", "ranks", "left_to_right", "right_to_left", "given"]
Schedule = Literal["constant", "linear", "cosine"]

ASKS_THE_MODEL = {"confidence", "margin", "entropy"}
"""Choices that need an answer for every cell."""


def sizes(unknown: int, schedule: Schedule, cells: int, steps: int) -> list[int]:
    """Cells of each step: positive numbers that sum to ``unknown``; ``cells`` is for constant, ``steps`` else."""
    if schedule == "constant":
        whole, rest = divmod(unknown, cells)
        return [cells] * whole + ([rest] if rest else [])
    found, done = [], 0
    for step in range(1, steps + 1):
        share = step / steps if schedule == "linear" else 1 - math.cos(math.pi / 2 * step / steps)
        known = unknown if step == steps else max(round(unknown * share), done + 1)
        known = min(known, unknown)
        if known > done:
            found.append(known - done)
            done = known
    return found


def wishes(choice: Choice, log_probs: Tensor, priority: Tensor) -> Tensor:
    """How much each cell wants to be next, ``(b, n)``: of ``log_probs (b, n, v)``, or ``priority (n,)``, low first."""
    if choice == "confidence":
        return log_probs.max(dim=-1).values
    if choice == "margin":
        best = log_probs.topk(min(2, log_probs.shape[-1]), dim=-1).values.exp()
        return best[..., 0] - best[..., -1]
    if choice == "entropy":
        return torch.special.xlogy(log_probs.exp(), log_probs.exp()).sum(dim=-1)
    return -priority.float().expand(log_probs.shape[:2])


def priority_of(choice: Choice, rank: Tensor, seed: int, order: tuple[int, ...]) -> Tensor:
    """``(n,)``, least first, of the choices that do not ask the model; ``rank (n,)`` is the layout's own order."""
    n = len(rank)
    if choice == "ranks":
        return rank
    if choice == "left_to_right":
        return torch.arange(n)
    if choice == "right_to_left":
        return torch.arange(n).flip(0)
    if choice == "given":
        if sorted(order) != list(range(n)):
            raise ValueError(f"writing.order must hold each of the {n} cells once, got {order}.")
        return torch.tensor(order).argsort()
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)).argsort()
