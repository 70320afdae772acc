"""Law 5 on every field of every config class of the unions; and what must be refused is refused with its reason."""

from __future__ import annotations

import typing
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
import torch

from laws import legal, walk
from laws.cases import Case
from laws.options import differs
from laws.predictors_walked import network, random_ids
from semagram.config import from_json, members, to_json
from semagram.errors import UserError
from semagram.feedforward import Feedforward, Norm
from semagram.layouts import Grid, Layout, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Mixer
from semagram.models import ByHand, Encoding, Model, Transformer
from semagram.models.embedding import Embedding
from semagram.models.head import Head
from semagram.models.layers import Layers
from semagram.models.residual import Residual
from semagram.objectives import Objective, auxiliary_of
from semagram.predictors import Writing, predictor_of
from semagram.text.tokenizers import TokenizerConfig

SLOTS: dict[str, Any] = {
    "mixer": Mixer,
    "feedforward": Feedforward,
    "norm": Norm,
    "residual": Residual,
    "layers": Layers,
    "embedding": Embedding,
    "head": Head,
}
VOCABULARY = 7


def hosted(slot: str | None, config: Any) -> list[Any]:
    """The configs of models that carry ``config`` in a slot (or are it)."""
    if slot is None:
        return [config]
    hosts = [
        legal.HOSTS[slot]() if kind is Transformer and slot in legal.HOSTS else walk.baseline(kind)
        for kind in with_slot(slot)
    ]
    return [walk.replaced(host, slot, config) for host in hosts if legal.takes(host, config)]


@cache
def with_slot(slot: str) -> list[type]:
    """The models that have a place for such a part."""
    return [kind for kind in members(Model) if typing.get_type_hints(kind).get(slot) == SLOTS[slot]]


@cache
def pairs() -> list[tuple[str, Any, Any]]:
    """(label, model config, model config with one field changed) for every field of the parts of networks."""
    found = []
    for slot, union in ((None, Model), *SLOTS.items()):
        for kind in members(union):
            for number, change in enumerate(walk.changes(kind)):
                hosts = zip(hosted(slot, walk.baseline(kind)), hosted(slot, change.config), strict=True)
                # One change tells whether a model heeds its part at all; what the part's fields do, the first host.
                asked = list(hosts) if number == 0 else list(hosts)[:1]
                found += [(f"{change.path}={change.value}", a, b) for a, b in asked]
    return found


@pytest.mark.parametrize(("label", "a", "b"), pairs(), ids=[p[0][:60] for p in pairs()])
def test_a_field_of_a_network_does_something(label: str, a: Any, b: Any, count) -> None:
    for visibility in Visibility:
        if visibility in legal.model_visibilities(a) & legal.model_visibilities(b):
            if alias(a, b):
                continue
            # On a line or on a page: an axis with one rotary plane, say, does not feel the base.
            # A window of three rows is the whole of a page of three.
            layouts = (Grid(3, 4), Sequence(7), Grid(5, 2))
            cases = [[Case(model, layout, visibility, VOCABULARY) for model in (a, b)] for layout in layouts]
            assert any(differs(*two) for two in cases), f"{label} changes neither parameters, outputs nor training"
            count("fields changed, each of which must do something")


def alias(a: Any, b: Any) -> bool:
    """``heads`` and ``head_width`` have a none that means a number; saying that number changes nothing, rightly."""
    return to_json(resolved(a)) == to_json(resolved(b))


def resolved(model: Any) -> Any:
    mixer = getattr(model, "mixer", None)
    for name, value in legal.MEANING_OF_NONE.get(type(mixer), lambda *_: {})(mixer, model).items():
        if getattr(mixer, name) is None:
            model = walk.replaced(model, f"mixer.{name}", value)
            mixer = model.mixer
    return model


def layout_changes() -> list[tuple[str, Any, Any]]:
    return [
        (f"{c.path}={c.value}", walk.baseline(kind), c.config) for kind in members(Layout) for c in walk.changes(kind)
    ]


@pytest.mark.parametrize(("label", "a", "b"), layout_changes(), ids=[p[0] for p in layout_changes()])
def test_a_field_of_a_layout_does_something(label: str, a: Any, b: Any, count) -> None:
    model = walk.baseline(members(Model)[0])
    cases = [Case(model, layout, Visibility.CAUSAL, VOCABULARY) for layout in (a, b)]
    assert differs(*cases), f"{label} does nothing"
    count("fields changed, each of which must do something")


def writing_changes() -> list[tuple[str, Any, Any]]:
    found = []
    for kind in members(Writing):
        if walk.baseline(kind).visibility is Visibility.OTHERS:
            continue  # an automaton has no order; its fields are asked after in tests/predictors/test_automaton.py
        for context in (walk.baseline(kind), *legal.CONTEXTS.get(kind, ())):
            for c in walk.changes(kind):
                changed = [f.name for f in fields(kind) if getattr(context, f.name) != getattr(c.config, f.name)]
                if changed == [c.path.split(".")[1]]:
                    found.append((f"{c.path}={c.value} from {context}", context, c.config))
    return found


