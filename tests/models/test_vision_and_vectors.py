"""What vision, continuous and multi-stream models promise beyond the laws."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from laws.cases import shaken
from semagram.errors import UserError
from semagram.layouts import Visibility
from semagram.mixers import Attention, NoPositions
from semagram.models import Blocks, Continuous, EncoderDecoder, MultiStream, Vision
from semagram.models.continuous import Gaussian, Outlook, Points
from semagram.models.decoder import Decoder
from semagram.models.embedding import SinusoidalPositions
from semagram.models.patches import LearnedPatches, cut, join

SMALL = Blocks(width=16, depth=2)


def built(config: Any, *sizes: Any) -> Any:
    torch.manual_seed(0)
    return shaken(config.build(*sizes)).eval()


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_patches_are_pixels_row_by_row_and_can_be_put_together_again() -> None:
    image = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    patches = cut(image, (2, 3), 3)
    assert patches.shape == (2, 2, 2, 18)
    for y in range(2):
        for x in range(2):
            block = image[:, :, 2 * y : 2 * y + 2, 3 * x : 3 * x + 3]
            assert torch.equal(patches[:, y, x], block.permute(0, 2, 3, 1).flatten(1))
    assert torch.equal(join(patches, (2, 3), 3), image)
    with pytest.raises(UserError, match="do not fill an image of 5 x 6"):
        cut(torch.zeros(1, 3, 5, 6), (2, 3), 3)
    with pytest.raises(UserError, match=r"\(b, 3, height, width\)"):
        cut(torch.zeros(1, 1, 4, 6), (2, 3), 3)


def test_a_patch_knows_its_row_and_its_column() -> None:
    """Two-dimensional rotary or sinusoidal positions: turning the image around turns no features around."""
    image = numbers(1, 1, 4, 4)
    for positions, mixer in (
        (None, Attention()),
        (SinusoidalPositions(), Attention(positions=NoPositions())),
        (LearnedPatches(), Attention(positions=NoPositions())),
    ):
        network = built(Vision((4, 4), (2, 2), 1, Blocks(width=16, depth=2, mixer=mixer), positions))
        here = network(image).features
        there = network(cut_and_shuffled(image)).features
        assert not torch.allclose(here[:, [1, 0, 3, 2]], there, atol=1e-3), positions
    blind = built(Vision((4, 4), (2, 2), 1, Blocks(width=16, depth=2, mixer=Attention(positions=NoPositions()))))
    assert torch.allclose(blind(image).features[:, [1, 0, 3, 2]], blind(cut_and_shuffled(image)).features, atol=1e-5), (
        "without any positions it cannot know"
    )


def cut_and_shuffled(image: torch.Tensor) -> torch.Tensor:
    """Left and right halves exchanged."""
    return torch.cat([image[..., 2:], image[..., :2]], dim=-1)


def test_images_of_any_size_unless_positions_are_learned() -> None:
    network = built(Vision((4, 4), (2, 2), 1, SMALL))
    assert network(numbers(2, 1, 6, 8)).features.shape == (2, 12, 16)
    learned = built(Vision((4, 4), (2, 2), 1, SMALL, LearnedPatches()))
    with pytest.raises(UserError, match="know 2 x 2 patches"):
        learned(numbers(2, 1, 6, 8))


def test_registers_and_class_token() -> None:
    network = built(Vision((4, 4), (2, 2), 1, SMALL, registers=3, class_token=True))
    image = numbers(2, 1, 4, 4)
    before = network(image).features
    assert before.shape == (2, 5, 16)
    with torch.no_grad():
        network.registers.add_(1.0)
    assert not torch.allclose(network(image).features, before, atol=1e-4)


def test_patch_dropout_leaves_patches_out_in_training_only() -> None:
    network = built(Vision((8, 8), (2, 2), 1, SMALL, patch_dropout=0.5))
    image = numbers(2, 1, 8, 8)
    assert network(image).features.shape[1] == 16
    torch.manual_seed(0)
    seen = network.train()(image)
    assert seen.features.shape[1] == 8 and seen.coords is not None and len(set(map(tuple, seen.coords.tolist()))) == 8


def test_an_image_is_described_by_the_same_encoder_decoder() -> None:
    network = built(EncoderDecoder(Vision((4, 4), (2, 2), 1, SMALL), Decoder(SMALL)), 7)
    caption = torch.zeros(2, 3, dtype=torch.long)
    logits = network(numbers(2, 1, 4, 4), caption)
    assert logits.shape == (2, 3, 7) and not torch.equal(logits[0], logits[1])


def test_losses_of_outlooks_are_their_formulas() -> None:
    mean, log_variance, target = numbers(2, 3, 4), numbers(2, 3, 4, seed=1), numbers(2, 3, 4, seed=2)
    nats = -torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(target)
    assert torch.allclose(Outlook(mean, log_variance).loss(target), nats.mean(), atol=1e-6)
    keep = torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    assert torch.allclose(Outlook(mean, log_variance).loss(target, keep), nats[keep].mean(), atol=1e-6)
    assert torch.allclose(Outlook(mean, None).loss(target), F.mse_loss(mean, target))
    assert torch.allclose(Outlook(mean, None, "absolute").loss(target), F.l1_loss(mean, target))
    dirty = target.masked_fill(~keep[:, :, None], float("nan"))
    assert torch.allclose(Outlook(mean, None).loss(dirty, keep), F.mse_loss(mean[keep], target[keep]))


@pytest.mark.parametrize("answer", [Points(), Gaussian()])
def test_a_continuous_network_steps_as_it_reads_and_sees_nothing_later(answer: Any) -> None:
    network = built(Continuous(3, None, SMALL, answer))
    x = numbers(2, 7, 3)
    whole = network(x)
    with torch.no_grad():
        state = network.new_state(2, 7)
        parts = [network.step(part, state).mean for part in x.split([1, 3, 1, 2], dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole.mean, atol=1e-5)
    later = torch.cat([x[:, :4], -x[:, 4:]], dim=1)
    assert torch.equal(network(later).mean[:, :4], whole.mean[:, :4])
    keep = torch.tensor([[1] * 7, [1] * 4 + [0] * 3]).bool()
    padded = x.masked_fill(~keep[:, :, None], float("nan"))
    assert torch.allclose(network(padded, keep).mean[1, :4], whole.mean[1, :4], atol=1e-5)
    assert not network.next_loss(padded, keep).isnan()


def test_a_rollout_keeps_its_whole_context() -> None:
    """X18: after the first step it still depends on the beginning, and it is what writing gives."""
    network = built(Continuous(2, None, SMALL))
    x = numbers(1, 5, 2)
    written = network.write(x[:, :2], 3)
    expected = ((written - x[:, 2:]) ** 2).mean()
    assert torch.allclose(network.rollout_loss(x, 3), expected, atol=1e-5)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(network.rollout_loss(x, 3), x)
    assert bool((gradient[:, :2] != 0).all())
    one = network.write(x[:, :2], 1)
    for _ in range(2):
        one = torch.cat([one, network(torch.cat([x[:, :2], one], dim=1)).mean[:, -1:]], dim=1)
    assert torch.allclose(one, written, atol=1e-5)


def test_drawing_from_a_gaussian_has_its_mean_and_deviation() -> None:
    outlook = Outlook(torch.full((1, 20_000, 1), 2.0), torch.full((1, 20_000, 1), math.log(9.0)))
    drawn = outlook.draw(1.0, torch.Generator().manual_seed(0))
    assert abs(float(drawn.mean()) - 2.0) < 0.1 and abs(float(drawn.std()) - 3.0) < 0.1
    assert torch.equal(outlook.draw(0.0, None), outlook.mean)


def test_a_continuous_network_learns_a_wave_and_goes_on_with_it() -> None:
    torch.manual_seed(0)
    network = Continuous(1, None, Blocks(width=16, depth=1, mixer=Attention(heads=2))).build()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(70):
        phase = torch.rand(32, 1, 1, generator=generator) * 2 * math.pi
        loss = network.next_loss((torch.arange(16.0)[None, :, None] * 0.7 + phase).sin())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    wave = (torch.arange(16.0)[None, :, None] * 0.7).sin()
    assert float(F.mse_loss(network.write(wave[:, :10], 4), wave[:, 10:14])) < 0.05 < float(wave.var()) / 5


def test_what_cannot_be_continued_is_refused() -> None:
    network = Continuous(2, 3, SMALL).build()
    with pytest.raises(UserError, match="reads 2 numbers and says 3"):
        network.write(numbers(1, 2, 2), 1)
    with pytest.raises(UserError, match=r"must be \(b, n, 2\)"):
        network(numbers(1, 2, 3))
    with pytest.raises(UserError, match="from 1 to 2 here, got 3"):
        Continuous(2, None, SMALL).build().rollout_loss(numbers(1, 3, 2), 3)


def test_streams_step_as_they_read_and_see_nothing_later() -> None:
    network = built(MultiStream((("a", 5), ("b", 3)), SMALL))
    text = {n: torch.randint(0, v, (2, 6), generator=torch.Generator().manual_seed(v)) for n, v in (("a", 5), ("b", 3))}
    whole = network(text)
    with torch.no_grad():
        state = network.new_state(2, 6)
        parts = [network.step({n: t[:, a:b] for n, t in text.items()}, state) for a, b in ((0, 1), (1, 4), (4, 6))]
    for name in text:
        assert torch.allclose(torch.cat([part[name] for part in parts], dim=1), whole[name], atol=1e-5)
    changed = {**text, "b": torch.cat([text["b"][:, :4], (text["b"][:, 4:] + 1) % 3], dim=1)}
    for name in text:
        assert torch.equal(network(changed)[name][:, :4], whole[name][:, :4])
        assert not torch.equal(network(changed)[name][:, 4:], whole[name][:, 4:]), "one stream is deaf to the other"


def test_nats_of_streams_are_those_of_their_steps() -> None:
    network = built(MultiStream((("a", 5), ("b", 3)), SMALL))
    text = {n: torch.randint(0, v, (2, 6), generator=torch.Generator().manual_seed(v)) for n, v in (("a", 5), ("b", 3))}
    keep = torch.tensor([[1] * 6, [1] * 4 + [0] * 2]).bool()
    found = network.nats(text, keep)
    short = network.nats({n: t[1:, :4] for n, t in text.items()})
    first = network.nats({n: t[:1] for n, t in text.items()})
    for name in text:
        assert torch.allclose(found[name], (first[name] * 6 + short[name] * 4) / 10, atol=1e-5)
    with pytest.raises(UserError, match="streams"):
        network({"a": text["a"]})
    with pytest.raises(UserError, match="CAUSAL"):
        MultiStream((("a", 5),), SMALL).build(Visibility.FULL).nats({"a": text["a"]})
