"""Parts of attention beside one another: what elsewhere crashes or is silently wrong works here, or is refused with
its reason; and what the caller says of pairs, how windows are cut, and which kernel is used."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.stepping import close, gap
from laws.test_fast_and_slow import compared
from mixers.peer_attention import Together
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import (
    ALiBi,
    Attention,
    BucketedBias,
    DynamicBias,
    Entmax15,
    Everything,
    Forgetting,
    LearnedSink,
    Memory,
    NoPositions,
    OutputGate,
    Rotary,
    Softmax,
    TalkingHeads,
    TopK,
    UntiedBias,
    ValueResidual,
    Window,
    ZeroSink,
)
from semagram.mixers.attention_parts import forgetting, scores
from semagram.mixers.attention_parts.blocks import Blocks
from semagram.mixers.attention_parts.open_scores import Projected
from semagram.models import Transformer

WIDTH, LENGTH = 16, 41
CAUSAL, FULL = Visibility.CAUSAL, Visibility.FULL


def built(config: Attention) -> Any:
    torch.manual_seed(0)
    mixer = config.build(WIDTH)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return mixer


def geometry(n: int = LENGTH, visibility: Visibility = CAUSAL, **told: Any) -> Geometry:
    whole = Geometry.of(Sequence(n).positions(), visibility)
    return Geometry(whole.coords, whole.order, visibility, **told)


def steps(mixer: Any, x: Tensor, told: Geometry, sizes: list[int]) -> Tensor:
    state, out, at = mixer.new_state(x.shape[0], told.count), [], 0
    with torch.no_grad():
        for size in sizes:
            out.append(mixer.step(x[:, at : at + size], told.narrow(at, size), state))
            at += size
    return torch.cat(out, dim=1)


PARTS: list[dict[str, Any]] = [
    {"key_value_heads": 2},
    {"bias": ALiBi()},
    {"bias": BucketedBias(6, 9)},
    {"bias": DynamicBias(4, 1)},
    {"bias": UntiedBias(6)},
    {"bias": UntiedBias(4, 20.0, reset=True)},
    {"talking": TalkingHeads()},
    {"forgetting": Forgetting(1.0)},
    {"score_cap": 2.0},
    {"reach": Window(6)},
    {"sink": Memory(2)},
    {"sink": LearnedSink()},
    {"weights": TopK(3)},
    {"weights": Entmax15()},
    {"selective": True},
    {"gains": "both"},
    {"gate": OutputGate()},
    {"positions": Rotary(decay=9.0)},
    {"positions": NoPositions(), "sharpness": None},
]


def together() -> list[dict[str, Any]]:
    """Every two parts that do not want the same place."""
    return [{**a, **b} for a, b in combinations(PARTS, 2) if not set(a) & set(b)]


def test_every_two_parts_compose_or_are_refused() -> None:
    """X3 (steps differ from the pass), X4 (ALiBi with rotary), X6 (memory), X12, X15: a pass, chunks, single slots."""
    refused, x = [], torch.randn(2, 34, WIDTH)
    told = geometry(34)
    for fields in together():
        try:
            config = Attention(**{"heads": 4, **fields})
        except UserError:
            refused.append(set(fields))
            continue
        mixer = built(config)
        with torch.no_grad():
            whole = mixer(x, told)
        stepped = steps(mixer, x, told, [1, 9, 1, 1, 3, 18, 1])
        assert close(stepped, whole, 2e-5), f"{config}: {gap(stepped, whole)}"
    sharpness_for_gains = {"gains", "positions", "sharpness"}
    assert refused == [{"reach", "selective"}, sharpness_for_gains]


@pytest.mark.parametrize("visibility", [CAUSAL, FULL])
@pytest.mark.parametrize("window", [Window(1), Window(5), Window(16), Window(20), Window(3, 2), Window(2, 5)], ids=str)
@pytest.mark.parametrize("n", [1, 17, 33, 64, 83])
def test_blocks_are_the_band(n: int, window: Window, visibility: Visibility) -> None:
    """Values and gradients of a window, by blocks where they are used, against full attention with the band as mask."""
    torch.manual_seed(0)
    inner = Attention(4, 6, 2, NoPositions(), None, reach=window).build(24).open
    back = torch.arange(n)[:, None] - torch.arange(n)
    near = (back.abs() < window.span) & (back % window.dilation == 0)
    near = near & (back >= 0) if visibility is CAUSAL else near
    told = geometry(n, visibility)
    from semagram.mixers.attention import reference

    compared(
        lambda q, k, v: inner.whole(Projected(q, k, v, q), torch.zeros(2, n, 1), told),
        lambda q, k, v: reference(q, k, v, near),
        torch.randn(2, 4, n, 6), torch.randn(2, 2, n, 6), torch.randn(2, 2, n, 6),
    )  # fmt: skip


def test_blocks_are_used_where_they_save_and_their_scores_grow_with_length() -> None:
    assert Blocks.of(2 * 16, 5, 1, True) is None and Blocks.of(33, 5, 1, True) is not None
    sizes = []
    for n in (1000, 4000):
        cut = Blocks.of(n, 50, 1, True)
        assert cut is not None
        sizes.append(cut.queries(torch.zeros(1, 1, n, 1)).shape[3] * cut.size * 2 * cut.size)
    assert 3.8 < sizes[1] / sizes[0] < 4.2


def test_a_state_of_a_window_is_as_large_as_the_window() -> None:
    mixer, x = built(Attention(reach=Window(6))), torch.randn(2, LENGTH, WIDTH)
    state = mixer.new_state(2, LENGTH)
    with torch.no_grad():
        for at in range(LENGTH):
            mixer.step(x[:, at : at + 1], geometry().narrow(at, 1), state)
    assert {t.shape[2] for t in state.slots._buffers} == {6} and state.length == LENGTH


def test_open_scores_are_their_definition() -> None:
    torch.manual_seed(0)
    rules = scores.Rules(0.4, Softmax().weigh, 1.5)
    hidden = torch.zeros(7, 7).masked_fill(~torch.ones(7, 7, dtype=torch.bool).tril(), float("-inf"))
    bias = torch.randn(4, 7, 7)
    arguments = torch.randn(2, 4, 7, 3), torch.randn(2, 2, 7, 3), torch.randn(2, 2, 7, 3), torch.randn(2, 4, 7, 2)
    memory = torch.randn(2, 2, 3)

    def asked(function: Any) -> Any:
        return lambda q, k, v, c, m: function(q, k, v, [hidden, bias], rules, (c, m))

    compared(asked(scores.attend), asked(scores.reference), *arguments, memory)


def test_forgetting_is_its_definition() -> None:
    torch.manual_seed(0)

    def fast(logs: Tensor) -> Tensor:
        sums = logs.cumsum(-1).unsqueeze(-1)
        return forgetting.faded(sums, sums).tril()

    compared(fast, forgetting.reference, -torch.rand(2, 3, 9))


def test_memory_leaves_rotary_positions_what_they_are() -> None:
    """X13: with keys that are met by turned queries the text's place would change the numbers."""
    mixer, x = built(Attention(sink=Memory(3))), torch.randn(2, LENGTH, WIDTH)
    here, there = geometry(), Geometry(geometry().coords + 1000, geometry().order, CAUSAL)
    assert close(mixer(x, here), mixer(x, there), 1e-4)
    assert not close(mixer(x, here), built(Attention())(x, here), 1e-2)


