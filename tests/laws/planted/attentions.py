"""Faults of attention's parts: what goes wrong with windows, biases, forgetting, selection, sinks and latents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws.planted import network_changes as net
from laws.planted.networks import COMPANY, PAD, PEEK, STEP, Planted, case, learning
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import (
    AdaptiveSpan,
    ALiBi,
    Alike,
    Attention,
    BucketedBias,
    Forgetting,
    LatentAttention,
    LearnedSink,
    Memory,
    OutputGate,
    Parallel,
    Routed,
    Softmax,
    TalkingHeads,
    TokenShift,
    UntiedBias,
    Window,
    alike,
    routed,
)
from semagram.mixers.attention_parts import open_scores
from semagram.mixers.attention_parts.adaptive_span import AdaptiveSpanBias
from semagram.mixers.attention_parts.forgetting import ForgettingGate
from semagram.mixers.attention_parts.output_gate import OutputGateLayer
from semagram.mixers.attention_parts.sinks import LearnedSinkColumns, MemoryColumns
from semagram.mixers.attention_parts.state import SlotBuffer, WindowState
from semagram.mixers.attention_parts.talking import TalkingHeadsMaps
from semagram.mixers.attention_parts.untied_bias import UntiedBiasMaps
from semagram.mixers.parallel import ParallelMixer


def over_slots(sound: Any) -> Any:
    """Heads that talk to the heads of later queries."""
    return lambda self, weights: sound(self, weights) + 0.1 * weights.flip(-2)


def unheard(sound: Any) -> Any:
    """What is said is not heard: the map before the weights is left out."""
    return lambda self, scores: scores


def places_from_the_first(sound: Any) -> Any:
    """Places are counted from the first query of the call."""
    return lambda self, queries, keys: sound(self, queries - queries[..., :1, :], keys)


def second_begins_anew(sound: Any) -> Any:
    """The recurrence beside the attention forgets before each chunk."""

    def step(self: Any, x: Tensor, geometry: Any, state: Any) -> Tensor:
        state.second = self.second.new_state(x.shape[0], geometry.whole.count)
        return sound(self, x, geometry, state)

    return step


def span_less_one(sound: Any) -> Any:
    """A ring with room for one slot too few."""
    return lambda self, span, capacity: sound(self, span - 1, capacity)


def ring_out_of_order(sound: Any) -> Any:
    """Whoever asks which slot stands where in the ring is told that they stand in order."""

    def append(self: Any, *parts: Tensor) -> Any:
        found = sound(self, *parts)
        self.index = self.index.sort().values
        return found

    return append


def newest_missing(sound: Any) -> Any:
    """What has just been stored is not there yet."""

    def append(self: Any, *parts: Tensor) -> Any:
        found = [f.clone() for f in sound(self, *parts)]
        found[0][:, :, -1] = 0.0
        return found

    return append


def sees_all(sound: Any) -> Any:
    """Blocks look at all that stands in them."""

    def visible(geometry: Any, reach: Any, queries: Tensor, keys: Tensor, keep: Any) -> Tensor:
        everyone = Geometry(geometry.coords, geometry.order, Visibility.FULL)
        return sound(everyone, reach, queries, keys, keep)

    return visible


def further_while_stepping(sound: Any) -> Any:
    """A step counts distance from the slot after."""
    return lambda queries, keys: sound(queries, keys) + int(queries.shape[-2] < keys.shape[-2])


def without_before(sound: Any) -> Any:
    """Sums begin anew with every step."""
    return lambda self, x, keep, before=None: sound(self, x, keep)


def forgets_what_was_held(sound: Any) -> Any:
    """Selection begins anew with every step."""

    def deselected(held: Tensor, before: Tensor | None = None) -> Any:
        return sound(held, None if before is None else torch.zeros_like(before))

    return deselected


def from_the_end(sound: Any) -> Any:
    """What later queries hold against a key counts."""
    return lambda held, before=None: (held.flip(2).cumsum(2).flip(2), sound(held, before)[1])


def over_queries(sound: Any) -> Any:
    """The softmax runs over the wrong axis."""
    return lambda self, scores: torch.softmax(scores, dim=-2)


def detached(sound: Any) -> Any:
    """A sink that does not learn."""

    def forward(self: Any, *arguments: Any) -> Any:
        own, values = sound(self, *arguments)
        return own.detach(), None if values is None else values.detach()

    return forward


def gate_by_neighbour(sound: Any) -> Any:
    """Each slot is gated by the slot after it."""
    return lambda self, mixed, x: sound(self, mixed, x.roll(-1, dims=1))


def kept_in_blocks(sound: Any) -> Any:
    """Blocks are cut as if no slot were padding."""
    return lambda geometry, side: sound(Geometry(geometry.coords, geometry.order, geometry.visibility), side)


def kept_in_groups(sound: Any) -> Any:
    """Padding is merged as if it were text."""
    return lambda names, share, keep: sound(names, share, None)


def grouped_by_the_batch(sound: Any) -> Any:
    """All rows are merged alike."""
    return lambda names, share, keep: sound(names.mean(dim=0, keepdim=True).expand_as(names), share, keep)


def span_detached(sound: Any) -> Any:
    """A window that does not learn its size."""
    return lambda self, distance, causal: sound(self, distance, causal).detach()


LINE = Sequence(40)
NEAR = Attention(reach=Window(4))

FAULTS: list[Planted] = [
    Planted(
        "padding in routed blocks",
        PAD,
        lambda patch: patch.setattr(routed.Cut, "of", staticmethod(kept_in_blocks(routed.Cut.of))),
        case(Visibility.FULL, Grid(3, 4), mixer=Routed(side=2, blocks=2)),
    ),
    Planted(
        "padding in groups",
        PAD,
        net.replacing(alike, "groups", kept_in_groups),
        case(Visibility.FULL, mixer=Alike(share=0.4)),
    ),
    Planted(
        "groups of the whole batch",
        COMPANY,
        net.replacing(alike, "groups", grouped_by_the_batch),
        case(Visibility.FULL, mixer=Alike(share=0.4)),
    ),
    Planted(
        "a span that does not learn",
        learning.LEARNS,
        net.replacing(AdaptiveSpanBias, "forward", span_detached),
        case(mixer=Attention(bias=AdaptiveSpan(0.5, 3.0))),
    ),
    Planted("a ring too small", STEP, net.replacing(WindowState, "__init__", span_less_one), case(mixer=NEAR)),
    Planted(
        "a ring read out of order",
        STEP,
        net.replacing(SlotBuffer, "append", ring_out_of_order),
        case(mixer=Attention(reach=Window(3, dilation=2)), layout=LINE),
    ),
    Planted(
        "blocks that look ahead",
        PEEK,
        net.replacing(open_scores, "visible", sees_all),
        case(mixer=NEAR, layout=LINE),
    ),
    Planted(
        "a bias that looks ahead",
        PEEK,
        net.replacing(open_scores, "visible", sees_all),
        case(mixer=Attention(bias=ALiBi())),
    ),
    Planted(
        "a bias off by one while stepping",
        STEP,
        net.replacing(open_scores, "distances", further_while_stepping),
        case(mixer=Attention(bias=BucketedBias(6, 5))),
    ),
    Planted(
        "forgetting begins anew",
        STEP,
        net.replacing(ForgettingGate, "forward", without_before),
        case(mixer=Attention(forgetting=Forgetting(1.0))),
    ),
    Planted(
        "selection begins anew",
        STEP,
        net.replacing(open_scores, "deselected", forgets_what_was_held),
        case(mixer=Attention(selective=True)),
    ),
    Planted(
        "selection by later queries",
        PEEK,
        net.replacing(open_scores, "deselected", from_the_end),
        case(mixer=Attention(selective=True)),
    ),
    Planted(
        "weights shared over queries",
        PEEK,
        net.replacing(Softmax, "weigh", over_queries),
        case(mixer=Attention(score_cap=5.0)),
    ),
    Planted(
        "a sink that does not learn",
        learning.LEARNS,
        net.replacing(LearnedSinkColumns, "forward", detached),
        case(mixer=Attention(sink=LearnedSink())),
    ),
    Planted(
        "a memory that does not learn",
        learning.LEARNS,
        net.replacing(MemoryColumns, "forward", detached),
        case(mixer=Attention(sink=Memory(2))),
    ),
    Planted(
        "a gate of the next slot",
        PEEK,
        net.replacing(OutputGateLayer, "forward", gate_by_neighbour),
        case(mixer=Attention(gate=OutputGate())),
    ),
    Planted(
        "heads that talk about the future",
        PEEK,
        net.replacing(TalkingHeadsMaps, "of_weights", over_slots),
        case(mixer=Attention(talking=TalkingHeads())),
    ),
    Planted(
        "heads that do not learn to talk",
        learning.LEARNS,
        net.replacing(TalkingHeadsMaps, "of_scores", unheard),
        case(mixer=Attention(talking=TalkingHeads())),
    ),
    Planted(
        "places counted from the chunk",
        STEP,
        net.replacing(UntiedBiasMaps, "forward", places_from_the_first),
        case(mixer=Attention(bias=UntiedBias(4))),
    ),
    Planted(
        "one of two states begins anew",
        STEP,
        net.replacing(ParallelMixer, "step", second_begins_anew),
        case(mixer=Parallel(beside=TokenShift())),
    ),
    Planted(
        "a latent that comes too late",
        STEP,
        net.replacing(SlotBuffer, "append", newest_missing),
        case(mixer=LatentAttention(2, 6, None, 4, 4, 5)),
    ),
]
"""Each on the smallest combination that can show it."""

CLEAN = [
    case(mixer=NEAR, layout=LINE),
    case(mixer=Attention(selective=True, sink=Memory(2), bias=BucketedBias(6, 5))),
    case(mixer=LatentAttention(2, 6, None, 4, 4, 5)),
    case(mixer=Attention(talking=TalkingHeads(), bias=UntiedBias(4), reach=Window(3))),
    case(mixer=Parallel(beside=TokenShift())),
]
"""On which no law may break."""
