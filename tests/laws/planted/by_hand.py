"""Faults of models by hand and of segments: real code with one thing changed, and the law that must see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from laws import company, keeping, no_peeking, stepping, walk
from laws.by_hand import SourceCase
from laws.planted.network_changes import replacing
from laws.planted.networks import Planted, case
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import CrossAttention, Rotary, Segments
from semagram.mixers.context import Context
from semagram.mixers.cross_attention import CrossAttentionLayer, CrossState
from semagram.mixers.segments import SegmentsMixer
from semagram.models import Blocks, Classifier, Decoder, Encoder, EncoderDecoder, Vision
from semagram.models.decoder import DecoderNetwork
from semagram.models.encoder_decoder import EncoderDecoderNetwork, GivenSource
from semagram.models.pooling import MeanPool
from semagram.models.vision import VisionNetwork

SMALL = Blocks(width=16, depth=1)
Plant = Callable[[pytest.MonkeyPatch], None]


def given(config: Any = None) -> SourceCase:
    """An encoder-decoder with its source."""
    return SourceCase(config or walk.baseline(EncoderDecoder), Sequence(7))


def next_segment_remembered(sound: Any) -> Any:
    def forward(self: Any, x: Tensor, geometry: Geometry) -> Tensor:
        return sound(self, x, geometry) + 0.1 * sound(self, x.roll(-1, dims=1), geometry)

    return forward


def one_slot_less(sound: Any) -> Any:
    def begin(self: Any, batch: int, geometry: Geometry, done: int, state: Any) -> None:
        self.memory -= 1
        sound(self, batch, geometry, done, state)
        self.memory += 1

    return begin


def never_begun_again(sound: Any) -> Any:
    def begin(self: Any, batch: int, geometry: Geometry, done: int, state: Any) -> None:
        if state.inner is None:
            sound(self, batch, geometry, done, state)

    return begin


def keep_forgotten(sound: Any) -> Any:
    def window(self: Geometry, start: int, count: int) -> Geometry:
        part = sound(self, start, count)
        return Geometry(part.coords, part.order, part.visibility)

    return window


def later_slots_looked_at(sound: Any) -> Any:
    return lambda self, x, state: sound(self, x + x.mean(dim=1, keepdim=True), state)


def rows_mixed(sound: Any) -> Any:
    return lambda self, x, state: sound(self, x, state) + 0.1 * x.roll(1, dims=0)


def restarted(sound: Any) -> Any:
    def step(self: Any, x: Tensor, state: CrossState) -> Tensor:
        state.length = 0
        return sound(self, x, state)

    return step


def deaf_state(sound: Any) -> Any:
    def new_state(self: Any, batch: int, geometry: Geometry) -> Any:
        context = self.network.encode(self.source, self.source_keep)
        other = Context(torch.zeros_like(context.features), context.keep, context.coords)
        return self.network.decoder.new_state(batch, geometry, other, table=self.network._table())

    return new_state


def everybody_seen(sound: Any) -> Any:
    def forward(self: Any, inputs: Tensor, geometry: Geometry, *more: Any, **named: Any) -> Tensor:
        return sound(
            self, inputs, Geometry(geometry.coords, geometry.order, Visibility.FULL, geometry.keep), *more, **named
        )

    return forward


def table_by_closure(sound: Any) -> Any:
    def init(self: Any, *more: Any) -> None:
        sound(self, *more)
        self.__dict__["_table"] = lambda: self.encoder.embedding.weight

    return init


SHARED = EncoderDecoder(Encoder(7, SMALL), Decoder(SMALL), shared=True)
ROTARY = EncoderDecoder(Encoder(7, SMALL), Decoder(SMALL, CrossAttention(positions=Rotary())))
RECURRENT = {"mixer": Segments(segment=3, memory=2)}

FAULTS = [
    Planted(
        "a segment that sees the next one",
        no_peeking.LAW,
        replacing(SegmentsMixer, "forward", next_segment_remembered),
        case(**RECURRENT),
    ),
    Planted(
        "a memory one slot short while stepping",
        stepping.LAW,
        replacing(SegmentsMixer, "_begin", one_slot_less),
        case(**RECURRENT),
    ),
    Planted(
        "a segment's state is never begun again",
        stepping.LAW,
        replacing(SegmentsMixer, "_begin", never_begun_again),
        case(**RECURRENT),
    ),
    Planted("a memory of padding", company.PADDING, replacing(Geometry, "window", keep_forgotten), case(**RECURRENT)),
    Planted(
        "queries that know later slots",
        no_peeking.LAW,
        replacing(CrossAttentionLayer, "step", later_slots_looked_at),
        given(),
    ),
    Planted("cross-attention mixes rows", company.ORDER, replacing(CrossAttentionLayer, "step", rows_mixed), given()),
    Planted(
        "slots of a rotary cross-attention restart",
        stepping.LAW,
        replacing(CrossAttentionLayer, "step", restarted),
        given(ROTARY),
    ),
    Planted("a state without the source", stepping.LAW, replacing(GivenSource, "new_state", deaf_state), given()),
    Planted(
        "a decoder that sees everything", no_peeking.LAW, replacing(DecoderNetwork, "forward", everybody_seen), given()
    ),
    Planted(
        "a shared table by closure",
        keeping.COPIED,
        replacing(EncoderDecoderNetwork, "__init__", table_by_closure),
        given(SHARED),
    ),
]
"""Judged by the laws of networks."""

CLEAN = [given(), given(SHARED), given(ROTARY), case(**RECURRENT)]


def mask_forgotten(sound: Any) -> Any:
    def init(self: Any, keys: Tensor, values: Tensor, keep: Any, slots: Any) -> None:
        sound(self, keys, values, None, slots)

    return init


def keep_not_told(sound: Any) -> Any:
    return lambda self, source, keep=None: sound(self, source, None)


def mean_of_all(sound: Any) -> Any:
    return lambda self, context: context.features.mean(dim=1, keepdim=True)


SOURCE_FAULTS: list[tuple[str, Plant, Any]] = [
    (
        "padding of a source is looked at",
        replacing(CrossState, "__init__", mask_forgotten),
        walk.baseline(EncoderDecoder),
    ),
    ("padding is averaged", replacing(MeanPool, "forward", mean_of_all), walk.baseline(Classifier)),
    ("padding of an image is seen", replacing(VisionNetwork, "forward", keep_not_told), walk.baseline(Vision)),
]
"""Judged by the law on padding of sources."""