def test_forgetting_adds_to_every_other_bias() -> None:
    """X21: nothing that is asked for is dropped without a word."""
    x, noise = torch.randn(2, LENGTH, WIDTH), torch.randn(LENGTH, LENGTH)
    for bias in (ALiBi(), BucketedBias(6, 9), DynamicBias(4, 1)):
        both = built(Attention(forgetting=Forgetting(1.0), bias=bias))
        bare = built(Attention(forgetting=Forgetting(1.0)))
        bare.load_state_dict(both.state_dict(), strict=False)
        assert not close(both(x, geometry()), bare(x, geometry()), 1e-3)
        assert not close(both(x, geometry(pairs=noise)), both(x, geometry()), 1e-3)


@pytest.mark.parametrize("reach", [Everything(), Window(5)], ids=str)
@pytest.mark.parametrize("bias", [None, BucketedBias(6, 9)], ids=str)
def test_pairs_of_the_caller(reach: Any, bias: Any) -> None:
    """Two documents in one row: the second reads as if it stood alone; in a pass and step by step."""
    mixer = built(Attention(reach=reach, bias=bias))
    x, cut = torch.randn(2, LENGTH, WIDTH), 19
    document = torch.arange(LENGTH) >= cut
    told = geometry(pairs=document[:, None] == document)
    out = mixer(x, told)
    alone = mixer(x[:, cut:], geometry(LENGTH - cut))
    assert close(out[:, cut:], alone, 1e-5), gap(out[:, cut:], alone)
    assert close(steps(mixer, x, told, [7, 1, 20, 13]), out, 2e-5)
    added = geometry(pairs=torch.zeros(2, LENGTH, LENGTH).masked_fill_(document[:, None] != document, float("-inf")))
    assert close(mixer(x, added), out, 1e-5)


def test_pairs_of_a_wrong_size_are_refused() -> None:
    with pytest.raises(UserError, match=r"pairs must be \(41, 41\).*\(5, 41\)"):
        geometry(pairs=torch.ones(5, 41))


