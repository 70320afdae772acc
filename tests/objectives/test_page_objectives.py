"""The any-order bound against every order and every mask; lines against their definition; padding; errors."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from laws.predictors_walked import network
from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives import Coherent, Masked, weighted_nats
from semagram.objectives.coherent import lines
from semagram.predictors import Unmasking, predictor_of
from semagram.verbs.bound import bound

FULL = Visibility.FULL


def costs(net, layout, ids: Tensor, order: tuple[int, ...]) -> list[float]:
    """What each cell costs when cells are written in ``order``."""
    page = torch.full_like(ids, 5)
    geometry, told = Geometry.of(layout.positions(), FULL), []
    for cell in order:
        with torch.no_grad():
            log_probs = torch.log_softmax(net(page, geometry), -1)
        told.append(-float(log_probs[0, cell, ids[0, cell]]))
        page[0, cell] = ids[0, cell]
    return told


def test_the_mean_over_every_mask_is_the_mean_over_every_order() -> None:
    """n = 4: 24 orders; 15 masks, those of m cells with probability 1 / (n * C(n, m)) and weight n / m."""
    layout, ids = Grid(2, 2), torch.tensor([[3, 0, 4, 1]])
    net, n = network(FULL, layout), 4
    geometry = Geometry.of(layout.positions(), FULL)
    by_orders = sum(sum(costs(net, layout, ids, o)) for o in itertools.permutations(range(n))) / math.factorial(n)
    by_masks = 0.0
    for m in range(1, n + 1):
        for cells in itertools.combinations(range(n), m):
            page = ids.clone()
            page[0, list(cells)] = 5
            with torch.no_grad():
                log_probs = torch.log_softmax(net(page, geometry), -1)
            asked = sum(-float(log_probs[0, c, ids[0, c]]) for c in cells)
            by_masks += asked * n / m / math.comb(n, m) / n
    assert by_masks == pytest.approx(by_orders, rel=1e-5)
    predictor = predictor_of(net, layout, Unmasking())
    found = bound(predictor, ids[0].numpy(), draws=2000)  # type: ignore[arg-type]
    assert abs(found.nats - by_orders / n) < 4 * found.standard_error
    assert found.standard_error < 0.02 * found.nats


def test_spread_draws_are_better_than_the_error_they_claim() -> None:
    """The estimate scatters less over seeds than independent draws would."""
    layout = Sequence(8)
    predictor = predictor_of(network(FULL, layout), layout, Unmasking())
    ids = torch.randint(0, 5, (32,), generator=torch.Generator().manual_seed(0)).numpy()
    told = [bound(predictor, ids, draws=8, seed=s) for s in range(12)]  # type: ignore[arg-type]
    spread = torch.tensor([t.nats for t in told]).std()
    assert spread < 1.3 * torch.tensor([t.standard_error for t in told]).mean()
    with pytest.raises(UserError, match="fewer than the 8"):
        bound(predictor, ids[:5])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at least 2 draws"):
        bound(predictor, ids, draws=1)  # type: ignore[arg-type]


def test_masks_are_of_every_size_alike() -> None:
    geometry, generator = Geometry.of(Sequence(6).positions(), FULL), torch.Generator().manual_seed(0)
    ids = torch.zeros(600, 6, dtype=torch.int64)
    example = Masked().example(ids, geometry, 5, generator)
    sizes = (example.inputs == 5).sum(dim=1).bincount(minlength=7)
    assert sizes[0] == 0 and (sizes[1:] == 100).all()
    assert torch.equal(example.weights.sum(dim=1), torch.full((600,), 6.0))  # type: ignore[union-attr]


@pytest.mark.parametrize("objective", [Masked(), Coherent(1.0), Coherent(0.5)], ids=str)
def test_padding_is_never_hidden_asked_or_counted(objective) -> None:
    keep = torch.ones(8, 12, dtype=torch.bool)
    keep[:4, 7:] = False
    keep[6] = False
    keep[6, 3] = True
    positions = Grid(3, 4).positions()
    geometry = Geometry(positions.coords, torch.arange(12), FULL, keep)
    for seed in range(20):
        example = objective.example(
            torch.zeros(8, 12, dtype=torch.int64), geometry, 5, torch.Generator().manual_seed(seed)
        )
        assert not ((example.inputs == 5) & ~keep).any() and not (example.weights[~keep] != 0).any()
        assert example.count == keep.sum()
        assert torch.allclose(example.weights.sum(dim=1), keep.sum(dim=1).float(), rtol=1e-5)
        assert (example.inputs == 5).any(dim=1).all()


def test_lines_are_what_they_say() -> None:
    """Row by row: the hidden cells are one side of the page, the asked ones its border line; all lines come alike."""
    layout = Grid(3, 5)
    geometry = Geometry.of(layout.positions(), FULL)
    hidden, weights = lines(geometry, 4000, torch.Generator().manual_seed(0))
    seen: dict[tuple, int] = {}
    for row in range(4000):
        cells = {tuple(c) for c in geometry.coords[hidden[row]].tolist()}
        asked = {tuple(c) for c in geometry.coords[weights[row] > 0].tolist()}
        fits = [
            (axis, sign, line)
            for axis in (0, 1)
            for sign in (1, -1)
            for line in range((3, 5)[axis])
            if cells == {(y, x) for y in range(3) for x in range(5) if sign * (y, x)[axis] >= sign * line}
            and asked == {(y, x) for y in range(3) for x in range(5) if (y, x)[axis] == line}
        ]
        assert len(fits) == 1 or len(cells) == 15
        seen[fits[0]] = seen.get(fits[0], 0) + 1
        assert float(weights[row].max()) == 15 / len(asked)
    assert len(seen) == 16 and min(seen.values()) > 150


def test_the_share_is_kept_and_changes_the_training() -> None:
    layout = Grid(4, 4)
    geometry, ids = Geometry.of(layout.positions(), FULL), torch.zeros(64, 16, dtype=torch.int64)
    plain = Masked().example(ids, geometry, 5, torch.Generator().manual_seed(1))
    mixed = Coherent(0.25).example(ids, geometry, 5, torch.Generator().manual_seed(1))
    changed = (plain.inputs != mixed.inputs).any(dim=1)
    assert 10 <= int(changed.sum()) <= 16
    assert torch.equal(plain.inputs[~changed], mixed.inputs[~changed])
    logits = torch.zeros(64, 16, 5)
    assert float(weighted_nats(logits, mixed)) == pytest.approx(math.log(5), abs=1e-5)
