"""Which way an attention goes through torch, and what of it would do nothing and is refused.

| kernel | when |
|---|---|
| fused | torch's fused kernel with its causal flag, no mask: nothing asked for needs more |
| fused with a mask | a fixed bias or a short window: one dense mask, ``n x n`` |
| blocks | a window much shorter than the text: see ``blocks`` |
| scores | a part must see or change the scores, or learns what is added to them |

In training on a CPU "fused" is ``causal_rows`` where that is quicker: the same values, a gradient of its own.
Padding and what the caller says of pairs turn "fused" into "fused with a mask" for that call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from semagram.errors import UserError
from semagram.mixers.attention_parts.alibi import ALiBi
from semagram.mixers.attention_parts.reach import Everything
from semagram.mixers.attention_parts.weights import Sigmoid, Softmax
from semagram.mixers.rotary import Rotary

if TYPE_CHECKING:
    from semagram.mixers.attention import Attention


@dataclass(frozen=True)
class Kernel:
    """The way a configuration goes, and the reasons against the fused kernel."""

    name: Literal["fused", "fused with a mask", "blocks", "scores"]
    reasons: tuple[str, ...] = ()
    """What keeps it from "fused"; empty for that."""


def of(config: Attention) -> Kernel:
    """The kernel of a whole pass on a text longer than any window."""
    reasons = needs_scores(config)
    if not isinstance(config.reach, Everything):
        return Kernel("blocks", ("reach: only keys near by are computed", *reasons))
    if reasons:
        return Kernel("scores", reasons)
    if config.bias is not None:
        return Kernel("fused with a mask", ("bias: it is added as a mask",))
    return Kernel("fused")


def needs_scores(config: Attention) -> tuple[str, ...]:
    """The parts that no mask can stand for."""
    told = {
        "bias: what it adds is learned": config.bias is not None and not isinstance(config.bias, ALiBi),
        "forgetting: what it adds is learned": config.forgetting is not None,
        "score_cap: scores are bent": config.score_cap is not None,
        "sink: the softmax has more columns": config.sink is not None,
        "selective: a query changes the scores of later ones": config.selective,
        "talking: heads mix their scores or weights": config.talking is not None,
        "weights: not a softmax": not isinstance(config.weights, Softmax),
    }
    return tuple(reason for reason, holds in told.items() if holds)


def looks_back(config: Attention) -> bool:
    """True where a part means nothing unless every key stands before its query."""
    turned = isinstance(config.positions, Rotary) and config.positions.decay is not None
    return config.forgetting is not None or config.selective or turned


def trains_in_rows(config: Attention) -> bool:
    """Whether training on a CPU may take ``causal_rows``, of those that are fused and have nothing beside it."""
    pure = not isinstance(config.positions, Rotary) or config.positions.scaling is None
    return pure and config.dropout == 0.0 and config.key_value_heads in (None, config.heads)


def refuse_idle(config: Attention) -> None:
    """``UserError`` for fields that would not act beside the others."""
    if config.scale is not None and not config.scale > 0:
        raise UserError(f"attention scale must be above 0 or none, got {config.scale}.")
    if config.scale is not None and config.sharpness is not None:
        raise UserError(f"attention scale is for plain products; set sharpness to none, or leave out {config.scale}.")
    if config.gains != "none" and config.sharpness is None:
        raise UserError(f"attention gains are for normalised queries and keys; set sharpness to use {config.gains!r}.")
    if config.selective and not isinstance(config.reach, Everything):
        raise UserError(f"selective attention needs the scores of all earlier queries, got reach {config.reach}.")
    if config.sink is not None and isinstance(config.weights, Sigmoid):
        raise UserError(f"sigmoid weights share nothing that a sink could take, got sink {config.sink}.")
    if config.talking is not None and config.heads < 2:
        raise UserError(f"talking heads need at least 2 heads, got heads {config.heads}.")
    if config.score_cap is not None and not config.score_cap > 0:
        raise UserError(f"attention score_cap must be above 0 or none, got {config.score_cap}.")