@pytest.mark.parametrize("reach", [Everything(), Window(9)], ids=str)
def test_a_prefix_sees_itself_and_nothing_else_changes(reach: Any) -> None:
    """Prefix-LM: the first slots see one another, later ones what stands before. Stepping reads it in one piece."""
    mixer, x, prefix = built(Attention(reach=reach)), torch.randn(2, LENGTH, WIDTH), 7
    told = geometry(prefix=prefix)
    out = mixer(x, told)
    for cell, may in ((3, 0), (prefix - 1, 0), (prefix, prefix), (30, 30)):
        changed = x.clone()
        changed[:, cell] += 1.0
        moved = (mixer(changed, told) != out).any(-1).any(0)
        assert not moved[:may].any() and moved[cell] and (may or moved[0]), (cell, moved)
    assert close(steps(mixer, x, told, [prefix, 1, 20, 13]), out, 2e-5)
    assert close(steps(mixer, x, told, [20, 1, 20]), out, 2e-5)
    with pytest.raises(ValueError, match="in one piece"):
        steps(mixer, x, told, [3, 38])
    with pytest.raises(UserError, match=r"CAUSAL canvas; got 3, FULL"):
        geometry(visibility=FULL, prefix=3)


@pytest.mark.parametrize(
    ("fields", "name", "reason"),
    [
        ({}, "fused", None),
        ({"key_value_heads": 1, "gains": "both", "gate": OutputGate(), "input_bias": True}, "fused", None),
        ({"positions": Rotary(decay=9.0)}, "fused", None),
        ({"bias": ALiBi()}, "fused with a mask", "bias"),
        ({"bias": BucketedBias()}, "scores", "learned"),
        ({"score_cap": 5.0}, "scores", "score_cap"),
        ({"sink": ZeroSink()}, "scores", "sink"),
        ({"weights": TopK()}, "scores", "weights"),
        ({"selective": True}, "scores", "selective"),
        ({"forgetting": Forgetting()}, "scores", "forgetting"),
        ({"reach": Window()}, "blocks", "reach"),
    ],
)
def test_a_configuration_tells_its_kernel(fields: dict[str, Any], name: str, reason: str | None) -> None:
    told = Attention(**fields).kernel()
    assert told.name == name
    assert not told.reasons if reason is None else any(reason in r for r in told.reasons)


def test_the_fused_kernel_is_used_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    x, calls = torch.randn(2, LENGTH, WIDTH), []
    sound = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: calls.append(k) or sound(*a, **k)
    )
    for fields in PARTS:
        config = Attention(**{"heads": 4, **fields})
        calls.clear()
        built(config)(x, geometry())
        assert bool(calls) == config.kernel().name.startswith("fused"), config
        if config.kernel().name == "fused":
            assert calls[0]["attn_mask"] is None and calls[0]["is_causal"]


@pytest.mark.parametrize("shared", [4, 2, 1])
@pytest.mark.parametrize("own", [None, 0.3])
def test_value_residual(shared: int, own: float | None) -> None:
    """X5: x-transformers crashes with shared values and its default mix; with as many heads the numbers agree."""
    config = Attention(4, 6, shared, NoPositions(), None, value_residual=ValueResidual(own))
    told, x = geometry(13).opened(), torch.randn(2, 13, 20)
    assert told.board is not None
    first = torch.randn(2, shared, 13, 6)
    torch.manual_seed(0)
    mixer: Any = config.build(20)
    told.board["values of the first layer"] = first
    values = mixer._project(x, told).values
    plain: Any = replace(config, value_residual=None).build(20)
    plain.load_state_dict(mixer.state_dict(), strict=False)
    bare = plain._project(x, geometry(13)).values
    share = own if own is not None else torch.sigmoid(mixer.value_mix.share(x)).transpose(1, 2)[..., None]
    assert close(values, first + share * (bare - first), 1e-6)
    if shared == 4 and own is None:
        pytest.importorskip("x_transformers")
        both = Together(replace(config, value_residual=None), learned_value_residual_mix=True)
        both.ours.value_mix = mixer.value_mix
        mix = both.theirs.to_value_residual_mix[0]
        both.also(mixer.value_mix.share.weight, mix.weight).also(mixer.value_mix.share.bias, mix.bias)
        both.compare(board={"values of the first layer": first}, value_residual=first)


def test_the_first_layer_has_nothing_to_mix_and_a_lone_one_is_refused() -> None:
    config = Transformer(WIDTH, 3, mixer=Attention(value_residual=ValueResidual()))
    network: Any = config.build(5, Sequence(4), CAUSAL)
    assert [block.mixer.value_mix.share is None for block in network.blocks] == [True, False, False]
    with pytest.raises(UserError, match="at least 2 attention layers"):
        replace(config, depth=1).build(5, Sequence(4), CAUSAL)
    with pytest.raises(UserError, match="opens a board"):
        built(config.mixer)(torch.randn(1, 4, WIDTH), geometry(4))  # type: ignore[arg-type]


def test_scale_and_fraction_act() -> None:
    x, told = torch.randn(2, LENGTH, WIDTH), geometry()
    plain = Attention(sharpness=None)
    for changed in (replace(plain, scale=0.2), replace(plain, positions=Rotary(fraction=0.5))):
        assert not close(built(plain)(x, told), built(changed)(x, told), 1e-3)
    assert close(built(plain)(x, told), built(replace(plain, scale=0.5))(x, told), 1e-6), "1 / sqrt(4) is the default"
