"""Waves: fixed sinusoidal positions over any number of axes, added to vectors that know nothing of where they stand.

Of a axes each has d / 2a planes p: sin and cos of coordinate / base^(p / (planes - 1)) (arXiv 1706.03762; over two axes
2205.01580). They know no length and have no weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from semagram.errors import UserError


def waves(coords: Tensor, width: int, base: float = 10_000.0) -> Tensor:
    """``(n, a)`` integer coordinates -> ``(n, d)``: for each axis its sines, then its cosines.

    ``UserError`` unless the width is a multiple of 2 a.
    """
    axes = coords.shape[1]
    if width % (2 * axes) != 0:
        raise UserError(f"sinusoidal positions over {axes} axes need a width divisible by {2 * axes}, got {width}.")
    planes = width // (2 * axes)
    exponents = torch.arange(planes, device=coords.device, dtype=torch.float64) / max(planes - 1, 1)
    turn = coords.double()[:, :, None] * base**-exponents
    return torch.cat([turn.sin(), turn.cos()], dim=2).flatten(1).float()
