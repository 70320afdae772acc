"""Talking heads beside x-transformers and their formula; untied positions (TUPE), which no peer has, beside theirs."""

from __future__ import annotations

import pytest
import torch

from laws.stepping import close
from laws.test_fast_and_slow import compared
from mixers.peer_attention import Together
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, LearnedSink, NoPositions, TalkingHeads, UntiedBias, ZeroSink
from semagram.mixers.attention_parts import talking, untied_bias


@pytest.mark.parametrize("sink", [None, ZeroSink(), LearnedSink()], ids=str)
@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True), (True, True)])
def test_talking_heads_are_the_peers(before: bool, after: bool, sink: object) -> None:
    """Its map before the softmax is added to the scores, ours replaces them: ours less the identity. It treats the
    scores of a zero key as scores, so that its heads mix zeros: the same."""
    pytest.importorskip("x_transformers")
    config = Attention(4, 6, None, NoPositions(), None, sink=sink, talking=TalkingHeads(before, after))
    flags = {"add_zero_kv": isinstance(sink, ZeroSink), "head_learned_sink": isinstance(sink, LearnedSink)}
    both = Together(config, pre_talking_heads=before, post_talking_heads=after, **flags)
    maps, attend = both.ours.open.talking, both.theirs.attend
    if isinstance(sink, LearnedSink):
        if after:  # it drops the sink's column only after heads talked; so do we
            assert maps.after is not None
        both.also(both.ours.open.sink.scores, attend.head_attn_sink)
    if before:
        eye = torch.eye(4)
        both.also(maps.before, attend.pre_softmax_talking_heads.weight, lambda w: ours_less(w, eye))
    if after:
        both.also(maps.after, attend.post_softmax_talking_heads.weight, lambda w: w[..., None, None])
    with torch.no_grad():
        for mine, other, layout in both.pairs:
            other.copy_(layout(mine))
    if before:  # gradients of a map and of a map less the identity are the same
        index = next(i for i, pair in enumerate(both.pairs) if pair[0] is maps.before)
        mine, other, _ = both.pairs.pop(index)
        both.compare()
        both.close("gradient of the map before", mine.grad[..., None, None], other.grad)
    else:
        both.compare()


def ours_less(weight: torch.Tensor, eye: torch.Tensor) -> torch.Tensor:
    return (weight - eye)[..., None, None]


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 3, 2, 4, 3)])
def test_heads_mixed_are_the_sums(shape: tuple[int, ...]) -> None:
    compared(talking.mixed, talking.reference, torch.randn(3, 3), torch.randn(shape))


def test_talking_heads_begin_as_heads_that_do_not_talk() -> None:
    torch.manual_seed(0)
    plain = Attention(4, sharpness=None).build(16)
    talks = Attention(4, sharpness=None, talking=TalkingHeads()).build(16)
    talks.load_state_dict(plain.state_dict(), strict=False)
    x, line = torch.randn(2, 9, 16), Geometry.line(9, Visibility.CAUSAL)
    assert close(talks(x, line), plain(x, line), 1e-6)


@pytest.mark.parametrize("layout", [Sequence(11), Grid(3, 4)], ids=str)
@pytest.mark.parametrize("reset", [False, True])
def test_untied_positions_are_the_formula(layout: object, reset: bool) -> None:
    torch.manual_seed(0)
    maps = UntiedBias(6, 50.0, reset).build(3)
    with torch.no_grad():
        for parameter in maps.parameters():
            parameter.add_(torch.randn_like(parameter))
    coords = layout.positions().coords  # type: ignore[attr-defined]
    asked = coords[2:7]
    told, wanted = maps(asked, coords), untied_bias.reference(maps, asked, coords)
    assert told.shape == (3, 5, coords.shape[0]) and close(told, wanted, 1e-5)
    noise = torch.randn_like(told)
    grads = [torch.autograd.grad((t * noise).sum(), list(maps.parameters())) for t in (told, wanted)]
    assert all(close(a, b, 1e-5) for a, b in zip(*grads, strict=True))


def test_untied_attention_is_the_formula_of_the_paper() -> None:
    """Whole attention: softmax of content over sqrt(2 w) plus places over sqrt(2 f); the first place reset."""
    torch.manual_seed(0)
    config = Attention(2, 4, None, NoPositions(), None, scale=8**-0.5, bias=UntiedBias(4, 9.0, reset=True))
    mixer = config.build(8)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    x, n = torch.randn(2, 6, 8), 6
    q, k, v = mixer.inward(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
    coords = torch.arange(n)[:, None]
    scores = q @ k.transpose(-1, -2) / 8**0.5 + untied_bias.reference(mixer.open.bias, coords, coords)
    wanted = mixer.outward((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
    assert close(mixer(x, Geometry.line(n, Visibility.FULL)), wanted, 1e-5)
    assert bool(
        (untied_bias.reference(mixer.open.bias, coords, coords)[:, 0] == mixer.open.bias.first[0, :, None]).all()
    )
