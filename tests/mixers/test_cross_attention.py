"""Cross-attention equals its definition in values and gradients; padding, empty contexts, state and coordinates."""

from typing import Any

import pytest
import torch

from semagram.errors import UserError
from semagram.layouts import Grid, Sequence
from semagram.mixers import Context, CrossAttention, Rotary
from semagram.mixers.cross_attention import reference

WIDTH = 12
CONFIGS = [
    CrossAttention(heads=3),
    CrossAttention(heads=4, head_width=5, key_value_heads=2, context_width=7, sharpness=None),
    CrossAttention(heads=2, key_value_heads=1, positions=Rotary(50.0)),
    CrossAttention(heads=1, context_width=3, sharpness=2.0),
]


def built(config: CrossAttention, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return config.build(WIDTH)


def given(layer: Any, n: int = 5, m: int = 7, rows: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n + m)
    x = torch.randn(rows, n, WIDTH, generator=generator)
    return x, torch.randn(rows, m, layer.context_width, generator=generator)


def coords(n: int) -> torch.Tensor:
    return Sequence(n).positions().coords


KEEPS = [None, torch.tensor([[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0]]).bool()]


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
@pytest.mark.parametrize("keep", KEEPS, ids=["all", "padded"])
@pytest.mark.parametrize("n", [1, 5])
def test_it_is_its_definition_in_values_and_gradients(config: CrossAttention, keep: Any, n: int) -> None:
    layer = built(config)
    x, features = (t.requires_grad_() for t in given(layer, n))
    context = Context(features, keep, coords(7), coords(n))
    fast = layer(x, context)
    state = layer.new_state(context)
    queries = layer.queries(x).unflatten(-1, (layer.heads, layer.head_width)).transpose(1, 2)
    queries = layer._placed(queries, coords(n), "the slots")
    slow = layer.outward(reference(queries, state.keys, state.values, keep, layer.scale).transpose(1, 2).flatten(2))
    weight = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1))
    parameters = [x, features, *layer.parameters()]
    told = [torch.autograd.grad((y * weight).sum(), parameters, retain_graph=True) for y in (fast, slow)]
    assert torch.allclose(fast, slow, atol=1e-5)
    for mine, its in zip(*told, strict=True):
        assert not mine.isnan().any() and torch.allclose(mine, its, atol=1e-5)
        assert float(mine.abs().max()) > 1e-3, "no gradient to compare"


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_padding_does_not_move_a_bit_and_equals_a_shorter_context(config: CrossAttention) -> None:
    layer = built(config)
    x, features = given(layer)
    keep = torch.tensor([[1, 1, 1, 1, 0, 0, 0]] * 3).bool()
    out = layer(x, Context(features, keep, coords(7), coords(5)))
    other = torch.where(keep[:, :, None], features, features * -3.0 + 1.0)
    assert torch.equal(layer(x, Context(other, keep, coords(7), coords(5))), out)
    short = layer(x, Context(features[:, :4], None, coords(4), coords(5)))
    assert torch.allclose(short, out, atol=1e-6)
    heard = layer(x, Context(features * 2.0 + 1.0, keep, coords(7), coords(5)))
    assert not torch.allclose(heard, out, atol=1e-3), "it does not look at the context at all"


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_steps_of_any_size_equal_one_pass(config: CrossAttention) -> None:
    layer = built(config)
    x, features = given(layer)
    context = Context(features, KEEPS[1], coords(7), coords(5))
    whole, state = layer(x, context), layer.new_state(context)
    parts = [layer.step(x[:, a:b], state) for a, b in ((0, 1), (1, 4), (4, 5))]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-6)


def test_an_empty_context_gives_exactly_zero() -> None:
    layer = built(CONFIGS[0])
    x, features = given(layer)
    assert torch.equal(layer(x, Context(features[:, :0])), torch.zeros_like(x))
    none = torch.zeros(3, 7, dtype=torch.bool)
    assert torch.equal(layer(x, Context(features, none)), torch.zeros_like(x))


def test_rotary_depends_on_distance_alone_over_any_number_of_axes() -> None:
    """Both sides moved by the same amount: nothing changes. One side alone: it does."""
    layer = built(CrossAttention(heads=1, positions=Rotary(50.0)))
    x, features = given(layer, 6, 6)
    here = Grid(2, 3).positions().coords
    out = layer(x, Context(features, None, here, here))
    assert torch.allclose(layer(x, Context(features, None, here + 5, here + 5)), out, atol=1e-5)
    assert not torch.allclose(layer(x, Context(features, None, here + 5, here)), out, atol=1e-3)
    with pytest.raises(UserError, match="coordinates of the slots"):
        layer(x, Context(features, None, here))
    with pytest.raises(UserError, match="coordinates of the context"):
        layer(x, Context(features, slots=here))


def test_every_option_acts() -> None:
    base = CrossAttention(heads=2)
    x = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0))
    context = Context(torch.randn(2, 4, WIDTH, generator=torch.Generator().manual_seed(1)), None, coords(4), coords(3))
    plain = built(base)
    for change in (
        CrossAttention(2, sharpness=None),
        CrossAttention(2, sharpness=2.0),
        CrossAttention(2, positions=Rotary()),
    ):
        other = built(change)
        other.load_state_dict(plain.state_dict())
        assert not torch.allclose(other(x, context), plain(x, context), atol=1e-5), change
    for change in (
        CrossAttention(2, head_width=4),
        CrossAttention(2, context_width=5),
        CrossAttention(2, key_value_heads=1),
    ):
        shapes = [[p.shape for p in layer.parameters()] for layer in (built(change), plain)]
        assert shapes[0] != shapes[1], change


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"heads": 0}, "heads must be at least 1, got 0"),
        ({"head_width": 0}, "head_width must be at least 1, got 0"),
        ({"context_width": -1}, "context_width must be at least 1, got -1"),
        ({"heads": 4, "key_value_heads": 3}, r"must divide heads \(4\), got 3"),
        ({"sharpness": 0.0}, "above 0 or none, got 0"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        CrossAttention(**given)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="not divisible by 5 heads"):
        CrossAttention(heads=5).build(12)
    with pytest.raises(UserError, match="even head width, got 3"):
        CrossAttention(heads=4, positions=Rotary()).build(12)
    layer = built(CONFIGS[0])
    x, features = given(layer)
    with pytest.raises(UserError, match="context has 3 features, but cross-attention reads 12"):
        layer(x, Context(features[..., :3]))
    with pytest.raises(UserError, match="must be bool"):
        Context(features, torch.ones(3, 7))
    with pytest.raises(UserError, match=r"must be \(7, a\)"):
        Context(features, None, coords(3))
    with pytest.raises(UserError, match=r"\(b, m, c\)"):
        Context(features[0])


def test_a_context_of_one_row_serves_many() -> None:
    layer = built(CONFIGS[0])
    x, features = given(layer)
    one = Context(features[:1], KEEPS[1][1:2])
    many = layer(x, one.rows(3))
    assert torch.allclose(many[1:2], layer(x[1:2], one), atol=1e-6)
    with pytest.raises(UserError, match="2 rows serves as many, not 3"):
        Context(features[:2]).rows(3)
