"""Every pair of parts: model fields x layout x visibility x vocabulary, covered pairwise at tiny sizes.

A *case* is one combination. The cases are chosen so that every legal pair of values of any two factors stands together
in at least one of them (all-pairs covering, greedy and deterministic); faults of combination are nearly always
faults of a pair.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from laws import legal, walk
from laws.dressed import dressed
from semagram.config import members
from semagram.layouts import Grid, Layout, Sequence, Streams, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Model
from semagram.objectives import Objective

BATCH = 3
VOCABULARIES = (2, 3, 7)


@dataclass(frozen=True)
class Case:
    """One combination of parts."""

    model: Any
    layout: Any
    visibility: Visibility
    vocabulary: int

    def __str__(self) -> str:
        told = ", ".join(f"{f.name}={short(getattr(self.model, f.name))}" for f in fields(self.model))
        return f"{self.visibility.name} {short(self.layout)} v={self.vocabulary} {type(self.model).__name__}({told})"

    def network(self, seed: int = 0) -> Any:
        """The network in eval mode, with nothing left at zero or one."""
        torch.manual_seed(seed)
        return shaken(self.fresh(), seed).eval()

    def fresh(self) -> Any:
        """The network as it is built, zeros and all; the caller has set the seed."""
        return dressed(self.model, self.model.build(self.vocabulary, self.layout, self.visibility))

    def geometry(self) -> Geometry:
        """The whole canvas."""
        return Geometry.of(self.layout.positions(), self.visibility)

    def ids(self, seed: int = 0, batch: int = BATCH) -> Tensor:
        """Random ids ``(b, n)`` in cell order; all ids occur if there is room."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, self.vocabulary, (batch, self.layout.count), generator=generator)

    def inputs(self, seed: int = 0, batch: int = BATCH) -> Tensor:
        """Random inputs ``(b, n)``, the reserved id among them."""
        generator = torch.Generator().manual_seed(seed + 1)
        return torch.randint(0, self.vocabulary + 1, (batch, self.layout.count), generator=generator)

    def objectives(self) -> list[Any]:
        """The objectives that train for this visibility, at their baselines."""
        return [o for o in map(walk.baseline, members(Objective)) if o.visibility is self.visibility]


def shaken(network: nn.Module, seed: int = 0) -> Any:
    """Move every parameter off a constant start: a projection that starts at zero hides what lies behind it."""
    generator = torch.Generator().manual_seed(seed + 17)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if bool((parameter == parameter.reshape(-1)[0]).all()):
                scale = parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 0.3
                parameter.add_(noise * scale)
    return network


def short(value: object) -> str:
    """A config in one short phrase."""
    text = repr(value)
    return text.removesuffix("()") if len(text) < 60 else text.replace("positions=", "").replace("key_value_", "kv_")


def factors(kind: type) -> dict[str, list[Any]]:
    """The values of every field of a model class, and of layout, visibility and vocabulary."""
    base = walk.baseline(kind)
    hints = typing.get_type_hints(kind)
    found: dict[str, list[Any]] = {}
    for field in fields(kind):
        now = getattr(base, field.name)
        legal_values = [
            v
            for v in walk.candidates(kind, field.name, hints[field.name], now)
            if not legal.refused(kind, field.name, v) and not legal.one_by_one(v)
        ]
        found[field.name] = [now, *legal_values]
    found["layout"] = walk.of_union(Layout)
    found["visibility"] = list(Visibility)
    found["vocabulary"] = list(VOCABULARIES)
    return found


@cache
def all_cases() -> tuple[Case, ...]:
    """The pairwise covering of every model class, its extra models, and the variants of ``legal.ONE_BY_ONE``."""
    kinds = members(Model)
    return tuple(case for walked in (covering, extra, one_by_one) for kind in kinds for case in walked(kind))


def one_by_one(kind: type) -> list[Case]:
    """Variants with too many options to be paired: on a line longer than any window, on a page, on streams."""
    base, hints = walk.baseline(kind), typing.get_type_hints(kind)
    found: list[Case] = []
    for field in fields(kind):
        for value in walk.candidates(kind, field.name, hints[field.name], getattr(base, field.name)):
            if not legal.one_by_one(value) or legal.refused(kind, field.name, value):
                continue
            model = replace(base, **{field.name: value})
            may = sorted(legal.part_visibilities(field.name, value) & legal.model_visibilities(base), key=str)
            layouts = (Sequence(40), Grid(3, 4, "snake"), Streams(4, 2))
            # Each visibility on one of the layouts, in turn; the line is long enough for every window.
            pairs = [(v, layouts[(len(found) + i) % 3]) for i, v in enumerate(may)]
            found += [Case(model, layout, v, VOCABULARIES[len(found) % 3]) for v, layout in pairs]
    return found


def extra(kind: type) -> list[Case]:
    """The models of ``legal.EXTRA`` under all that they can keep to, on a line and on a page."""
    return [
        Case(model, layout, visibility, 5)
        for model in legal.EXTRA.get(kind, ())
        for layout in (Sequence(7), Grid(3, 4, "snake"))
        for visibility in sorted(legal.model_visibilities(model), key=lambda v: v.name)
    ]


def covering(kind: type) -> list[Case]:
    """A small list of legal cases in which every legal pair of values occurs."""
    values = factors(kind)
    names = list(values)

    def fits(chosen: dict[str, int]) -> bool:
        if legal.unfit(kind, {name: values[name][index] for name, index in chosen.items()}):
            return False
        if "visibility" not in chosen:
            return True
        visibility = values["visibility"][chosen["visibility"]]
        deciding = [
            name for name in ("mixer", "network", "generator", "discriminator", "merged", "whole") if name in values
        ]
        if visibility not in legal.model_visibilities(walk.baseline(kind)):
            return False
        open_or_chosen = {n: [values[n][chosen[n]]] if n in chosen else values[n] for n in deciding}
        return visibility is not Visibility.OTHERS and all(
            any(visibility in legal.part_visibilities(name, part) for part in parts)
            for name, parts in open_or_chosen.items()
        )

    missing = {
        ((a, i), (b, j))
        for a, b in combinations(names, 2)
        for i in range(len(values[a]))
        for j in range(len(values[b]))
        if fits({a: i, b: j})
    }
    cases = []
    while missing:
        (a, i), (b, j) = min(missing, key=lambda pair: (names.index(pair[0][0]), names.index(pair[1][0]), pair))
        chosen = {a: i, b: j}
        for name in sorted(names, key=lambda n: -len(values[n])):
            if name in chosen:
                continue
            best = max(
                (k for k in range(len(values[name])) if fits({**chosen, name: k})),
                key=lambda k: (sum(pair_of(name, k, o, v, names) in missing for o, v in chosen.items()), -k),
            )
            chosen[name] = best
        for left, right in combinations(chosen.items(), 2):
            missing.discard(pair_of(*left, *right, names))
        picked = {name: values[name][index] for name, index in chosen.items()}
        model = kind(**{f.name: picked[f.name] for f in fields(kind)})
        cases.append(Case(model, picked["layout"], picked["visibility"], picked["vocabulary"]))
    return cases


def pair_of(a: str, i: int, b: str, j: int, names: list[str]) -> tuple[tuple[str, int], tuple[str, int]]:
    """The pair in the order of ``names``."""
    return ((a, i), (b, j)) if names.index(a) < names.index(b) else ((b, j), (a, i))
