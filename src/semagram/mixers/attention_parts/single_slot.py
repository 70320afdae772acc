"""Plain attention for one slot a row, with nothing between it and torch (see ``mixers/single.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
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
    both, grouped, normalised = heads + shared, heads != shared, mixer.normalised
    # Views are made once: where each slot's keys and values go, and all that stand up to and including it.
    key_of, value_of = state.keys.unbind(2), state.values.unbind(2)
    keys_to = [state.keys[:, :, : at + 1] for at in range(len(key_of))]
    values_to = [state.values[:, :, : at + 1] for at in range(len(key_of))]
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
        mixed = F.scaled_dot_product_attention(
            queries.unsqueeze(2), keys_to[at], values_to[at], scale=scale, enable_gqa=grouped
        )
        return torch.addmm(residual, mixed.reshape(batch, heads * width), outward)

    return one
