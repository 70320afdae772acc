"""Faults of what stands around the mixers: residual forms, conditions, registers, experts, places, loops."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws import company, learning, no_peeking, stepping
from laws.planted import network_changes as net
from laws.planted.networks import FULL, Planted, case
from semagram.feedforward import AdaptiveRMSNorm, Experts
from semagram.feedforward.experts import ExpertsLayer
from semagram.feedforward.other_norms import AdaptiveNormLayer
from semagram.models.depth_attention import DepthAttention, DepthJoin
from semagram.models.embedding import Embedding, Entry, LearnedPositions
from semagram.models.hyper_connections import HyperConnections, HyperJoin
from semagram.models.joins import Plus, PlusJoin
from semagram.models.layers import Layers
from semagram.models.residual import Residual, Way
from semagram.models.scales import LayerScale, LayerScaleLayer
from semagram.models.skips import Reinjection, ReinjectionLayer
from semagram.models.stack import Stack

STEP, PEEK, COMPANY, LEARNS = stepping.LAW, no_peeking.LAW, company.COMPANY, learning.LEARNS


def condition_of_the_next(sound: Any) -> Any:
    """Each position is steered by the condition of the position after it."""
    return lambda self, x, condition: sound(self, x, condition.roll(-1, dims=1))


def streams_mixed_along_the_line(sound: Any) -> Any:
    """Hyper-connections whose weights look at all positions together."""

    def read(self: Any, h: Tensor) -> Any:
        return sound(self, h + 0.1 * h.mean(dim=1, keepdim=True))

    return read


def depths_of_all_positions(sound: Any) -> Any:
    """Attention over depth that normalises over the line as well."""

    def read(self: Any, h: Any) -> Any:
        x, carry = sound(self, h)
        return x * torch.softmax(x.mean(-1), dim=1)[..., None], carry

    return read


def capacity(sound: Any) -> Any:
    """Experts with room for two: who comes later in the batch is served first, and then there is none left."""

    def everywhere(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        first = torch.nn.functional.one_hot(experts[:, 0], self.experts).flip(0).cumsum(0).flip(0)
        room = (first.gather(1, experts[:, :1]) <= 2).to(x.dtype)
        return sound(self, x, weights * room, experts)

    return everywhere


def scores_over_the_batch(sound: Any) -> Any:
    """A router that looks at how much the whole batch likes an expert."""

    def everywhere(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        return sound(self, x, weights * (1.0 + x.mean()), experts)

    return everywhere


def one_state_for_all_loops(sound: Any) -> Any:
    """The second loop goes on with the first one's state."""

    def new_state(self: Any, *a: Any, **k: Any) -> Any:
        state = sound(self, *a, **k)
        once = len(self.order) // self.loops
        state.blocks = [state.blocks[run % once] for run in range(len(self.order))]
        capacity_of = [mixer for mixer, _ in state.blocks]
        for mixer in capacity_of:
            mixer.keys, mixer.values = (torch.cat([t, t, t], 2) for t in (mixer.keys, mixer.values))
        return state

    return new_state


def registers_not_read(sound: Any) -> Any:
    """A state that believes it has read the registers."""

    def new_state(self: Any, *a: Any, **k: Any) -> Any:
        state = sound(self, *a, **k)
        state.registers_wait = False
        return state

    return new_state


def places_from_the_beginning(sound: Any) -> Any:
    """Every chunk stands at the first places."""

    def forward(self: Any, rows: Tensor, geometry: Any, categories: Any) -> Tensor:
        whole = geometry if geometry._whole is None else geometry._whole
        return sound(self, rows, whole.narrow(0, geometry.count), categories)

    return forward


def drop_outside_training(sound: Any) -> Any:
    """Stochastic depth that does not know of eval."""

    def shaped(self: Any, y: Tensor, condition: Any) -> Tensor:
        kept = torch.rand(y.shape[0], 1, 1) >= 0.3
        return sound(self, y, condition) * kept

    return shaped


def only_when_stepping_whole(sound: Any) -> Any:
    """What is given again is the mean of what has come in one call."""
    return lambda self, x: sound(self, x.mean(dim=1, keepdim=True).expand_as(x))


ADAPTIVE = {"norm": AdaptiveRMSNorm(3)}
HYPER = {"residual": Residual(join=HyperConnections(2))}
DEPTH = {"residual": Residual(join=DepthAttention(3))}
EXPERTS = {"feedforward": Experts(3, 2, 1.0)}

FAULTS: list[Planted] = [
    Planted(
        "the condition of the next position",
        PEEK,
        net.replacing(AdaptiveNormLayer, "forward", condition_of_the_next),
        case(**ADAPTIVE),
    ),
    Planted(
        "streams mixed along the line",
        PEEK,
        net.replacing(HyperJoin, "read", streams_mixed_along_the_line),
        case(**HYPER),
    ),
    Planted("depths of all positions", PEEK, net.replacing(DepthJoin, "read", depths_of_all_positions), case(**DEPTH)),
    Planted("experts with a capacity", PEEK, net.replacing(ExpertsLayer, "_everywhere", capacity), case(**EXPERTS)),
    Planted(
        "a router that looks at the batch",
        COMPANY,
        net.replacing(ExpertsLayer, "_everywhere", scores_over_the_batch),
        case(FULL, **EXPERTS),
    ),
    Planted(
        "one state for all loops",
        STEP,
        net.replacing(Stack, "new_state", one_state_for_all_loops),
        case(layers=Layers(loops=2)),
    ),
    Planted(
        "registers forgotten while stepping",
        STEP,
        net.replacing(Stack, "new_state", registers_not_read),
        case(embedding=Embedding(registers=2)),
    ),
    Planted(
        "places start again with every chunk",
        STEP,
        net.replacing(Entry, "forward", places_from_the_beginning),
        case(embedding=Embedding(LearnedPositions(16))),
    ),
    Planted(
        "stochastic depth outside training",
        STEP,
        net.replacing(Way, "shaped", drop_outside_training),
        case(residual=Residual(drop=0.3)),
    ),
    Planted(
        "the line given again",
        PEEK,
        net.replacing(ReinjectionLayer, "forward", only_when_stepping_whole),
        case(layers=Layers(skips=Reinjection())),
    ),
    Planted(
        "a scale that is ignored",
        LEARNS,
        net.replacing(LayerScaleLayer, "forward", lambda _: lambda self, y: y),
        case(residual=Residual(scale=LayerScale())),
    ),
    Planted(
        "a skip that is not scaled",
        LEARNS,
        net.replacing(PlusJoin, "write", lambda _: lambda self, h, y: h + y),
        case(residual=Residual(join=Plus(learned=True))),
    ),
]
"""Each on the smallest combination that can show it."""

CLEAN = [
    case(**ADAPTIVE),
    case(**HYPER),
    case(FULL, **EXPERTS),
    case(embedding=Embedding(registers=2), layers=Layers(loops=2)),
]
"""On which no law may break."""
