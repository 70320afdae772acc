"""Hourglass: boundaries beside their definitions, pools and returns beside loops, options, refusals, predictors.

The laws ask the rest (no peeking, stepping, padding, every option acts, every parameter learns) of every combination.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from laws import company, options, stepping, walk
from laws.cases import Case
from laws.stepping import close
from semagram.config import from_json, members, to_json
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Hourglass, Model, Stage, Transformer, hourglass_back
from semagram.models.hourglass_back import Back, LookBack, Repeat, Smoothed, Unfold
from semagram.models.hourglass_boundaries import AfterSpaces, Cut, Fixed
from semagram.models.hourglass_learnt import Boundaries, Routing, Surprise, entropy
from semagram.models.hourglass_pool import Join, Last, Mean, Pool, Weigh
from semagram.models.summary import summary
from semagram.predictors import CausalPredictor

CAUSAL = Visibility.CAUSAL
FAMILY: dict[str, Stage] = {
    "Hourglass": Stage(Fixed(3), Mean(), Unfold(), width=16),
    "MegaByte": Stage(Fixed(3), Join(), Repeat(), width=16, before=0, window="element"),
    "SpaceByte": Stage(AfterSpaces((0, 1)), Last(), Repeat(), width=16, window=3),
    "entropy patches": Stage(Surprise(0.5), Weigh(), LookBack(), width=16),
    "H-Net": Stage(Routing(), Last(), Smoothed(), width=16),
}


def geometry(n: int) -> Geometry:
    return Geometry.of(Sequence(n).positions(), CAUSAL)


def case(*stages: Stage, n: int = 13, v: int = 7) -> Case:
    return Case(Hourglass(stages=stages, width=16, depth=1), Sequence(n), CAUSAL, v)


def test_without_stages_it_is_the_transformer_to_the_bit() -> None:
    nets: list[Any] = []
    for model in (Hourglass(stages=(), width=32, depth=2), Transformer(width=32, depth=2)):
        torch.manual_seed(3)
        nets.append(model.build(9, Sequence(11), CAUSAL))
        torch.nn.init.normal_(nets[-1].head.weight, generator=torch.Generator().manual_seed(1))
    ids = torch.randint(0, 9, (2, 11))
    assert type(nets[0]) is type(nets[1]) and torch.equal(*(net(ids, geometry(11)) for net in nets))


# Where elements end.


def test_fixed_ends_are_where_megabyte_has_them() -> None:
    """Slot i has read tokens 0 .. i - 1: after k tokens a patch is whole, and the next slot hears of it."""
    network = case(FAMILY["MegaByte"]).network()
    assert network.ends(torch.zeros(1, 8, dtype=torch.int64), geometry(8))[0].tolist() == [i % 3 == 0 for i in range(8)]


def test_ends_after_words() -> None:
    model = Hourglass(stages=(Stage(AfterSpaces(), Last(), width=16),), width=16, depth=1)
    network: Any = model.build(256, Sequence(32), CAUSAL).eval()
    text = "The cat,  née 1999.\nIt sat"
    ids = torch.tensor([[256, *text.encode()]])
    ends = network.ends(ids, geometry(ids.shape[1]))[0, 1:].tolist()
    shown = "".join(chr(byte) + "|" * end for byte, end in zip(text.encode(), ends, strict=True))
    assert shown.encode("latin-1").decode() == "The |cat,|  née |1999.|\nIt |sat"


def test_ends_where_the_next_token_is_hard_to_guess() -> None:
    network = case(Stage(Surprise(1.2, order=3, rank=5), Mean(), width=16)).network()
    rule = network.stage.boundaries
    for parameter in rule.parameters():
        torch.nn.init.normal_(parameter)
    ids = torch.randint(0, 8, (3, 13))
    read = rule.embeddings[0].weight[ids].clone()
    for back in (1, 2):
        padded = torch.nn.functional.pad(ids, (back, 0), value=7)[:, :13]
        read += rule.embeddings[back].weight[padded]
    nats = entropy(torch.log_softmax(rule.outward(read), -1))
    ends = network.ends(ids, geometry(13))
    assert torch.equal(ends[:, 1:], (nats > 1.2)[:, 1:]) and ends[:, 0].all() and 0.1 < ends.float().mean() < 0.9
    assert float(entropy(torch.full((4,), 0.25).log())) == pytest.approx(math.log(4))


def test_the_n_gram_of_surprise_learns_beside_the_network() -> None:
    """Its own loss comes through the channel of auxiliary losses, and is that of the coming inputs."""
    network: Any = case(Stage(Surprise(), Mean(), width=16)).fresh().train()
    ids = torch.randint(0, 7, (3, 13))
    network(ids, geometry(13))
    losses = network.auxiliary_losses()
    told = network.stage.boundaries._log_probs(torch.nn.functional.pad(ids, (1, 0), value=7))
    expected = -told[:, :-1].gather(2, ids[:, 1:, None]).mean()
    assert set(losses) == {"surprise"} and close(losses["surprise"], expected, 1e-6)
    assert network.auxiliary_losses() == {}


def test_the_ratio_loss_asks_for_its_share() -> None:
    """N / (N - 1) ((N - 1) F G + (1 - F) (1 - G)) is 1 at F = G = 1 / N, and more at other equal shares."""
    rule: Any = Routing(ratio=4.0, weight=1.0).build(7, 8).train()
    for every in (1, 2, 4, 13):
        # States that turn right round at every ``every``-th slot have chances 1 there and 0 between.
        turns = torch.tensor([(-1.0) ** (i // every) for i in range(52)])
        rule.begin()
        cut = rule((turns[:, None] * torch.ones(8))[None], None, None)
        share = float(cut.ends.float().mean())
        expected = 4 / 3 * (3 * share * share + (1 - share) ** 2)
        assert share == pytest.approx(math.ceil(52 / every) / 52)
        assert float(rule.carried.take()["routing"].detach()) == pytest.approx(expected, rel=1e-4)
        assert expected >= 1.0 - 1e-6 and (every != 4 or expected == pytest.approx(1.0))


# From slots to elements and back.


def some_cut() -> Cut:
    ends = torch.tensor([[1, 0, 0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0, 1, 0]], dtype=torch.bool)
    return Cut(ends, torch.rand(2, 8, generator=torch.Generator().manual_seed(0)), 5)


@pytest.mark.parametrize("pool", [Last(), Mean(), Weigh(2)], ids=str)
def test_pools_beside_loops(pool: Any) -> None:
    torch.manual_seed(0)
    cut, x = some_cut(), torch.randn(2, 8, 6)
    made: Any = pool.build(6, 5, AfterSpaces((0,)))
    found = made(x, cut, cut.slots(), None)
    for row in range(2):
        begin = 0
        for j, end in enumerate(cut.ends[row].nonzero()[:, 0].tolist()):
            part = x[row, begin : end + 1]
            if isinstance(pool, Last):
                expected = part[-1]
            elif isinstance(pool, Mean):
                expected = part.mean(dim=0)
            else:
                scores = (made.scores(part) / 5).tanh() * 5
                expected = (part.view(-1, 2, 3) * scores.softmax(dim=0)[:, :, None]).sum(dim=0).flatten()
            assert close(found[row, j], made.outward(expected), 1e-5)
            begin = end + 1


def test_join_is_the_tokens_side_by_side() -> None:
    made: Any = Join().build(2, 7, Fixed(3))
    x = torch.randn(1, 8, 2)
    cut = Cut((torch.arange(8) % 3 == 0)[None], None, 3)
    found = made(x, cut, cut.slots(), None)
    padded = torch.cat([torch.zeros(1, 2, 2), x], dim=1)
    for j in range(3):
        assert close(found[0, j], made.outward(padded[0, 3 * j : 3 * j + 3].flatten()), 1e-5)


def test_returns_beside_loops() -> None:
    torch.manual_seed(0)
    cut, x, y = some_cut(), torch.randn(2, 8, 4), torch.randn(2, 5, 6)
    repeat: Any = Repeat().build(4, 6, AfterSpaces((0,)))
    smoothed: Any = Smoothed().build(4, 6, Routing())
    look: Any = LookBack(2, 2).build(4, 6, AfterSpaces((0,)))
    torch.nn.init.normal_(look.distance)
    told = [part(x, y, cut, cut.slots(), None) for part in (repeat, smoothed, look)]
    for row in range(2):
        z, j = torch.zeros(6), -1
        for i in range(8):
            if cut.ends[row, i]:
                j += 1
                p = cut.chance[row, i].clamp(1e-4, 1 - 1e-4)  # type: ignore[index]
                z = p * y[row, j] + (1 - p) * z
            assert close(told[0][row, i], repeat.outward(y[row, j]), 1e-5)
            assert close(told[1][row, i], smoothed.outward(z), 1e-5), "the straight-through factor is 1 in value"
            seen = [k for k in (j - 1, j) if k >= 0]
            keys, values = (look.look(y[row, seen]).view(-1, 2, 2, 2)[:, part] for part in (0, 1))
            scores = torch.einsum("hd,khd->hk", look.query(x[row, i]).view(2, 2), keys) * 2**-0.5
            weights = torch.softmax(scores + look.distance[:, -len(seen) :], dim=-1)
            assert close(told[2][row, i], look.outward(torch.einsum("hk,khd->hd", weights, values).flatten()), 1e-5)


@pytest.mark.parametrize("m", [1, 2, 3, 8, 13])
def test_the_recurrence_is_its_reference(m: int) -> None:
    told = []
    for function in (hourglass_back.recurrence, hourglass_back.reference):
        torch.manual_seed(0)
        keep, add = torch.rand(2, m, 1, requires_grad=True), torch.randn(2, m, 3, requires_grad=True)
        out = function(keep, add)
        out.backward(torch.randn(out.shape))
        told.append([out.detach(), torch.zeros(2, m, 1) if keep.grad is None else keep.grad, add.grad])
    assert all(close(a, b, 1e-5) for a, b in zip(*told, strict=True))


def test_the_router_learns_from_the_next_token() -> None:
    """With its ratio loss left out: only the straight-through path and the smoothing remain."""
    network = case(FAMILY["H-Net"]).network().train()
    ids = torch.randint(0, 7, (2, 13))
    network(ids, geometry(13)).square().sum().backward()
    assert float(network.stage.boundaries.query.weight.grad.abs().max()) > 1e-6


# The whole.


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_as_predictors(name: str, count) -> None:
    """Rows whose elements end at different slots do not disturb each other, not by a bit, while they are written."""
    subject = case(FAMILY[name], n=9)
    predictor = CausalPredictor(subject.network(), subject.layout)
    stepping.check_predictor(predictor, subject.layout, subject.ids())
    company.check_predictor(predictor, subject.layout, subject.ids())
    count("predictors of the hourglass family")


def test_what_is_inside_advances_only_where_an_element_ends() -> None:
    subject = case(FAMILY["SpaceByte"])
    network = subject.network()
    calls: list[int] = []
    core = network.stage.inner
    core.step = lambda *a, sound=core.step: (calls.append(1), sound(*a))[1]
    state = network.new_state(1, geometry(13))
    counted = []
    for token in (7, 3, 0, 1, 4, 1, 5, 6, 2, 2, 0, 3, 3):
        network.step(torch.tensor([[token]]), state)
        counted.append(len(calls))
        calls.clear()
    assert counted == [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]


def nested() -> list[tuple[str, Stage, Stage]]:
    """(label, stage, stage with one field of it or of its parts changed)."""
    found = [(f"{c.path}={c.value}", walk.baseline(Stage), c.config) for c in walk.changes(Stage)]
    for union, name in ((Boundaries, "boundaries"), (Pool, "pool"), (Back, "back")):
        for kind in members(union):
            for change in walk.changes(kind):
                routed = {"back": Smoothed()} if kind is Routing else {}
                a, b = (Stage(**{"boundaries": Fixed(2), "width": 16, **routed, name: value}) for value in (
                    walk.baseline(kind), change.config))  # fmt: skip
                found.append((f"{change.path}={change.value}", a, b))
    return [pair for pair in found if not pair[0].startswith(("Routing.weight", "Routing.ratio"))]


@pytest.mark.parametrize(("label", "a", "b"), nested(), ids=[p[0][:40] for p in nested()])
def test_a_nested_option_does_something(label: str, a: Stage, b: Stage) -> None:
    assert options.differs(case(a), case(b)), f"{label} does nothing"


def test_options_of_the_ratio_loss_do_something() -> None:
    told = []
    for rule in (Routing(), Routing(ratio=2.0), Routing(weight=0.5)):
        network: Any = case(Stage(rule, Last(), Smoothed(), width=16)).network().train()
        network(torch.randint(0, 7, (2, 13), generator=torch.Generator().manual_seed(0)), geometry(13))
        told.append(float(network.auxiliary_losses()["routing"].detach()))
    assert len(set(told)) == 3


def test_what_does_not_fit_is_refused() -> None:
    for boundaries in (AfterSpaces((0,)), Surprise()):
        with pytest.raises(UserError, match="outermost"):
            Hourglass(stages=(Stage(), Stage(boundaries)))
    with pytest.raises(UserError, match="outermost"):
        Hourglass(stages=(Stage(), Stage(window="element")))
    for stage in ({"boundaries": Routing()}, {"back": Smoothed()}):
        with pytest.raises(UserError, match="through Smoothed"):
            Stage(**stage)
    for stage, reason in (
        (Stage(AfterSpaces((0,)), Join()), "Join needs Fixed"),
        (Stage(AfterSpaces((0,)), back=Unfold()), "Unfold needs Fixed"),
        (Stage(AfterSpaces((9,))), "below 7"),
        (Stage(AfterSpaces()), "knows only of 256 bytes"),
        (Stage(pool=Weigh(3)), "must divide"),
        (Stage(back=LookBack(heads=3)), "must divide"),
    ):
        with pytest.raises(UserError, match=reason):
            Hourglass(stages=(stage,)).build(7, Sequence(8), CAUSAL)
    with pytest.raises(UserError, match="FULL"):
        Hourglass().build(7, Sequence(8), Visibility.FULL)


def test_it_goes_to_json_and_back() -> None:
    for stage in FAMILY.values():
        model = Hourglass(stages=(stage, Stage(Routing(), Last(), Smoothed())))
        assert from_json(Model, to_json(model)) == model


def test_costs_are_told_by_stage() -> None:
    subject = case(FAMILY["Hourglass"], Stage(Fixed(2), Mean(), Repeat(), width=16))
    network = subject.network()
    told = summary(network, subject.layout)
    assert [cost.part for cost in told.parts] == ["embedding", "stage 0", "stage 1", "core", "head", "rest"]
    assert told.parameters == sum(p.numel() for p in network.parameters())
    by_part = {cost.part: cost.flops for cost in told.parts}
    assert by_part["core"] < by_part["stage 1"] < by_part["stage 0"], "coarser is cheaper"


@pytest.mark.filterwarnings("ignore")
def test_it_compiles_in_one_graph() -> None:
    from laws import keeping

    subject = case(Stage(Fixed(2), width=16))
    keeping.check_compiled(subject.network(), subject)
