"""Every pair of kinds of options: attention's own places, and the places of a transformer's blocks, two at a time.

A *place* is a field, an *option* a value of it by kind (a class of the union, a flag turned, a number instead of none).
``covering_of`` chooses few configurations in which every pair of options that may stand together does (greedy,
deterministic, strength 2); what is refused is found by asking, and must be in ``ALONE``: so that a wrong refusal shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import Any

from semagram.errors import UserError
from semagram.feedforward import MLP, DynamicTanh, Experts, Gated, LayerNorm, Piecewise, RMSNorm, ScaleNorm
from semagram.layouts import Sequence, Visibility
from semagram.mixers import (
    AdaptiveSpan,
    ALiBi,
    Attention,
    BucketedBias,
    Convolution,
    DynamicBias,
    Entmax15,
    Everything,
    Forgetting,
    LatentAttention,
    LearnedSink,
    Memory,
    NoPositions,
    OutputGate,
    Parallel,
    Rotary,
    Segments,
    Sigmoid,
    Softmax,
    Sparsemax,
    StateSpace,
    TalkingHeads,
    TokenShift,
    TopK,
    UntiedBias,
    ValueResidual,
    Window,
    YaRN,
    ZeroSink,
)
from semagram.models import Transformer
from semagram.models.embedding import Embedding, LearnedPositions, SinusoidalPositions
from semagram.models.head import Head
from semagram.models.joins import DepthAttention, GRUGate, Highway, HyperConnections, Plus, Reversible
from semagram.models.layers import Layers, Letters, Macaron, SandwichOrder
from semagram.models.residual import Residual
from semagram.models.scales import Fixed, LayerScale, ReZero
from semagram.models.skips import Reinjection, UNetSkips

Places = dict[str, list[Any]]
Chosen = dict[str, int]

ATTENTION: Places = {
    "key_value_heads": [None, 2, 1],
    "positions": [Rotary(), NoPositions(), Rotary(scaling=YaRN(4.0, 20_000)), Rotary(decay=9.0)],
    "sharpness": [8.0, None],
    "gains": ["none", "both"],
    "input_bias": [False, True],
    "bias": [
        None,
        ALiBi(),
        BucketedBias(6, 5),
        DynamicBias(4, 1),
        UntiedBias(4, 10.0, reset=True),
        AdaptiveSpan(0.5, 3.0),
    ],
    "forgetting": [None, Forgetting(1.0)],
    "score_cap": [None, 2.0],
    "reach": [Everything(), Window(3), Window(3, dilation=2)],
    "weights": [Softmax(), TopK(2), Sparsemax(), Entmax15(), Sigmoid()],
    "selective": [False, True],
    "sink": [None, ZeroSink(), LearnedSink(), Memory(2)],
    "value_residual": [None, ValueResidual()],
    "gate": [None, OutputGate("heads")],
    "talking": [None, TalkingHeads()],
}
"""Every field of ``Attention`` but sizes and dropout (a test says so)."""

BLOCKS: Places = {
    "mixer": [
        Attention(),
        Attention(reach=Window(3), value_residual=ValueResidual()),
        LatentAttention(2, 6, None, 4, 4, 5),
        Parallel(beside=TokenShift()),
        StateSpace(heads=2, expand=1.0, state=4, kernel=3),
        Convolution(3),
        Segments(segment=3, memory=2),
    ],
    "feedforward": [MLP(2.0), Gated(1.5), Experts(3, 2, 1.0), Piecewise()],
    "norm": [RMSNorm(), RMSNorm(gain=True), LayerNorm(bias=True), ScaleNorm(), DynamicTanh()],
    "shift": [TokenShift(), None],
    "tied": [False, True],
    "norms": ["before", "after", "sandwich", "both", "output", "none"],
    "parallel": ["no", "own_norms"],
    "scale": [None, LayerScale(), ReZero(), Fixed()],
    "join": [Plus(), GRUGate(), Highway(), HyperConnections(2), DepthAttention(3), Reversible()],
    "drop": [0.0, 0.3],
    "order": [None, Letters("aff"), SandwichOrder(1), Macaron()],
    "distinct": [None, 1],
    "loops": [1, 2],
    "skips": [None, UNetSkips(), Reinjection()],
    "positions": [None, LearnedPositions(16), SinusoidalPositions()],
    "inner_width": [None, 5],
    "registers": [0, 2],
    "head": [Head(), Head(bias=True), Head(transform=True)],
}
"""Places of a transformer, of its residual form, layers and embedding."""


def attention(picked: dict[str, Any]) -> Transformer:
    """Two layers, so that values have something to be mixed with."""
    return built(Transformer(16, 2, mixer=Attention(4, **picked)))


def blocks(picked: dict[str, Any]) -> Transformer:
    """A transformer with these options."""
    p = dict(picked)
    residual = Residual(p.pop("norms"), p.pop("parallel"), p.pop("scale"), p.pop("join"), p.pop("drop"))
    order, names = p.pop("order"), ("distinct", "loops", "skips")
    layers = Layers(**{n: p.pop(n) for n in names}, **({} if order is None else {"order": order}))
    names = ("positions", "inner_width", "registers")
    embedding = Embedding(**{n: p.pop(n) for n in names})
    return built(Transformer(16, 3, residual=residual, layers=layers, embedding=embedding, **p))


def built(config: Transformer) -> Transformer:
    """It, if it can be built: some things are refused only then."""
    config.build(5, Sequence(7), Visibility.CAUSAL)
    return config


Kind = tuple[Places, Callable[[dict[str, Any]], Transformer]]
KINDS: dict[str, Kind] = {"attention": (ATTENTION, attention), "blocks": (BLOCKS, blocks)}

Option = tuple[str, int]


@cache
def refused(kind: str) -> frozenset[tuple[Option, Option]]:
    """Pairs that cannot stand together, everything else being at its first value."""
    places, make = KINDS[kind]
    found = set()
    for a, b in combinations(places, 2):
        for i in range(len(places[a])):
            for j in range(len(places[b])):
                if i and j and not fits(places, make, {a: i, b: j}):
                    found.add(((a, i), (b, j)))
    return frozenset(found)


def fits(places: Places, make: Callable[[dict[str, Any]], Transformer], chosen: Chosen) -> bool:
    """Whether it is built."""
    try:
        make({name: values[chosen.get(name, 0)] for name, values in places.items()})
    except UserError:
        return False
    return True


@cache
def covering_of(kind: str) -> tuple[tuple[Transformer, ...], int]:
    """Configurations in which every pair of options stands together that can, and how many pairs that are."""
    places, make = KINDS[kind]
    never, names = refused(kind), list(places)
    missing = {
        ((a, i), (b, j))
        for a, b in combinations(names, 2)
        for i in range(len(places[a]))
        for j in range(len(places[b]))
        if ((a, i), (b, j)) not in never
    }
    total, cases = len(missing), []
    while missing:
        (a, i), (b, j) = min(missing, key=lambda p: (names.index(p[0][0]), names.index(p[1][0]), p[0][1], p[1][1]))
        chosen: Chosen = {a: i, b: j}
        for name in sorted(names, key=lambda n: -len(places[n])):
            if name in chosen:
                continue
            ranked = sorted(
                range(len(places[name])),
                key=lambda k: (-sum(pair(name, k, o, v, names) in missing for o, v in chosen.items()), k),
            )
            chosen[name] = next((k for k in ranked if allowed(never, names, {**chosen, name: k})), 0)
        if not fits(places, make, chosen):  # three options that do not fit: only the pair that was asked for
            chosen = {a: i, b: j}
        for left, right in combinations(((n, chosen.get(n, 0)) for n in names), 2):
            missing.discard((left, right))
        cases.append(make({name: values[chosen.get(name, 0)] for name, values in places.items()}))
    return tuple(cases), total


def allowed(never: frozenset[tuple[Option, Option]], names: list[str], chosen: Chosen) -> bool:
    """No two of these are refused."""
    return not any(pair(*left, *right, names) in never for left, right in combinations(chosen.items(), 2))


def pair(a: str, i: int, b: str, j: int, names: list[str]) -> tuple[Option, Option]:
    """The pair in the order of ``names``."""
    return ((a, i), (b, j)) if names.index(a) < names.index(b) else ((b, j), (a, i))
