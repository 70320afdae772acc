"""Faults of state spaces, windows, lagged levels and layers of functions, and the law that must see each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws import learning
from laws.cases import Case
from laws.planted import network_changes as net
from laws.planted.networks import COMPANY, PAD, PEEK, STEP, Planted, case
from semagram.feedforward import Piecewise, domain
from semagram.feedforward.basis import Continuous
from semagram.feedforward.piecewise_fused import _Product
from semagram.feedforward.piecewise_linear import _Recomputed
from semagram.layouts import Grid, Sequence, Visibility
from semagram.mixers import SelectiveScan, SparseConvolution, StateSpace, Tree, lagged, state_space
from semagram.mixers.selective_scan import SelectiveScanMixer, _Scan
from semagram.mixers.state_space import StateSpaceMixer
from semagram.models import Window, window

SPACE, SCAN = StateSpace(heads=2, expand=1.0, state=4), SelectiveScan(expand=1.0, state=3, rank=2)
JOINED, PYRAMID = Tree(levels=2), SparseConvolution(kernel=2, levels=2)


def stencil(layout: Any = None, visibility: Visibility = Visibility.OTHERS) -> Case:
    return Case(Window(context=2, width=16), layout or Sequence(7), visibility, 7)


def memory_forgotten(sound: Any) -> Any:
    """Every chunk begins with an empty memory."""
    return lambda x, decays, keys, queries, memory=None, **k: sound(x, decays, keys, queries, None, **k)


def looking_ahead(sound: Any) -> Any:
    """The masked product lets a slot see the one after it."""

    def chunked(x: Tensor, *a: Any, **k: Any) -> Any:
        y, memory = sound(x, *a, **k)
        return torch.cat([y[:, :-1] + 0.1 * y[:, 1:], y[:, -1:]], dim=1), memory

    return chunked


def other_end(sound: Any) -> Any:
    """The convolution before the recurrence remembers its first slots."""

    def step(self: Any, x: Tensor, geometry: Any, state: Any) -> Tensor:
        out = sound(self, x, geometry, state)
        state.recent.copy_(state.recent.flip(1))
        return out

    return step


def key_gradient_lost(sound: Any) -> Any:
    """The hand-written gradient forgets one of its five."""
    inner = sound.__func__

    def backward(ctx: Any, dy: Tensor) -> Any:
        dx, dsteps, ddecays, dkeys, dqueries = inner(ctx, dy)
        return dx, dsteps, ddecays, dkeys * 0.0, dqueries

    return staticmethod(backward)


def weight_gradient_lost(sound: Any) -> Any:
    inner = sound.__func__

    def backward(ctx: Any, dy: Tensor) -> Any:
        dx, dw, nothing = inner(ctx, dy)
        return dx, dw * 0.0, nothing

    return staticmethod(backward)


def itself_too(sound: Any) -> Any:
    """The stencil's first place is the cell itself."""

    def neighbours(coords: Tensor, reach: int) -> Any:
        (places,) = sound(coords, reach)
        places[:, 0] = torch.arange(places.shape[0])
        return (places,)

    return neighbours


def last_for_none(sound: Any) -> Any:
    """Outside the canvas stands its last cell, as an index of -1 gives it."""

    def neighbours(coords: Tensor, reach: int) -> Any:
        (places,) = sound(coords, reach)
        return (places.clamp(max=coords.shape[0] - 1),)

    return neighbours


def one_later(sound: Any) -> Any:
    """A lagged level read one slot too late in time: from the future."""
    return lambda self, level, lags: sound(self, level, lags).roll(-1, dims=1)


def one_back(sound: Any) -> Any:
    """Histories are read one slot too far back."""
    return lambda self, level, lags: sound(self, level, tuple(max(0, lag - 1) for lag in lags))


def padding_stays(sound: Any) -> Any:
    """Levels over padding keep what they hold."""

    def put(self: Any, level: int, value: Tensor) -> None:
        self._values[level] = value

    return put


def by_the_batch(sound: Any) -> Any:
    """The domain is taken over the batch."""
    return lambda self, x: sound(self, x) / (1.0 + x.abs().amax(dim=0, keepdim=True))


FAULTS: list[Planted] = [
    Planted(
        "the memory is forgotten between calls",
        STEP,
        net.replacing(state_space, "chunked", memory_forgotten),
        case(mixer=SPACE),
    ),
    Planted("the chunk looks ahead", PEEK, net.replacing(state_space, "chunked", looking_ahead), case(mixer=SPACE)),
    Planted(
        "the memory is not cleared",
        STEP,
        net.replacing(StateSpaceMixer, "new_state", net.shared_buffer),
        case(mixer=SPACE),
    ),
    Planted(
        "the scan's memory is not cleared",
        STEP,
        net.replacing(SelectiveScanMixer, "new_state", net.shared_buffer),
        case(mixer=SCAN),
    ),
    Planted(
        "recent slots are turned around", STEP, net.replacing(StateSpaceMixer, "step", other_end), case(mixer=SPACE)
    ),
    Planted(
        "padding makes the memory fade",
        PAD,
        net.replacing(StateSpaceMixer, "forward", net.padding_kept),
        case(mixer=SPACE),
    ),
    Planted(
        "padding is scanned", PAD, net.replacing(SelectiveScanMixer, "forward", net.padding_kept), case(mixer=SCAN)
    ),
    Planted(
        "the scan's gradient forgets the keys",
        learning.LEARNS,
        net.replacing(_Scan, "backward", key_gradient_lost),
        case(mixer=SelectiveScan(expand=1.0, state=20, rank=2)),
    ),
    Planted(
        "the expansion's gradient forgets the weight",
        learning.LEARNS,
        net.replacing(_Recomputed, "backward", weight_gradient_lost),
        case(feedforward=Piecewise(basis=Continuous(1, 2), frugal=True)),
    ),
    Planted(
        "the gradient by hand of a layer of functions loses its weights",
        learning.LEARNS,
        net.replacing(_Product, "backward", weight_gradient_lost),
        case(feedforward=Piecewise(basis=Continuous(1, 2))),
    ),
    Planted("a stencil with its own cell", PEEK, net.replacing(window, "neighbours", itself_too), stencil()),
    Planted("outside a line stands its last cell", PEEK, net.replacing(window, "neighbours", last_for_none), stencil()),
    Planted(
        "outside a page stands its last cell",
        PEEK,
        net.replacing(window, "neighbours", last_for_none),
        stencil(Grid(3, 4)),
    ),
    Planted("a tree from the future", PEEK, net.replacing(lagged.Whole, "get", one_later), case(mixer=JOINED)),
    Planted("histories off by one", STEP, net.replacing(lagged.Histories, "get", one_back), case(mixer=PYRAMID)),
    Planted("padding is joined", PAD, net.replacing(lagged.Whole, "put", padding_stays), case(mixer=JOINED)),
    Planted(
        "a domain over the batch",
        COMPANY,
        net.replacing(domain.ByRMS, "__call__", by_the_batch),
        case(feedforward=Piecewise()),
    ),
]

CLEAN = [case(mixer=SPACE), case(mixer=JOINED), case(feedforward=Piecewise(frugal=True))]
"""On which no law may break."""
