"""Faults of networks that read a text at several resolutions: real code with one thing changed, and the law."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from laws import learning, no_peeking, stepping
from laws.cases import Case
from laws.planted.network_changes import replacing
from laws.planted.networks import Planted
from semagram.layouts import Sequence, Visibility
from semagram.mixers import StateSpace
from semagram.mixers.phased import Ring, RowRing
from semagram.models import (
    Hierarchical,
    Hourglass,
    Level,
    Stage,
    hierarchical_level,
    hierarchical_merge,
    hierarchical_product,
    hourglass_pool,
)
from semagram.models.hierarchical_compress import Compressor
from semagram.models.hierarchical_level import LevelBlock
from semagram.models.hierarchical_merge import GatedAdd
from semagram.models.hierarchical_recurrent import PhasedRecurrence
from semagram.models.hourglass_back import LookBack, Smoothed
from semagram.models.hourglass_boundaries import AfterSpaces, Cut
from semagram.models.hourglass_learnt import Routing, _Routing
from semagram.models.hourglass_pool import Last, Mean

RECURRENT = (Level(width=16), Level(factor=4, stride=2, width=16, recurrence=StateSpace(2, state=3)))
LEVELS = (Level(width=16, window=2), Level(factor=4, stride=2, width=16, window=1))


def levelled(**fields: Any) -> Case:
    """Two levels, the second in two phases."""
    given = {"width": 16, "depth": 2, "levels": LEVELS, **fields}
    return Case(Hierarchical(**given), Sequence(13), Visibility.CAUSAL, 7)


def staged(stage: Stage) -> Case:
    """One stage around a core."""
    return Case(Hourglass(stages=(stage,), width=16, depth=1), Sequence(13), Visibility.CAUSAL, 7)


WORDS = Stage(AfterSpaces((0, 1)), Mean(), LookBack(2, 2), width=16, heads=2)
ROUTED = Stage(Routing(), Last(), Smoothed(), width=16)


def tokens_too_late(sound: Any) -> Any:
    """Elements sum up the token after their last one too."""
    return lambda self, x, state=None: sound(self, F.pad(x[:, 1:], (0, 0, 0, 1)), state)


def elements_too_early(sound: Any) -> Any:
    """A coarse element is shown before it has ended."""

    def at_slots(x: Tensor, stride: int, rate: int, count: int) -> Tensor:
        return sound(x if stride == rate else F.pad(x[:, 1:], (0, 0, 0, 1)), stride, rate, count)

    return at_slots


def repeated_too_early(sound: Any) -> Any:
    """The same, where levels are multiplied at their own pace."""
    return lambda into, x, times: sound(into, x if times == 1 else F.pad(x[:, 1:], (0, 0, 0, 1)), times)


def one_memory(sound: Any) -> Any:
    """All phases of a recurrence go on from the first one's memory."""

    def new_states(self: Any, batch: int, phases: int, capacity: int) -> Any:
        return sound(self, batch, 1, capacity) * phases

    return new_states


def future_summed(sound: Any) -> Any:
    """Half of the features are those of the element after."""
    return lambda x, kept, phases: sound(x.flip(1), kept, phases).flip(1)


def oldest_forgotten(sound: Any) -> Any:
    """The ring gives one element less than the window."""

    def append(self: Ring, keys: Tensor, values: Tensor) -> Any:
        seen = sound(self, keys, values)
        return tuple(t[:, :, 1:] if t.shape[2] > 1 else t for t in seen)

    return append


def one_phase(sound: Any) -> Any:
    """All phases write over the same half features."""
    return lambda self, x, store, place: sound(self, x, store, 0)


def everybody_advances(sound: Any) -> Any:
    """A row whose element has not ended is read as if it had."""
    return lambda self, keys, values, active, time: sound(self, keys, values, torch.ones_like(active), time)


def pooled_too_far(sound: Any) -> Any:
    """Slots behind an end are pooled into the element that has ended."""
    return lambda self: self.latest()


def nobody_hears_the_end(sound: Any) -> Any:
    """After the last layer too all levels are told what nobody will read."""
    return lambda self, layer: tuple(range(len(self.levels)))


def router_cut_off(sound: Any) -> Any:
    """The router's chances reach nothing but its own loss, and that is not asked."""

    def forward(self: Any, x: Tensor, inputs: Any, counts: Any, state: Any = None) -> Cut:
        cut = sound(self, x.detach(), inputs, counts, state)
        self.carried.take()
        return Cut(cut.ends, cut.chance.detach(), cut.most)

    return forward


def drawn_from_the_next(sound: Any) -> Any:
    """An element is what is known one slot after its end."""

    def forward(self: Any, x: Tensor, cut: Cut, slots: Tensor, counts: Any, state: Any = None) -> Tensor:
        return sound(self, x, cut, (slots + 1).clamp(max=x.shape[1] - 1), counts, state)

    return forward


STEP, PEEK = stepping.LAW, no_peeking.LAW

FAULTS: list[Planted] = [
    Planted("a level sums up the next token", PEEK, replacing(Compressor, "forward", tokens_too_late), levelled()),
    Planted(
        "a coarse element is seen early",
        PEEK,
        replacing(hierarchical_merge, "at_slots", elements_too_early),
        levelled(merge=GatedAdd()),
    ),
    Planted(
        "a coarse element is repeated early",
        PEEK,
        replacing(hierarchical_product, "add_repeated", repeated_too_early),
        levelled(),
    ),
    Planted("the shift looks ahead", PEEK, replacing(hierarchical_level, "halved", future_summed), levelled()),
    Planted(
        "phases share a memory",
        STEP,
        replacing(PhasedRecurrence, "new_states", one_memory),
        levelled(levels=RECURRENT),
    ),
    Planted("a ring is one element short", STEP, replacing(Ring, "append", oldest_forgotten), levelled()),
    Planted("phases share their shift", STEP, replacing(LevelBlock, "_halved_one", one_phase), levelled()),
    Planted(
        "a merge that nobody reads",
        learning.LEARNS,
        replacing(Hierarchical, "receivers", nobody_hears_the_end),
        levelled(into="all"),
    ),
    Planted("rows advance together", STEP, replacing(RowRing, "append", everybody_advances), staged(WORDS)),
    Planted("pooling goes past the end", PEEK, replacing(Cut, "belongs", pooled_too_far), staged(WORDS)),
    Planted(
        "an element of the slot after",
        PEEK,
        replacing(hourglass_pool._Last, "forward", drawn_from_the_next),
        staged(ROUTED),
    ),
    Planted(
        "a router that learns nothing", learning.LEARNS, replacing(_Routing, "forward", router_cut_off), staged(ROUTED)
    ),
]

CLEAN = [levelled(), levelled(levels=RECURRENT), staged(WORDS), staged(ROUTED)]
