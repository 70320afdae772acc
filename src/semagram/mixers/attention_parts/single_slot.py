"""Plain attention for one slot a row, with nothing between it and torch (see ``mixers/single.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from semagram.feedforward.norms import normalise
from semagram.mixers.attention_parts.state import KeyValueState
from semagram.mixers.rotary import rotations
from semagram.mixers.single import Single, transposed

if TYPE_CHECKING:
    from semagram.mixers.attention import AttentionMixer


def single_slot(mixer: AttentionMixer, state: KeyValueState, tables: tuple[Tensor, Tensor] | None) -> Single:
    """The function for this state; ``tables (n, d_h)`` are of the whole canvas."""
    inward, outward = transposed(mixer.inward.weight), transposed(mixer.outward.weight)
    heads, shared, width, scale = mixer.heads, mixer.key_value_heads, mixer.head_width, mixer.scale
    both, group, normalised = heads + shared, heads // shared, mixer.normalised
    # Views are made once: where each slot's keys and values go, and all that stand up to and including it.
    key_of, value_of = state.keys.unbind(2), state.values.unbind(2)
    every_key, every_value = state.keys.transpose(2, 3).flatten(0, 1), state.values.flatten(0, 1)
    keys_to = [every_key[:, :, : at + 1] for at in range(len(key_of))]
    values_to = [every_value[:, : at + 1] for at in range(len(key_of))]
    nothing = every_key.new_zeros(())
    turns = None if tables is None else rotations(*tables).unbind(0)

    def one(x: Tensor, residual: Tensor) -> Tensor:
        at = state.length
        state.length = at + 1
        batch = x.shape[0]
        turned, values = torch.mm(x, inward).view(batch, both + shared, width).split([both, shared], 1)
        if normalised:
            turned = normalise(turned)
        if turns is not None:
            turned = torch.matmul(turned, turns[at])
        queries, keys = turned.split([heads, shared], 1)
        key_of[at].copy_(keys)
        value_of[at].copy_(values)
        # For one query torch's fused kernel is slower than two products and a softmax.
        queries = queries.reshape(batch * shared, group, width)
        scores = torch.baddbmm(nothing, queries, keys_to[at], beta=0.0, alpha=scale)
        mixed = torch.bmm(torch.softmax(scores, -1), values_to[at])
        return torch.addmm(residual, mixed.reshape(batch, heads * width), outward)

    return one
