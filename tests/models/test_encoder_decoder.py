"""What encoder-decoders and decoders promise beyond the laws: sources in batches, prefixes, verbs, refusals."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from laws import by_hand
from laws.cases import shaken
from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Context, Convolution, CrossAttention, Rotary
from semagram.models import Blocks, Classifier, Decoder, Encoder, EncoderDecoder, Perceiver, Vision
from semagram.models.embedding import LearnedPositions, SinusoidalPositions
from semagram.models.pooling import First, Mean
from semagram.objectives import weighted_nats
from semagram.objectives.paired import paired
from semagram.predictors import RankByRank, predictor_of
from semagram.predictors.contract import read_step_by_step
from semagram.verbs.compress import compress
from semagram.verbs.decompress import decompress
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling
from semagram.verbs.score import score

SMALL = Blocks(width=16, depth=2)
V = 6


def built(config: Any, *sizes: Any) -> Any:
    torch.manual_seed(0)
    return shaken(config.build(*sizes)).eval()


def ids(rows: int, count: int, most: int = V, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, most, (rows, count), generator=torch.Generator().manual_seed(seed))


def translator(**fields: Any) -> Any:
    return built(EncoderDecoder(Encoder(9, SMALL), Decoder(SMALL), **fields), V)


def test_sources_of_different_lengths_share_a_batch() -> None:
    network = translator()
    source, target = ids(2, 7, 9), ids(2, 5)
    keep = torch.tensor([[1] * 7, [1] * 4 + [0] * 3]).bool()
    whole = network(source, target, keep)
    assert torch.allclose(network(source[1:, :4], target[1:])[0], whole[1], atol=1e-5)
    assert not torch.allclose(network(source[1:], target[1:])[0], whole[1], atol=1e-3)


def test_logits_are_over_the_target_vocabulary_and_depend_on_the_source() -> None:
    network = translator()
    assert network(ids(2, 7, 9), ids(2, 5)).shape == (2, 5, V)
    assert not torch.equal(network(ids(2, 7, 9), ids(2, 5)), network(ids(2, 7, 9, seed=1), ids(2, 5)))


def test_the_example_of_a_pair_asks_for_every_token_and_for_no_padding() -> None:
    network = translator()
    source, target = ids(2, 4, 9), ids(2, 5)
    keep = torch.tensor([[1] * 5, [1, 1, 1, 0, 0]]).bool()
    dirty = target.masked_fill(~keep, -100)
    example = paired(dirty, V, keep)
    assert example.inputs[:, 0].tolist() == [V, V] and torch.equal(example.inputs[0, 1:], target[0, :-1])
    nats = weighted_nats(network(source, example.inputs, keep=keep), example)
    logits = network(source, paired(target, V).inputs)
    each = F.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    assert torch.allclose(nats, each[keep].mean(), atol=1e-5)


def test_the_three_verbs_on_a_target_given_its_source() -> None:
    """Generate, score and compress are those of any predictor, and they depend on the source."""
    network = translator()
    sources = ids(2, 7, 9)
    given = [predictor_of(network.given(sources[row : row + 1]), Sequence(12), RankByRank()) for row in range(2)]
    texts = [generate(p, [np.array([], dtype=np.int64)], 12, Sampling(), seed=3)[0] for p in given]
    assert not np.array_equal(*texts)
    data = compress(given[0], texts[0], "ab" * 32)
    assert np.array_equal(decompress(given[0], data, "ab" * 32), texts[0])
    costs = [score(p, texts[0]) for p in given]
    example = paired(torch.from_numpy(texts[0])[None], V)
    with torch.no_grad():
        nats = weighted_nats(network(sources[:1], example.inputs), example)
    assert costs[0].total_nats == pytest.approx(float(nats) * 12, abs=1e-3)
    assert abs(costs[1].total_nats - costs[0].total_nats) > 0.1
    assert abs(8 * len(data) - costs[0].total_nats / np.log(2)) < 8 * 200  # the header


def test_rows_of_one_batch_have_their_own_sources() -> None:
    network = translator()
    sources = ids(3, 7, 9)
    keep = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [0] * 7]).bool()
    together = predictor_of(network.given(sources, keep), Sequence(6), RankByRank()).open(Sequence(6), 3)
    text = ids(3, 6)
    stepped = read_step_by_step(together, text)
    for row in range(3):
        alone = predictor_of(network.given(sources[row : row + 1], keep[row : row + 1]), Sequence(6), RankByRank())
        assert torch.allclose(alone.open(Sequence(6), 1).read(text[row : row + 1])[0], stepped[row], atol=1e-5)
    with pytest.raises(UserError, match="3 rows serves as many, not 2"):
        predictor_of(network.given(sources), Sequence(6), RankByRank()).open(Sequence(6), 2)


def test_the_source_is_read_once_however_much_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    network = translator()
    calls = []
    sound = type(network.encoder).forward
    monkeypatch.setattr(type(network.encoder), "forward", lambda self, *a, **k: calls.append(1) or sound(self, *a, **k))
    predictor = predictor_of(network.given(ids(1, 7, 9)), Sequence(8), RankByRank())
    generate(predictor, [np.array([1])], 7)
    assert len(calls) == 1


def test_a_shared_table_is_one_parameter_and_a_copy_has_its_own() -> None:
    """X7: a copy of the network looks up its own embedding."""
    import copy

    network = built(EncoderDecoder(Encoder(V, SMALL), Decoder(SMALL, tied=True), shared=True), V)
    names = [name for name, p in network.named_parameters() if "embedding.weight" in name or "head" in name]
    assert names == ["encoder.embedding.weight"]
    source, target = ids(2, 4), ids(2, 5)
    kept, twin = network(source, target), copy.deepcopy(network)
    torch.nn.init.zeros_(network.encoder.embedding.weight)
    assert torch.equal(twin(source, target), kept) and not torch.equal(network(source, target), kept)


def test_a_prefix_is_seen_and_its_padding_is_not() -> None:
    network = built(Decoder(SMALL, cross=None), V)
    text, before = ids(2, 5), torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))
    keep = torch.tensor([[1, 1, 1], [0, 1, 1]]).bool()
    said = network(text, prefix=Context(before, keep))
    assert not torch.allclose(said, network(text), atol=1e-3)
    other = torch.where(keep[:, :, None], before, -before)
    assert torch.equal(network(text, prefix=Context(other, keep)), said)
    short = network(text[1:], prefix=Context(before[1:, 1:]))
    assert torch.allclose(short[0], said[1], atol=1e-5)
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert torch.allclose(network(text, prefix=Context(before, none)), network(text), atol=1e-5)
    nothing = network(text, prefix=Context(before[:, :0]))
    assert torch.allclose(nothing, network(text), atol=1e-6)


def test_a_decoder_with_prefix_and_context_steps_as_it_reads() -> None:
    cross = CrossAttention(positions=Rotary())
    for positions in (None, LearnedPositions(16), SinusoidalPositions()):
        network = built(Decoder(SMALL, cross, positions=positions), V, 5)
        text, before = ids(2, 6), torch.randn(2, 3, 16)
        source = torch.randn(2, 4, 5)
        context = Context(source, None, torch.arange(4)[:, None])
        line = Geometry.line(6, Visibility.CAUSAL)
        whole = network(text, line, context, Context(before))
        for chunks in ([6], [1] * 6, [2, 1, 3]):
            with torch.no_grad():
                state = network.new_state(2, line, context, Context(before))
                parts = [network.step(part, state) for part in text.split(chunks, dim=1)]
            assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5), (positions, chunks)
            assert state.length == 6
        assert not torch.allclose(network(text, line, Context(source, None, torch.arange(4)[:, None] + 3)), whole[:, :])


def test_rotary_cross_attention_aligns_what_stands_at_the_same_place() -> None:
    """Source and target on one page: moving both changes nothing, moving one does."""
    network = built(Decoder(Blocks(width=16, depth=1), CrossAttention(positions=Rotary(50.0))), V, 16)
    page = Geometry.of(Grid(2, 3).positions(), Visibility.CAUSAL)
    moved = Geometry(page.coords + 7, page.order, Visibility.CAUSAL)
    text, source = ids(2, 6), torch.randn(2, 6, 16)
    said = network(text, page, Context(source, None, page.coords))
    assert torch.allclose(network(text, moved, Context(source, None, moved.coords)), said, atol=1e-5)
    assert not torch.allclose(network(text, moved, Context(source, None, page.coords)), said, atol=1e-3)


def test_self_attention_options_do_not_reach_the_cross_attention() -> None:
    """X16: whatever the mixer, every slot looks at the whole source."""
    for mixer in (Convolution(kernel=1), Attention(heads=1, sharpness=None)):
        network = built(EncoderDecoder(Encoder(9, SMALL), Decoder(Blocks(width=16, depth=1, mixer=mixer))), V)
        source, target = ids(1, 7, 9), ids(1, 5)
        said = network(source, target)
        for at in range(7):
            other = source.clone()
            other[0, at] = (other[0, at] + 1) % 9
            assert bool((network(other, target) != said).any(-1).all()), f"source cell {at} is not seen by every slot"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: EncoderDecoder(decoder=Decoder(cross=None)), "must look at the source"),
        (lambda: EncoderDecoder(Vision(), shared=True), "a Vision reads none"),
        (lambda: EncoderDecoder(Encoder(5, SMALL), Decoder(), shared=True), "equal widths, got 16 and 128"),
        (lambda: EncoderDecoder(Encoder(5, SMALL), Decoder(SMALL), shared=True).build(6), "got 5 and 6"),
        (lambda: Decoder(SMALL, CrossAttention(context_width=3)).build(5, 16), "is 3, but the context has 16"),
        (lambda: Decoder(SMALL).build(5)(ids(1, 2)), "looks at a context, and none was given"),
        (
            lambda: Decoder(SMALL, cross=None).build(5)(ids(1, 2), context=Context(torch.zeros(1, 2, 16))),
            "has no cross-attention",
        ),
        (lambda: Decoder(SMALL, None).build(5)(ids(1, 2), prefix=Context(torch.zeros(1, 2, 3))), r"\(1, p, 16\)"),
        (
            lambda: Decoder(SMALL, None, positions=LearnedPositions(9)).build(5)(
                ids(1, 4), Geometry.of(Grid(2, 2).positions(), Visibility.CAUSAL)
            ),
            "2 axes",
        ),
        (lambda: Classifier(Encoder(5, SMALL), 3, First()), "need each other"),
        (lambda: Classifier(Encoder(5, SMALL, class_token=True), 3, Mean()), "need each other"),
        (lambda: translator()(ids(1, 3, 9), ids(1, 2), torch.ones(1, 3)), "must be bool"),
        (lambda: Perceiver(blocks=SMALL), "one width, got 128 and 16"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        make()


def test_an_unknown_option_is_an_error() -> None:
    """X20: nothing is swallowed, in Python or from JSON."""
    from semagram.config import from_json

    with pytest.raises(TypeError, match="enc_num_memory_tokens"):
        EncoderDecoder(enc_num_memory_tokens=0)  # type: ignore[call-arg]
    with pytest.raises(UserError, match=r"no field 'shard'.*Did you mean .shared."):
        from_json(EncoderDecoder, {"shard": True})


def test_a_state_holds_no_padding() -> None:
    network = built(Decoder(SMALL, cross=None), V)
    prefix = Context(torch.zeros(1, 2, 16), torch.tensor([[False, True]]))
    with pytest.raises(ValueError, match="holds no padding"):
        network.new_state(1, Geometry.line(4, Visibility.CAUSAL), prefix=prefix)


def test_a_perceiver_tells_places_apart_and_its_size_is_its_latents() -> None:
    network = built(by_hand.legal_by_hand.BASELINES[Perceiver]())
    source = torch.tensor([[0, 1, 2, 3, 4, 0], [4, 3, 2, 1, 0, 0]])
    features = network(source).features
    assert features.shape == (2, 3, 16) and not torch.allclose(features[0], features[1], atol=1e-3)
    assert network(source.repeat(1, 5)).features.shape == (2, 3, 16)
