"""Hierarchical: the plain transformer without levels, its seed's examples and faults, its parts beside loops.

The laws ask the rest (no peeking, stepping, padding, every option acts, every parameter learns) of every combination.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from laws import learning, options, stepping, walk
from laws.cases import Case, shaken
from laws.stepping import close
from semagram.config import from_json, members, to_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.feedforward import LayerNorm
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import SelectiveScan, StateSpace, phased
from semagram.models import (
    Hierarchical,
    Level,
    Model,
    Transformer,
    hierarchical_compress,
    hierarchical_product,
    hierarchical_shift,
)
from semagram.models.hierarchical import Merge
from semagram.models.hierarchical_compress import AttendBack, Compress, Convolve, Pyramid
from semagram.models.hierarchical_level import LevelPositions
from semagram.models.hierarchical_line import Line
from semagram.models.hierarchical_losses import (
    AuxiliaryLoss,
    NextLatent,
    Predictive,
    Prophet,
    Reconstruct,
    health,
)
from semagram.models.hierarchical_merge import GatedAdd
from semagram.models.hierarchical_recurrent import PhasedRecurrence
from semagram.models.summary import summary
from semagram.objectives import Masked
from semagram.predictors import CausalPredictor, Unmasking
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

CAUSAL = Visibility.CAUSAL
TWO = (Level(width=16, window=2), Level(factor=4, stride=2, width=16, window=1))


def geometry(n: int) -> Geometry:
    return Geometry.of(Sequence(n).positions(), CAUSAL)


def small(**fields: Any) -> Hierarchical:
    return Hierarchical(**{"width": 16, "depth": 2, "levels": TWO, **fields})


def case(model: Any, n: int = 13, v: int = 7) -> Case:
    return Case(model, Sequence(n), CAUSAL, v)


def test_without_levels_it_is_the_transformer_to_the_bit() -> None:
    torch.manual_seed(3)
    ours = Hierarchical(width=32, depth=2, levels=(), dropout=0.1).build(9, Sequence(11), CAUSAL)
    torch.manual_seed(3)
    plain = Transformer(width=32, depth=2, dropout=0.1).build(9, Sequence(11), CAUSAL)
    assert type(ours) is type(plain)
    ids = torch.randint(0, 9, (2, 11))
    for net in (ours, plain):
        torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]
    assert torch.equal(ours.eval()(ids, geometry(11)), plain.eval()(ids, geometry(11)))
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), plain.parameters(), strict=True))


def examples(share: int = 1) -> dict[str, tuple[Hierarchical, int, int]]:
    """The three of the seed's README, widths and vocabulary divided by ``share``: (model, vocabulary, length)."""
    three = tuple(
        Level(factor, width=512 // share, heads=8, head_width=64 // share, window=window)
        for factor, window in ((1, 32), (2, 64), (8, "full"))
    )
    four = tuple(
        Level(factor, stride, width // share, heads, head_width // share * 2, multiple, window)
        for factor, stride, width, heads, head_width, multiple, window in (
            (1, 1, 128, 2, 8, 2.0, 16),
            (2, 1, 256, 4, 16, 2.0, 32),
            (4, 1, 512, 8, 32, 4.0, 64),
            (16, 8, 1024, 8, 32, 4.0, "full"),
        )
    )
    return {
        "three hierarchies": (Hierarchical(width=512 // share, depth=6, levels=three), 20_000 // share, 2048),
        "none": (Hierarchical(width=512 // share, depth=8, levels=()), 20_000 // share, 2048),
        "four of different widths": (Hierarchical(width=1024 // share, depth=8, levels=four), 256, 1024),
    }


@pytest.mark.parametrize("name", examples())
def test_the_seeds_examples(name: str) -> None:
    """Built at their real sizes, run at an eighth of the width: a loss, a gradient, logits, and the same in steps."""
    model, vocabulary, length = examples()[name]
    with torch.device("meta"):
        assert sum(p.numel() for p in model.build(vocabulary, Sequence(length), CAUSAL).parameters()) > 20_000_000
    model, vocabulary, length = examples(8)[name]
    network: Any = model.build(vocabulary, Sequence(length), CAUSAL)
    ids, line = torch.randint(0, vocabulary, (1, 40)), geometry(length).narrow(0, 40)
    loss = F.cross_entropy(network(ids, line)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    assert abs(float(loss.detach()) - math.log(vocabulary)) < 0.1 and float(network.head.weight.grad.abs().max()) > 0
    network = shaken(network).eval()
    with torch.no_grad():
        state = network.new_state(1, geometry(length))
        parts = (ids[:, :9], *ids[:, 9:].split(1, dim=1))
        stepped = torch.cat([network.step(part, state) for part in parts], dim=1)
        assert close(stepped, network(ids, line), 1e-4)


@pytest.mark.parametrize(("b", "h", "n"), [(1, 1, 1), (2, 3, 7), (1, 2, 33), (2, 1, 65), (1, 2, 100)])
@pytest.mark.parametrize("window", [1, 3, 31, 32, 40, None])
def test_windowed_attention_is_its_reference(b: int, h: int, n: int, window: int | None) -> None:
    torch.manual_seed(0)
    told = []
    for function in (phased.windowed, phased.reference):
        torch.manual_seed(1)
        q, k, v = (torch.randn(b, h, n, 6, requires_grad=True) for _ in range(3))
        out = function(q, k, v, window, 0.4)
        out.backward(torch.randn(out.shape))
        told.append([out.detach(), q.grad, k.grad, v.grad])
    assert all(close(a, b, 2e-5) for a, b in zip(*told, strict=True))


def told(function: Any, *given: Tensor) -> list[Tensor]:
    """Values and gradients."""
    out = function(*given)
    return [out.detach(), *torch.autograd.grad(out.cos().sum(), given)]


@pytest.mark.parametrize("count", [1, 7, 8, 13])
def test_levels_need_not_stand_side_by_side(count: int) -> None:
    """The merge's product beside its definition, at the levels' own paces."""
    torch.manual_seed(0)
    times = [1, 2, 8]
    sizes = [(5, 12), (5,), *((2, -(-count // k), d) for k, d in zip(times, (3, 4, 5), strict=True))]
    given = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    fast = told(lambda w, b, *x: hierarchical_product.NormedProduct.apply(w, b, 1e-6, count, times, *x), *given)
    slow = told(lambda w, b, *x: hierarchical_product.reference(w, b, 1e-6, list(x), times), *given)
    assert all(close(a, b, 1e-10) for a, b in zip(fast, slow, strict=True))


@pytest.mark.parametrize(("m", "phases"), [(1, 1), (5, 2), (3, 4)])
def test_the_shift_in_one_pass(m: int, phases: int) -> None:
    x = torch.randn(2, m, 5, requires_grad=True)
    fast, slow = (
        told(lambda x, f=f: f(x, 3, phases), x) for f in (hierarchical_shift.halved, hierarchical_shift.reference)
    )
    assert all(torch.equal(a, b) for a, b in zip(fast, slow, strict=True))


@pytest.mark.parametrize(("n", "c", "s"), [(9, 4, 1), (9, 4, 2), (4, 4, 2), (12, 6, 3)])
def test_windows_as_one_product(n: int, c: int, s: int) -> None:
    sizes = [(2, n, 3), (5, 3 * c), (5,)]
    given = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    fast = told(lambda x, w, b: F.linear(hierarchical_compress.Windows.apply(x, c, s), w, b), *given)
    slow = told(lambda x, w, b: hierarchical_compress.of_slices(x, w, b, s), *given)
    assert all(close(a, b, 1e-10) for a, b in zip(fast, slow, strict=True))


@pytest.mark.parametrize("config", [StateSpace(2, state=3), SelectiveScan(state=3)], ids=lambda c: type(c).__name__)
def test_a_recurrence_reads_each_phase_as_a_line(config: Any) -> None:
    """Beside the mixer on every phase by hand; and in steps, the first elements at once."""
    torch.manual_seed(0)
    made: Any = PhasedRecurrence(config, 8)
    x = torch.randn(2, 11, 8)
    for phases in (1, 4):
        by_hand = torch.empty_like(x)
        for phase in range(phases):
            own = x[:, phase::phases]
            by_hand[:, phase::phases] = made.mixer(own, geometry(own.shape[1]))
        assert close(made(x, phases), by_hand, 1e-5)
        states = made.new_states(2, phases, 3)
        parts = [made(x[:, :6], phases, states)]
        parts += [made.step(x[:, m : m + 1], states[m % phases]) for m in range(6, 11)]
        assert close(torch.cat(parts, dim=1), by_hand, 1e-5)


def test_levels_may_be_recurrent() -> None:
    """State of one size, however long the text; and windows, positions and heads are refused."""
    levels = (TWO[0], Level(factor=4, stride=2, width=16, recurrence=StateSpace(2, state=3)))
    network = case(small(levels=levels)).network()
    sizes = [[s.memory.shape for s in network.new_state(1, geometry(n)).blocks[0][1].ring] for n in (13, 130)]
    assert sizes[0] == sizes[1] and len(sizes[0]) == 2
    for field in ({"window": 3}, {"heads": 2}, {"positions": LevelPositions(unit="elements")}):
        with pytest.raises(UserError, match="has no attention"):
            Level(width=16, recurrence=StateSpace(), **field)
    with pytest.raises(UserError, match="recurrence"):
        small(levels=levels, shared_attention=True)


def test_phases_come_together_again() -> None:
    x = torch.randn(2, 3, 11, 4)
    for phases in (1, 2, 4, 11):
        parts = phased.apart(x, phases)
        assert parts.shape[0] == 2 * phases
        assert torch.equal(parts[1, :, 1], x[0, :, 1 + phases]) if phases in (2, 4) else True
        assert torch.equal(phased.together(parts, phases, 11), x)


@pytest.mark.parametrize("compress", [Convolve(), Convolve(5), AttendBack(2), Pyramid()], ids=str)
def test_an_element_sums_up_exactly_its_tokens(compress: Any) -> None:
    """Element m of (c, s) depends on tokens m s - c + 1 .. m s, on every one of them and on no other."""
    torch.manual_seed(0)
    levels = (Level(width=8), Level(factor=4, stride=2, width=12, heads=2), Level(factor=8, stride=8, width=16))
    made = compress.build(6, levels)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 19, 6)
    before = made(x)
    assert [m.shape[1] for m in before] == [19, 10, 3]
    for token in range(19):
        other = x.clone()
        other[:, token] += 1.0
        for level, old, new in zip(levels, before, made(other), strict=True):
            moved = (new != old).any(-1)[0].tolist()
            reach = [m * level.stride - level.factor < token <= m * level.stride for m in range(len(moved))]
            assert moved == reach, (level.factor, token)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_convolve_is_a_padded_convolution(stride: int) -> None:
    level = Level(factor=4, stride=stride, width=5, heads=1, head_width=2)
    made: Any = Convolve(7).build(3, (level,)).parts[0]
    x = torch.randn(2, 11, 3)
    kernel = made.inward.weight.view(7, 4, 3).transpose(1, 2)
    hidden = F.conv1d(F.pad(x.transpose(1, 2), (3, 0)), kernel, made.inward.bias, stride=stride).transpose(1, 2)
    assert close(made(x, 11, 0), made.outward(F.silu(hidden)), 1e-5)


def test_a_level_advances_only_when_its_stride_says_so() -> None:
    network = case(small(levels=(TWO[0], Level(factor=8, stride=8, width=16)))).network()
    calls: list[int] = []
    for layer in network.layers:
        block = layer[1]
        layer[1].step = lambda *a, sound=block.step: (calls.append(1), sound(*a))[1]
    state = network.new_state(1, geometry(13))
    counted = []
    for slot in range(13):
        network.step(torch.tensor([[slot % 7]]), state)
        counted.append(len(calls))
        calls.clear()
    assert counted == [2 if slot % 8 == 0 else 0 for slot in range(13)]
    assert state.blocks[0][0].ring.keys.shape[2] == 3, "a ring holds the window and the element itself"


def test_half_is_half_of_the_elements() -> None:
    assert Level(factor=4).reach(64) == 8 and Level().reach(1) == 1 and Level(window=5).reach(64) == 5
    assert Level(window="full").reach(64) is None and Level(factor=8, stride=2).phases == 4


# The seed's faults, one by one.


@pytest.mark.parametrize("into", ["all", "predicting"])
def test_a_strided_level_may_predict(into: Any) -> None:
    """There: n / s logits for n tokens, and a shape error in training."""
    network = case(small(predicting=1, into=into)).network().train()
    ids = torch.randint(0, 7, (2, 13))
    logits = network(ids, geometry(13))
    assert logits.shape == (2, 13, 7)
    F.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_token_zero_is_learnt() -> None:
    """There: ignore_index is 0, so token 0 is never learnt and a text of zeros has no loss at all."""
    subject = case(small())
    torch.manual_seed(0)
    network = subject.fresh()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    objective = subject.objectives()[0]
    zeros = torch.zeros(4, 13, dtype=torch.int64)
    for _ in range(30):
        loss = learning.loss(network, subject, objective, zeros, torch.Generator())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.2


@pytest.mark.parametrize("vocabulary", range(1, 13))
def test_tiny_vocabularies_are_sampled(vocabulary: int) -> None:
    """There: top-k keeps int(0.1 v) candidates, none at all up to 10, and then token 0 is written for ever."""
    network = case(small(), v=vocabulary).network()
    predictor = CausalPredictor(network, Sequence(13))
    [written] = generate(predictor, [torch.zeros(1, dtype=torch.int64).numpy()], 12, Sampling(temperature=5.0), seed=1)
    assert len(written) == 13 and min(written) >= 0 and max(written) < vocabulary
    assert vocabulary < 3 or len(set(written[1:])) > 1
    stepping.check_predictor(predictor, Sequence(13), torch.randint(0, vocabulary, (2, 13)))


def test_there_is_no_flag_that_does_nothing() -> None:
    """There: use_flash_attn is accepted and never used. Here the fused kernel is always used, and the flag unknown."""
    with pytest.raises(UserError, match="no field 'use_flash_attn'"):
        from_json(Model, {"kind": "Hierarchical", "use_flash_attn": True})


def test_a_latent_cannot_win_by_collapse() -> None:
    """There: 1 - cos(W e_t, e_{t+1}) without stop-gradient, and all elements became one direction.

    Trained on the latent loss alone, elements here stay apart; with that loss they collapse, and the alarm rings.
    """
    found = {}
    for name in ("ours", "theirs"):
        torch.manual_seed(0)
        model = small(depth=1, levels=(TWO[0], Level(factor=4, width=16)), losses=(NextLatent(1.0),))
        network: Any = model.build(7, Sequence(24), CAUSAL)
        matrix = torch.nn.Linear(16, 16)
        optimiser = torch.optim.AdamW([*network.parameters(), *matrix.parameters()], lr=1e-2, weight_decay=0.0)
        for step in range(40):
            noise = torch.randint(0, 3, (8, 24), generator=torch.Generator().manual_seed(step))
            ids = (noise.cumsum(dim=1) + step) % 7  # each token is near the last
            if name == "ours":
                network(ids, geometry(24))
                loss = network.auxiliary_losses()["next_latent"]
            else:
                top = network._run(Line(ids, geometry(24)), None)[1][1]
                loss = 1.0 - F.cosine_similarity(matrix(top[:, :-1]), top[:, 1:], dim=-1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found[name] = network.eval().health(ids, geometry(24))[1]
    assert not found["ours"].collapsed and found["ours"].cosine < 0.5, found
    assert found["theirs"].collapsed, found


def test_health_knows_collapse() -> None:
    torch.manual_seed(0)
    sound = health(torch.randn(400, 8))
    assert abs(sound.cosine) < 0.1 and 7 < sound.participation <= 8 and not sound.collapsed
    assert health(torch.randn(400, 8) * 0.01 + torch.ones(8)).collapsed
    assert health(torch.randn(400, 1) * torch.ones(8)).collapsed, "all on one line"
    assert health(torch.randn(400, 1) * torch.ones(8)).participation == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least 2"):
        health(torch.randn(1, 8))


# Auxiliary losses.


def losses_of(network: Any, ids: Tensor) -> dict[str, float]:
    network.train()(ids, geometry(ids.shape[1]))
    return {name: float(loss.detach()) for name, loss in network.auxiliary_losses().items()}


def test_losses_are_off_by_default_and_asked_in_training_only() -> None:
    ids = torch.randint(0, 7, (2, 13))
    assert losses_of(small().build(7, Sequence(13), CAUSAL), ids) == {}
    every = tuple(kind() for kind in members(AuxiliaryLoss))
    network: Any = small(losses=every).build(7, Sequence(13), CAUSAL)
    assert set(losses_of(network, ids)) == {"prophet", "predictive", "next_latent", "reconstruct"}
    assert network.auxiliary_losses() == {}, "they are forgotten once taken"
    network.eval()(ids, geometry(13))
    assert network.auxiliary_losses() == {}
    with_losses = case(small(losses=every)).network()
    assert learning.HELD and sum(p.numel() for p in with_losses.losses.parameters()) > 0


@pytest.mark.parametrize(("kind", "ahead"), [(Prophet, True), (Reconstruct, False)])
def test_token_losses_ask_for_the_right_tokens(kind: Any, ahead: bool) -> None:
    """Beside a loop over elements and tokens."""
    c, s, v, n = 4, 2, 7, 13
    network: Any = case(small(losses=(kind(0.5),))).network().train()
    loss = network.losses[0]
    inputs = torch.randint(0, v + 1, (2, n))
    valid = torch.arange(n) < torch.tensor([[13], [9]])
    tops = [torch.randn(2, n, 16), torch.randn(2, 7, 16)]
    logits = loss.maps[0](tops[1]).unflatten(-1, (c, v)).log_softmax(-1)
    nats = []
    for row in range(2):
        for m in range(7):
            for k in range(c):
                slot = m * s + 1 + k if ahead else m * s - c + 1 + k
                if 0 <= slot < n and valid[row, slot] and inputs[row, slot] < v:
                    nats.append(-float(logits[row, m, k, inputs[row, slot]].detach()))
    assert float(loss(inputs, valid, tops, tops).detach()) == pytest.approx(0.5 * sum(nats) / len(nats), rel=1e-5)


@pytest.mark.parametrize("kind", [NextLatent, Predictive])
def test_latent_losses_ask_for_the_next_chunk_and_hold_it_fixed(kind: Any) -> None:
    network: Any = case(small(losses=(kind(1.0),))).network().train()
    loss, valid = network.losses[0], torch.ones(1, 13, dtype=torch.bool)
    tops = [torch.randn(1, 13, 16), torch.randn(1, 7, 16, requires_grad=True)]
    loss(torch.zeros(1, 13, dtype=torch.int64), valid, tops, tops).backward()
    asked = tops[1].grad.abs().sum(-1)[0] > 0  # type: ignore[union-attr]
    assert asked.tolist() == [True] * 5 + [False] * 2, "the last two have no chunk after them"
    if kind is Predictive:
        codes = loss.codes(tops[1], 1)
        assert codes.shape == (1, 7, 4) and len(codes.unique()) > 8
        assert torch.equal(codes, loss.codes(tops[1] * 3.0, 1)), "only directions count"


def test_rollouts_ask_for_chunks_further_ahead() -> None:
    """Beside a loop; with the first alone it is the loss without rollouts; a canvas may end before the last."""
    network: Any = case(small(losses=(NextLatent(1.0, rollouts=3),))).network().train()
    loss, inputs = network.losses[0], torch.zeros(1, 13, dtype=torch.int64)
    tops = [torch.randn(1, 13, 16), torch.randn(1, 7, 16, requires_grad=True)]
    valid = torch.ones(1, 13, dtype=torch.bool)
    read = F.rms_norm(tops[1], (16,), eps=1e-6)
    mean = read.mean(dim=1)
    spread = (read - mean).square().mean().sqrt()
    aims = F.rms_norm(read - mean, (16,), eps=1e-6).detach()
    found, weights = [], [1.0]
    for k in (2, 4, 6):  # two phases: the next chunk is two elements on
        ahead = loss.outward[0](F.silu(loss.inward[0](read[:, : 7 - k])))
        turned = 1 - F.cosine_similarity(ahead, aims[:, k:], dim=-1)
        found.append(float((0.1 * (ahead - aims[:, k:]).square().mean(-1) + 0.9 * turned).detach().mean()))
        weights.append(weights[-1] * math.exp(-found[-1]))
        read = F.rms_norm(ahead * spread + mean, (16,), eps=1e-6)
    wanted = sum(w * x for w, x in zip(weights[:3], found, strict=True)) / sum(weights[:3])
    assert float(loss(inputs, valid, tops, tops).detach()) == pytest.approx(wanted, rel=1e-4)
    loss.rollouts = 1
    assert float(loss(inputs, valid, tops, tops).detach()) == pytest.approx(found[0], rel=1e-4)
    loss.rollouts = 9
    loss(inputs, valid, tops, tops).backward()
    assert tops[1].grad is not None and bool(tops[1].grad.isfinite().all())


# Options, refusals, costs.


def nested() -> list[tuple[str, Any, Any]]:
    """(label, model, model with one field of a level, a merge or a compressor changed)."""
    pairs: list[tuple[str, Any, Any]] = []
    for change in walk.changes(Level):
        a, b = (small(levels=(TWO[0], level)) for level in (walk.baseline(Level), change.config))
        pairs.append((f"{change.path}={change.value}", a, b))
    for union, name in ((Merge, "merge"), (Compress, "compress")):
        for kind in members(union):
            for change in walk.changes(kind):
                pairs.append((f"{change.path}={change.value}", *(small(**{name: c}) for c in (kind(), change.config))))
    for change in walk.changes(LevelPositions):
        a, b = (
            Level(factor=4, stride=2, width=16, window="full", positions=p) for p in (LevelPositions(), change.config)
        )
        pairs.append((f"{change.path}={change.value}", *(small(levels=(TWO[0], x)) for x in (a, b))))
    return [pair for pair in pairs if pair[2] is not None]


@pytest.mark.parametrize(("label", "a", "b"), nested(), ids=[p[0][:40] for p in nested()])
def test_a_nested_option_does_something(label: str, a: Any, b: Any) -> None:
    assert options.differs(case(a), case(b)), f"{label} does nothing"


@pytest.mark.parametrize("kind", members(AuxiliaryLoss), ids=lambda kind: kind.__name__)
def test_an_option_of_a_loss_does_something(kind: Any) -> None:
    ids = torch.randint(0, 7, (2, 13), generator=torch.Generator().manual_seed(0))
    for change in walk.changes(kind):
        torch.manual_seed(0)
        first, second = (case(small(losses=(loss,))).network() for loss in (kind(), change.config))
        assert losses_of(first, ids) != losses_of(second, ids), change.path


@pytest.mark.parametrize(
    "model", [small(into="all", pooled=True, losses=(Prophet(),)), small(into=(0, 1), predicting=1)], ids=str
)
def test_it_goes_to_json_and_back(model: Any) -> None:
    assert from_json(Model, to_json(model)) == model


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="one width"):
        small(levels=(Level(), Level(factor=2, width=64)), shared_attention=True)
    with pytest.raises(UserError, match="looks back by half_shift"):
        small(levels=(Level(window="none"), TWO[1]), half_shift=False)
    with pytest.raises(UserError, match="FULL"):
        small().build(7, Sequence(4), Visibility.FULL)
    with pytest.raises(UserError, match="Hierarchical can keep to CAUSAL only"):
        Experiment(model=small(), objective=Masked(), writing=Unmasking())
    with pytest.raises(UserError, match="powers of two"):
        small(levels=(TWO[0], Level(factor=6, width=16)), compress=Pyramid()).build(7, Sequence(4), CAUSAL)
    with pytest.raises(UserError, match="must differ"):
        small(losses=(Prophet(), Prophet(0.5)))
    with pytest.raises(UserError, match="no attention"):
        Level(window="none", attention_norm=LayerNorm())
    with pytest.raises(UserError, match="needs more levels than 1"):
        small(levels=TWO[:1], merge=GatedAdd())


def test_shared_attention_is_shared() -> None:
    shared, apart = (case(small(shared_attention=on)).network() for on in (True, False))
    assert shared.layers[0][0].reader is shared.layers[0][1].reader
    assert shared.layers[0][0].reader is not shared.layers[1][0].reader
    twin = copy.deepcopy(shared)
    assert twin.layers[0][1].reader is twin.layers[0][0].attention is not shared.layers[0][0].attention
    assert sum(p.numel() for p in apart.parameters()) - sum(p.numel() for p in shared.parameters()) == 2 * 4 * 16 * 16


@pytest.mark.filterwarnings("ignore")
def test_costs_are_those_that_torch_counts() -> None:
    """Levels without attention, whose operations are all products of matrices; and shares of levels by hand."""
    from torch.utils.flop_counter import FlopCounterMode

    levels = (Level(width=16, window="none"), Level(factor=4, stride=2, width=24, window="none"))
    network = case(small(levels=levels)).network()
    told = summary(network, Sequence(13))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 13, dtype=torch.int64), geometry(13))
    assert told.flops == counter.get_total_flops()
    assert told.parameters == sum(p.numel() for p in network.parameters())
    assert [part.part for part in told.parts] == ["embedding", "level 0", "level 1", "merge", "head", "rest"]
    assert "level 1" in str(told) and f"{told.parameters:,}" in str(told)


@pytest.mark.filterwarnings("ignore")
def test_looks_are_counted() -> None:
    from semagram.models.summary import looks

    for n in (1, 5, 12):
        for window in (None, 1, 3):
            for phases in (1, 2, 4):
                by_hand = sum(
                    (i - j) % phases == 0 and (window is None or i - j <= window * phases)
                    for i in range(n)
                    for j in range(i + 1)
                )
                assert looks(n, window, phases) == by_hand


@pytest.mark.filterwarnings("ignore")
def test_it_compiles_in_one_graph() -> None:
    from laws import keeping

    subject = case(small(depth=1))
    keeping.check_compiled(subject.network(), subject)