@pytest.mark.parametrize(("label", "a", "b"), writing_changes(), ids=[p[0] for p in writing_changes()])
def test_a_field_of_a_way_of_writing_does_something(label: str, a: Any, b: Any, count) -> None:
    """It changes which cells come next, or how many."""
    layout = Grid(3, 4, "snake")
    net = network(a.visibility, layout)
    orders = []
    for writing in (a, b):
        state, cells = predictor_of(net, layout, writing).open(layout, 1), []
        while (coming := state.next_positions).shape[1] > 0:
            cells.append(tuple(coming[0].tolist()))
            state.write(random_ids(layout, 1)[:, : coming.shape[1]])
        orders.append(cells)
    assert orders[0] != orders[1], f"{label} changes neither which cells come next nor how many"
    count("fields changed, each of which must do something")


def test_a_field_of_an_objective_does_something(count) -> None:
    """It changes what is shown, asked or hidden, or what is trained beside the loss; never what an answer costs."""
    layout = Sequence(20)
    for kind in members(Objective):
        for change in walk.changes(kind):
            told = []
            for config in (walk.baseline(kind), change.config):
                geometry = Geometry.of(layout.positions(), config.visibility)
                ids = random_ids(layout, 8, vocabulary=VOCABULARY)
                example = config.example(ids, geometry, VOCABULARY, torch.Generator().manual_seed(0))
                logits = torch.randn(8, 20, VOCABULARY, generator=torch.Generator().manual_seed(1))
                beside = auxiliary_of(config, logits, example)
                told.append(f"{example} { ({name: float(loss) for name, loss in beside.items()}) }")
            assert told[0] != told[1], change.path
            count("fields changed, each of which must do something")


def test_a_field_of_a_tokenizer_does_something(count) -> None:
    text = "the cat and the hat and the bat " * 20
    for kind in members(TokenizerConfig):
        for change in walk.changes(kind):
            a, b = (config.train(text).encode(text).tolist() for config in (walk.baseline(kind), change.config))
            assert a != b, change.path
            count("fields changed, each of which must do something")


BY_HAND = {*members(ByHand), *members(Encoding)}
REFUSED = [refusal for refusal in legal.REFUSED if refusal[0] not in BY_HAND]
"""Models by hand have a test of their own, which adds its refusals to the list where it is collected before this."""


@pytest.mark.parametrize(("kind", "given", "reason"), REFUSED, ids=[f"{k.__name__} {g}"[:80] for k, g, _ in REFUSED])
def test_what_cannot_be_is_refused_with_its_reason(kind: type, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason) as refusal:
        kind(**given)
    value = list(given.values())[-1]
    assert str(value) in str(refusal.value), f"the refusal does not say what was given: {refusal.value}"


def test_sizes_that_do_not_fit_each_other_are_refused() -> None:
    from semagram.mixers import Attention
    from semagram.models import Transformer

    with pytest.raises(UserError, match="not divisible by 3 heads"):
        Transformer(width=16, mixer=Attention(heads=3)).build(5, Sequence(4), Visibility.CAUSAL)
    with pytest.raises(UserError, match="even head width, got 5"):
        Transformer(width=16, mixer=Attention(head_width=5)).build(5, Sequence(4), Visibility.CAUSAL)
    page = Case(Transformer(width=16, mixer=Attention(heads=8)), Grid(2, 2), Visibility.CAUSAL, 5)
    with pytest.raises(UserError, match="head width of at least 4, got 2"):
        page.network()(page.inputs(), page.geometry())


@pytest.mark.parametrize("kind", members(Mixer), ids=lambda k: k.__name__)
def test_every_mixer_has_a_row_and_keeps_to_it(kind: type) -> None:
    """What may and may not be built is written in ``legal.py``; a part that refuses too much or too little fails."""
    assert kind in legal.VISIBILITIES, f"add a row for {kind.__name__} to VISIBILITIES in tests/laws/legal.py"
    for model in hosted("mixer", walk.baseline(kind)):
        for visibility in Visibility:
            if visibility in legal.VISIBILITIES[kind] - {Visibility.OTHERS}:
                assert model.build(3, Sequence(4), visibility).visibility is visibility
            else:
                with pytest.raises(UserError, match=f"cannot be {visibility.name}"):
                    model.build(3, Sequence(4), visibility)


@pytest.mark.parametrize("union", [Layout, Model, Objective, Writing, TokenizerConfig], ids=lambda u: str(u)[-40:])
def test_every_variant_goes_to_json_and_back(union: Any, count) -> None:
    for config in walk.of_union(union):
        assert from_json(union, to_json(config)) == config
        count("variants through JSON and back")
    torch.manual_seed(0)
