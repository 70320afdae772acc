"""QK-clip: after a step, heads whose scores have grown too large have their queries and keys made smaller.

    S_h = max over the batch of scale q k^T, head by head;   g_h = min(1, limit / S_h);
    rows of W_q of head h times g_h^(1/2), rows of W_k times g_h^(1/2)

Kimi K2 (arXiv 2507.20534), for plain products: normalised queries and keys cannot grow, so ``sharpness=None`` is asked
for. Heads that share keys (grouped queries) share them between different g: there W_q alone is made smaller, by g_h.
By hand, between ``backward`` and the next step: ``largest = largest_scores(network, lambda: network(ids, geometry))``,
then ``clip(largest, limit)``. Tested: afterwards no head's largest score is above the limit, and it is the limit where
it was; other heads keep their bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.mixers.attention import AttentionMixer
from semagram.mixers.attention_parts.visible import visible

Largest = dict[AttentionMixer, Tensor]
"""Of each attention the largest score of each head, ``(h,)``."""


@torch.no_grad()
def largest_scores(network: nn.Module, call: Callable[[], object]) -> Largest:
    """The largest scores (before caps and biases) during ``call()``. ``UserError`` where nothing can grow."""
    found: Largest = {}
    mixers = [m for m in network.modules() if isinstance(m, AttentionMixer)]
    if not mixers or all(mixer.normalised for mixer in mixers):
        raise UserError("QK-clip is for attention with plain products: sharpness=None; there is none in this network.")

    def watch(mixer: Any, given: tuple[Tensor, Geometry], result: Tensor) -> None:
        x, geometry = given
        # A look beside the call: what value residuals leave for later layers must not change.
        alone = geometry.opened() if geometry.board is not None else geometry
        parts = mixer._project(x, alone)
        groups = mixer.heads // mixer.key_value_heads
        scores = parts.queries @ parts.keys.repeat_interleave(groups, dim=1).transpose(-1, -2) * mixer.scale
        slots = torch.arange(geometry.start, geometry.start + geometry.count, device=x.device)
        may = visible(geometry, mixer.open.reach, slots, slots, geometry.keep)
        largest = scores.masked_fill(~may, float("-inf")).amax(dim=(0, 2, 3))
        found[mixer] = torch.maximum(found[mixer], largest) if mixer in found else largest

    hooks = [mixer.register_forward_hook(watch) for mixer in mixers if not mixer.normalised]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return found


@torch.no_grad()
def clip(largest: Largest, limit: float = 100.0) -> int:
    """Make the heads above ``limit`` smaller, in place; how many there were. ``UserError`` for a limit of 0 or less."""
    if not limit > 0:
        raise UserError(f"the limit of QK-clip must be above 0, got {limit}.")
    count = 0
    for mixer, scores in largest.items():
        share = (limit / scores).where(scores > limit, torch.ones_like(scores))
        count += int((share < 1).sum())
        queries, keys, _ = mixer.inward.weight.split([mixer.sizes[0], mixer.sizes[1], mixer.sizes[1]])
        shared = mixer.key_value_heads != mixer.heads
        pairs = [(queries, share)] if shared else [(queries, share.sqrt()), (keys, share.sqrt())]
        biases = None if mixer.inward.bias is None else mixer.inward.bias.split([*mixer.sizes, mixer.sizes[1]])
        for i, (rows, factor) in enumerate(pairs):
            wide = factor.repeat_interleave(mixer.head_width)
            rows.mul_(wide[:, None])
            if biases is not None:
                biases[i].mul_(wide)
    return count
