"""Recurrence over segments: equal to attention with the mask it stands for, whole or stepped, at odd sizes."""

from typing import Any

import numpy as np
import pytest
import torch

from laws.cases import shaken
from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution, Segments
from semagram.mixers.attention import reference
from semagram.mixers.rotary import rotary_tables, rotate
from semagram.mixers.segments import visible
from semagram.models import Transformer
from semagram.predictors import RankByRank, predictor_of
from semagram.training.optimisers import AdamW
from semagram.training.truncated import truncated
from semagram.verbs.compress import compress
from semagram.verbs.decompress import decompress
from semagram.verbs.generate import generate
from semagram.verbs.score import score

WIDTH = 12
ATTENTION = Attention(heads=2)
SIZES = [(11, 3, 2), (11, 3, 7), (11, 4, 0), (5, 8, 3), (9, 1, 4), (12, 4, 4)]


def built(config: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return shaken(config.build(WIDTH))


def line(count: int) -> Geometry:
    return Geometry.of(Sequence(count).positions(), Visibility.CAUSAL)


def projected(attention: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values of plain attention with two heads, each ``(b, 2, n, 6)``, from its weights."""
    stacked = (x @ attention.inward.weight.T).unflatten(-1, (3, 2, WIDTH // 2)).permute(2, 0, 3, 1, 4)
    cosine, sine = rotary_tables(torch.arange(x.shape[1])[:, None], WIDTH // 2, 10_000.0)
    queries, keys = (rotate(normalise(part), cosine, sine) for part in stacked[:2])
    return queries, keys, stacked[2]


@pytest.mark.parametrize(("count", "segment", "memory"), SIZES)
def test_it_is_attention_with_the_mask_that_it_stands_for(count: int, segment: int, memory: int) -> None:
    """Values; gradients too, once the definition's memories are cut off as the paper says."""
    mixer = built(Segments(ATTENTION, segment, memory))
    x = torch.randn(2, count, WIDTH, generator=torch.Generator().manual_seed(1), requires_grad=True)
    inner = mixer.attention
    weight = torch.randn(2, count, WIDTH, generator=torch.Generator().manual_seed(2))

    def slow() -> torch.Tensor:
        seen = visible(count, segment, memory)
        own = torch.arange(count)[:, None] // segment == torch.arange(count)[None, :] // segment
        rows = []
        queries, keys, values = projected(inner, x)
        _, cut_keys, cut_values = projected(inner, x.detach())
        for at in range(count):
            k, v = (
                torch.where(own[at][None, None, :, None], *pair) for pair in ((keys, cut_keys), (values, cut_values))
            )
            rows.append(reference(queries[:, :, at : at + 1], k, v, seen[at : at + 1], 8.0 / (WIDTH // 2)))
        return inner.outward(torch.cat(rows, dim=2).transpose(1, 2).flatten(2))

    told = []
    for y in (mixer(x, line(count)), slow()):
        told.append((y, torch.autograd.grad((y * weight).sum(), [x, *mixer.parameters()])))
    assert torch.allclose(told[0][0], told[1][0], atol=1e-5)
    for fast, other in zip(told[0][1], told[1][1], strict=True):
        assert torch.allclose(fast, other, atol=1e-5)


def test_a_memory_of_everything_is_full_attention() -> None:
    for segment in (1, 3, 11, 64):
        mixer = built(Segments(ATTENTION, segment, 64))
        x = torch.randn(2, 11, WIDTH, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(mixer(x, line(11)), mixer.attention(x, line(11)), atol=1e-5)


def test_positions_are_exact_on_a_page_that_is_written_to_and_fro() -> None:
    page = Geometry.of(Grid(3, 4, "snake").positions(), Visibility.CAUSAL)
    mixer = built(Segments(Attention(heads=2, head_width=4), 5, 64))
    x = torch.randn(2, 12, WIDTH, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(mixer(x, page), mixer.attention(x, page), atol=1e-5)


def test_no_gradient_flows_into_a_memory() -> None:
    mixer = built(Segments(ATTENTION, 4, 4))
    x = torch.randn(1, 8, WIDTH, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixer(x, line(8))[:, 4:].square().sum(), x)
    assert bool((gradient[:, :4] == 0).all()) and bool((gradient[:, 4:] != 0).any())


def test_the_reach_is_what_it_says() -> None:
    """Two layers reach twice as far as one, and not one slot further."""
    config = Transformer(width=WIDTH, depth=2, mixer=Segments(ATTENTION, 2, 2), shift=None)
    torch.manual_seed(0)
    network = shaken(config.build(5, Sequence(12), Visibility.CAUSAL)).eval()
    ids = torch.randint(0, 5, (1, 12))
    moved = []
    for at in range(12):
        other = ids.clone()
        other[0, at] = (other[0, at] + 1) % 5
        moved.append(not torch.equal(network(other, line(12))[0, 11], network(ids, line(12))[0, 11]))
    # Slot 11 is in segment 10..11; layer 2 sees 8..11, layer 1 below slot 8 sees 6..8.
    assert moved == [at >= 6 for at in range(12)]


def language_model(length: int) -> Any:
    config = Transformer(width=WIDTH, depth=2, mixer=Segments(ATTENTION, 4, 3))
    torch.manual_seed(0)
    return shaken(config.build(5, Sequence(length), Visibility.CAUSAL)).eval()


def test_room_does_not_grow_with_the_text() -> None:
    mixer = built(Segments(ATTENTION, 4, 3))
    state = mixer.new_state(1, 1000)
    with torch.no_grad():
        for at in range(40):
            mixer.step(torch.randn(1, 1, WIDTH), line(1000).narrow(at, 1), state)
    assert state.inputs.shape[1] == 7 and state.inner.keys.shape[2] == 7 and state.length == 40


def test_it_writes_scores_and_compresses_texts_of_many_segments() -> None:
    network = language_model(40)
    predictor = predictor_of(network, Sequence(40), RankByRank())
    text = generate(predictor, [np.array([1, 2]), np.array([3])], 30, seed=1)
    assert [len(row) for row in text] == [32, 31]
    ids = text[0]
    data = compress(predictor, ids, "ab" * 32)
    assert np.array_equal(decompress(predictor, data, "ab" * 32), ids)
    found = score(predictor, ids, stretches=1)
    with torch.no_grad():
        inputs = torch.tensor([[5, *ids[:-1].tolist()]])
        whole = torch.log_softmax(network(inputs, line(32)), dim=-1)
    assert np.allclose(found.nats, [-float(whole[0, i, ids[i]]) for i in range(32)], atol=1e-4)


def test_truncated_backpropagation_reads_the_same_text() -> None:
    """Without steps between segments the losses are those of one pass, and so is the sum of gradients."""
    network = language_model(12)
    ids = torch.randint(0, 5, (2, 12), generator=torch.Generator().manual_seed(3))
    parameters = [p for n, p in network.named_parameters() if "shift" not in n and "embedding" not in n]
    whole = torch.nn.functional.cross_entropy(
        network(torch.cat([torch.full((2, 1), 5), ids[:, :-1]], dim=1), line(12)).flatten(0, 1), ids.flatten()
    )
    expected = torch.autograd.grad(whole, parameters)
    found = [torch.zeros_like(p) for p in parameters]
    nats = []
    for loss in truncated(network, ids, 4):
        nats.append(loss.detach())
        for total, part in zip(found, torch.autograd.grad(loss, parameters), strict=True):
            total += part / 3
    assert torch.allclose(torch.stack(nats).mean(), whole, atol=1e-5)
    for mine, its in zip(found, expected, strict=True):
        assert torch.allclose(mine, its, atol=1e-4), (mine - its).abs().max()


def carried(mixer: Any, rounds: int) -> list[float]:
    """The losses of rounds on texts of period 3, read two slots at a time, the weights stepped each time."""
    torch.manual_seed(0)
    network = Transformer(width=16, depth=2, mixer=mixer).build(5, Sequence(12), Visibility.CAUSAL)
    stepper = AdamW(rate=2e-2).build(network)
    generator, told = torch.Generator().manual_seed(0), []
    for _ in range(rounds):
        period = torch.stack([torch.randperm(5, generator=generator)[:3] for _ in range(16)])
        for loss in truncated(network, period.repeat(1, 4), 2):
            loss.backward()
            stepper.step(1.0)
            stepper.forget_gradients()
            told.append(float(loss.detach()))
    return told


def test_truncated_backpropagation_learns_what_is_longer_than_a_segment() -> None:
    """Who sees a segment of 2 alone can only know that its letters differ: 1.50 nats."""
    told = carried(Segments(ATTENTION, 2, 4), 18)
    assert sum(told[-3:]) / 3 < 1.25 < sum(told[:3]) / 3


def test_truncated_backpropagation_carries_any_state() -> None:
    """Keys that are kept, a convolution's last slots, and what the shift has seen."""
    for mixer in (ATTENTION, Convolution()):
        assert np.isfinite(carried(mixer, 2)).all()


def test_what_cannot_be_trained_so_is_refused() -> None:
    network = Transformer(width=16, depth=1, dropout=0.1).build(7, Sequence(8), Visibility.CAUSAL)
    with pytest.raises(UserError, match="dropout"):
        next(truncated(network, torch.zeros(1, 8, dtype=torch.long), 4))
    with pytest.raises(UserError, match="segment must be at least 1"):
        next(truncated(network, torch.zeros(1, 8, dtype=torch.long), 0))
