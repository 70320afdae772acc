"""The seed's promises on the page, in our API: its README example, and what its package failed at, asked one by one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.cases import shaken
from semagram.layouts import Grid, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Neighbourhood
from semagram.models import Merged, Page, Repeated, Whole
from semagram.objectives import Coherent, Masked, weighted_nats
from semagram.predictors import Unmasking, predictor_of

FULL = Visibility.FULL


def built(layout: Grid, vocabulary: int = 9, **fields: Any) -> Any:
    torch.manual_seed(0)
    model = Page(**{"width": 16, "depth": 2, "local": Neighbourhood(heads=2, rows=3, columns=3), **fields})
    return shaken(model.build(vocabulary, layout, FULL)).eval()


def asked(net: Any, layout: Grid, page: Tensor) -> Tensor:
    with torch.no_grad():
        return net(page, Geometry.of(layout.positions(), FULL))


def test_the_readme_example() -> None:
    """vocab 100, width 128, a 10 x 10 matrix, 8 heads, window 3, 2 iterations: trained a step, written whole."""
    layout = Grid(10, 10)
    x = torch.randint(0, 100, (1, 100), generator=torch.Generator().manual_seed(0))
    model = Page(
        width=128, depth=2, local=Neighbourhood(heads=8, rows=3, columns=3), whole=Whole(), repeated=Repeated(times=2)
    )
    net = model.build(100, layout, FULL)
    geometry = Geometry.of(layout.positions(), FULL)
    assert net(x, geometry).shape == (1, 100, 100)
    example = Masked().example(x, geometry, 100, torch.Generator().manual_seed(0))
    loss = weighted_nats(net(example.inputs, geometry), example)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(100), abs=0.01)
    state = predictor_of(net.eval(), layout, Unmasking(schedule="cosine", steps=4)).open(layout, 1)
    while (cells := state.next_positions).shape[1]:
        state.write(state.log_probs().argmax(-1))
        assert cells.shape[0] == 1


@pytest.mark.parametrize("turn", ["rows upside down", "columns mirrored", "transposed"])
def test_position_is_seen_on_both_axes(turn: str) -> None:
    """A network that is blind to an axis answers a turned page with its turned answer; this one must not."""
    layout = Grid(5, 5)
    net = built(layout)
    page = torch.randint(0, 9, (1, 25), generator=torch.Generator().manual_seed(1)).view(1, 5, 5)
    change = {
        "rows upside down": lambda t: t.flip(1),
        "columns mirrored": lambda t: t.flip(2),
        "transposed": lambda t: t.transpose(1, 2),
    }[turn]
    plain = change(asked(net, layout, page.flatten(1)).view(1, 5, 5, 9))
    turned = asked(net, layout, change(page).flatten(1)).view(1, 5, 5, 9)
    assert (plain - turned).abs().max() > 1e-2


def test_a_page_that_is_not_square_and_cells_that_reach_each_other() -> None:
    """Two blocks of 3 x 3 reach two cells far, not further; one global block reaches everywhere."""
    layout = Grid(6, 11)
    page = torch.zeros(1, 66, dtype=torch.int64)
    other = page.clone()
    other[0, 2 * 11 + 5] = 1
    for whole, reach in ((None, 2), (Whole(every=2), 99)):
        # Clipped windows: one that slides at a border reaches further inwards.
        net = built(layout, whole=whole, local=Neighbourhood(heads=2, rows=3, columns=3, border="clip"))
        moved = (asked(net, layout, page) != asked(net, layout, other)).any(-1)[0]
        far = [max(abs(cell // 11 - 2), abs(cell % 11 - 5)) for cell in moved.nonzero()[:, 0].tolist()]
        assert max(far) == min(reach, 5)


def test_radius_nothing_is_the_unigram() -> None:
    """With a window of one cell every hidden cell has the same answer, whatever stands around it."""
    layout = Grid(4, 4)
    net = built(layout, local=Neighbourhood(heads=2, rows=1, columns=1))
    page = torch.randint(0, 9, (2, 16), generator=torch.Generator().manual_seed(1))
    page[:, ::3] = 9
    told = asked(net, layout, page)[:, ::3].reshape(-1, 9)
    assert torch.allclose(told, told[:1].expand_as(told), atol=1e-6)


@pytest.mark.parametrize(
    ("objective", "fields"),
    [(Masked(), {"whole": Whole()}), (Coherent(0.5), {}), (Masked(), {"merged": Merged(2, 1)})],
    ids=str,
)
def test_leak_alarm(objective: Any, fields: dict[str, Any]) -> None:
    """Random cells cannot be learnt: after training the loss on fresh pages stays at ln v."""
    layout, vocabulary = Grid(4, 6), 6
    geometry, generator = Geometry.of(layout.positions(), FULL), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = Page(width=16, depth=2, local=Neighbourhood(heads=2, rows=3, columns=3), **fields).build(6, layout, FULL)
    optimiser, late = torch.optim.AdamW(net.parameters(), lr=5e-3), []
    for step in range(60):
        ids = torch.randint(0, vocabulary, (16, 24), generator=generator)
        example = objective.example(ids, geometry, vocabulary, generator)
        loss = weighted_nats(net(example.inputs, geometry), example)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step >= 30:
            late.append(float(loss.detach()))
    assert sum(late) / len(late) > math.log(vocabulary) - 0.015


@pytest.mark.parametrize("depth", [1, 2, 6, 12])
def test_activations_are_quiet_at_every_depth(depth: int) -> None:
    """The seed's grew fourfold a layer. At the start ours are the embedding's; rms within [0.5, 2] at every depth."""
    layout = Grid(6, 6)
    torch.manual_seed(0)
    net = Page(width=64, depth=depth, merged=Merged(2, 2), repeated=Repeated(2)).build(50, layout, FULL)
    seen: list[float] = []
    for block in net.blocks:
        block.register_forward_hook(lambda _m, _i, out: seen.append(float(out.detach().square().mean().sqrt())))
    net(torch.randint(0, 50, (2, 36)), Geometry.of(layout.positions(), FULL))
    assert len(seen) == 2 * depth and all(0.5 <= rms <= 2 for rms in seen)


def test_a_drawn_number_of_iterations_works_for_any_up_to_it() -> None:
    layout = Grid(3, 3)
    geometry = Geometry.of(layout.positions(), FULL)
    net = built(layout, repeated=Repeated(4, drawn=True))
    page = torch.randint(0, 9, (1, 9), generator=torch.Generator().manual_seed(0))
    by_count = [net.logits(net.hidden(page, geometry, iterations=r)) for r in (1, 2, 3, 4)]
    assert torch.equal(net(page, geometry), by_count[3])
    net.train()
    torch.manual_seed(0)
    drawn = {next(i for i, b in enumerate(by_count) if torch.equal(b, net(page, geometry))) for _ in range(1)}
    for _ in range(40):
        out = net(page, geometry)
        drawn.add(next(i for i, b in enumerate(by_count) if torch.allclose(b, out, atol=1e-6)))
    assert drawn == {0, 1, 2, 3}


def test_super_tokens_see_their_square_and_nothing_else() -> None:
    """Without any other block, a change reaches the super-tokens of its neighbourhood and their cells alone."""
    layout = Grid(6, 6)
    net = built(layout, depth=0, merged=Merged(2, 1), local=Neighbourhood(heads=2, rows=1, columns=1))
    page = torch.zeros(1, 36, dtype=torch.int64)
    other = page.clone()
    other[0, 2 * 6 + 3] = 1
    moved = (asked(net, layout, page) != asked(net, layout, other)).any(-1)[0].nonzero()[:, 0].tolist()
    assert moved == [14, 15, 20, 21]
