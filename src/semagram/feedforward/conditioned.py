"""Parts that a condition steers: the class of an image, a time, a speaker; anything that is no token.

A condition is ``(b, c)`` for a whole row or ``(b, n, c)`` for each position. It is one optional argument of networks,
stacks and blocks, and reaches the parts that declare themselves ``Conditioned``; a network without such a part
refuses one, and a network with one refuses to be asked without.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from semagram.errors import UserError


class Conditioned(nn.Module):
    """A part whose ``forward(x, condition)`` needs a condition of ``condition_width`` features."""

    condition_width: int


def at_positions(condition: Tensor) -> Tensor:
    """``(b, c)`` or ``(b, n, c)`` as what broadcasts over positions, ``(b, 1, c)`` or ``(b, n, c)``."""
    return condition[:, None] if condition.dim() == 2 else condition


def applied(part: nn.Module, x: Tensor, condition: Tensor | None) -> Tensor:
    """``part(x)``, or ``part(x, condition)`` where it needs one."""
    return part(x, condition) if isinstance(part, Conditioned) else part(x)


def condition_width(network: nn.Module) -> int | None:
    """The features of the condition that ``network`` needs, or None; ``UserError`` where its parts disagree."""
    widths = {cast(Conditioned, m).condition_width for m in network.modules() if isinstance(m, Conditioned)}
    if len(widths) > 1:
        raise UserError(f"all conditioned parts share one condition, but expect widths {sorted(widths)}.")
    return widths.pop() if widths else None


def check_condition(needed: int | None, condition: Tensor | None) -> None:
    """Raise ``ValueError`` unless the condition is there exactly when needed and as wide as needed."""
    if needed is None and condition is not None:
        raise ValueError(f"a condition {tuple(condition.shape)} is given, but no part of the network uses one.")
    if needed is not None and condition is None:
        raise ValueError(f"the network needs a condition (b, {needed}) or (b, n, {needed}), and none is given.")
    if needed is not None and condition is not None and condition.shape[-1] != needed:
        raise ValueError(f"the condition must have {needed} features, got {tuple(condition.shape)}.")
