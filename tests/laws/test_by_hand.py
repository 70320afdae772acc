"""The laws on models that are built by hand: no peeking, stepping, padding, options, learning, keeping, JSON."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from laws import by_hand, company, distribution, keeping, learning, no_peeking, stepping, walk
from laws.by_hand import SourceCase, asked, built, configs, encoding_of, fresh, kinds
from semagram.config import from_json, members, to_json
from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts import Grid, Sequence
from semagram.models import ByHand, EncoderDecoder, Encoding

CHANGES = [(kind, change) for kind in kinds() for change in walk.changes(kind)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_parameter_gets_a_gradient(kind: type, count) -> None:
    for config in walk.variants(kind):
        network = built(config).train()
        torch.manual_seed(1)
        said = asked(config, network)
        asked_for = sum(take_auxiliary_losses(network).values(), torch.zeros(()))  # what routers learn from
        (asked_for + (said * torch.randn(said.shape, generator=torch.Generator().manual_seed(2))).sum()).backward()
        for name, parameter in network.named_parameters():
            moved = parameter.grad is not None and bool((parameter.grad != 0).any())
            assert moved, f"{name} learns nothing in {config}"
        count("variants of models by hand in which every parameter learns")


@pytest.mark.parametrize(("kind", "change"), CHANGES, ids=[f"{c.path}={c.value}"[:60] for _, c in CHANGES])
def test_every_option_acts(kind: type, change: walk.Change, count) -> None:
    one, two = built(walk.baseline(kind)), built(change.config)
    shapes = [{n: p.shape for n, p in net.named_parameters()} for net in (one, two)]
    if shapes[0] != shapes[1] or shape_of(kind, change) is None:
        return
    two.load_state_dict(one.state_dict())
    for training in (False, True):
        told = []
        for config, network in ((walk.baseline(kind), one), (change.config, two)):
            torch.manual_seed(3)
            told.append(asked(config, network.train(training)))
        if told[0].shape != told[1].shape or not torch.equal(*told):
            count("fields of models by hand changed, each of which must do something")
            return
    starts = []
    for config in (walk.baseline(kind), change.config):
        torch.manual_seed(0)
        starts.append(list(fresh(config).parameters()))
    assert any(not torch.equal(a, b) for a, b in zip(*starts, strict=True)), (
        f"{change.path}={change.value} does nothing"
    )


def shape_of(kind: type, change: walk.Change) -> Any:
    """None where the sources of the two configs have different shapes, so that the size of the source is the change."""
    a, b = (encoding_of(c) for c in (walk.baseline(kind), change.config))
    if a is None or b is None:
        return True
    return True if by_hand.source_of(a).shape == by_hand.source_of(b).shape else None


@pytest.mark.parametrize(
    "kind",
    [k for k in kinds() if k in members(Encoding) or "encoder" in k.__dataclass_fields__],
    ids=lambda k: k.__name__,
)
def test_padding_of_a_source_does_not_move_a_bit(kind: type, count) -> None:
    for config in walk.variants(kind):
        by_hand.source_padding(config, built(config))
        count("variants of models by hand that are deaf to their source's padding")


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_saved_copied_and_alone(kind: type, tmp_path: Path, count) -> None:
    """Saved and loaded equals kept; a copy is independent (X7); a row alone says what it says in company."""
    from safetensors.torch import load_file, save_file

    for config in walk.variants(kind):
        network = built(config)
        kept = asked(config, network).detach()
        save_file(network.state_dict(), tmp_path / "w.safetensors")
        other = built(config, seed=1)
        other.load_state_dict(load_file(tmp_path / "w.safetensors"))
        assert torch.equal(asked(config, other), kept), config
        twin = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(float("nan"))
        assert torch.equal(asked(config, twin), kept), config
        if encoding_of(config) is not None:
            source = by_hand.source_of(encoding_of(config))
            told = asked(config, twin, source[:1])
            assert torch.allclose(told, asked(config, twin, source)[:1], atol=1e-5), config
        count("models by hand saved, loaded and copied")


@pytest.mark.parametrize("layout", [Sequence(5), Grid(2, 3, "snake"), Sequence(1)], ids=str)
@pytest.mark.parametrize("index", range(len(walk.variants(EncoderDecoder))))
def test_an_encoder_decoder_given_its_source_keeps_the_laws_of_networks(index: int, layout: Any, count) -> None:
    case = SourceCase(walk.variants(EncoderDecoder)[index], layout)
    network = case.network()
    no_peeking.check(network, case)
    stepping.check(network, case)
    company.check(network, case)
    with torch.no_grad():
        distribution.check(torch.log_softmax(network(case.inputs(), case.geometry()), dim=-1), case.vocabulary)
    count("encoder-decoders under laws 1 to 4")


def test_random_text_cannot_be_learnt_from_a_source_that_does_not_know_it() -> None:
    torch.manual_seed(0)
    case = SourceCase(walk.baseline(EncoderDecoder), Sequence(8))
    learning.random_text(case.fresh(), case)


def test_an_encoder_decoder_compiles_in_one_graph() -> None:
    case = SourceCase(walk.baseline(EncoderDecoder), Sequence(5))
    keeping.check_compiled(case.network(), case)


@pytest.mark.parametrize("union", [Encoding, ByHand], ids=["encoders", "models"])
def test_every_variant_goes_to_json_and_back(union: Any, count) -> None:
    for config in walk.of_union(union):
        assert from_json(union, to_json(config)) == config
        count("variants through JSON and back")


@pytest.mark.parametrize(
    ("kind", "given", "reason"), by_hand.REFUSED, ids=[f"{k.__name__} {g}"[:60] for k, g, _ in by_hand.REFUSED]
)
def test_what_cannot_be_is_refused_with_its_reason(kind: type, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        kind(**given)


def test_there_is_something_to_walk() -> None:
    assert len(configs()) > 80
