"""Packed documents: each is answered as if it stood alone, in a pass and in steps; what cannot do so is refused."""

from __future__ import annotations

import pytest
import torch

from laws.cases import shaken
from laws.stepping import close
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.documents import numbered, pairs_of
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution, LatentAttention, Parallel, Segments, StateSpace, TokenShift, Window
from semagram.models import Transformer
from semagram.models.embedding import Embedding
from semagram.models.layers import Layers

CAUSAL = Visibility.CAUSAL
MIXERS = [Attention(), Attention(reach=Window(3), key_value_heads=2), LatentAttention(), Parallel(beside=TokenShift())]


def test_a_document_begins_with_the_slot_that_is_shown_the_separator() -> None:
    ids = torch.tensor([[3, 0, 5, 5, 0, 0, 2]])
    assert numbered(ids, 0).tolist() == [[0, 0, 1, 1, 1, 2, 3]]
    assert pairs_of(torch.tensor([[0, 0, 1]]))[0].tolist() == [[True, True, False]] * 2 + [[False, False, True]]


@pytest.mark.parametrize(("mixer", "registers"), [*((m, 0) for m in MIXERS), (MIXERS[0], 2)])
def test_a_packed_document_is_answered_as_if_alone(mixer: object, registers: int) -> None:
    """The token shift among it: it must not carry the end of one document into the next."""
    torch.manual_seed(0)
    config = Transformer(16, 2, mixer=mixer, embedding=Embedding(registers=registers))  # type: ignore[arg-type]
    network = shaken(config.build(7, Sequence(11), CAUSAL)).eval()
    ids = torch.randint(0, 7, (2, 11))
    documents = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2], [0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]])
    line = Geometry.line(11, CAUSAL)
    told = Geometry(line.coords, line.order, CAUSAL, pairs=pairs_of(documents))
    with torch.no_grad():
        packed = network(ids, told)
        for row in range(2):
            for number in range(3):
                at = (documents[row] == number).nonzero()[:, 0]
                alone = network(ids[row : row + 1, at], Geometry.line(len(at), CAUSAL))
                if registers == 0:  # registers stand before the row: nearer to its first document
                    assert close(packed[row, at], alone[0], 1e-5)
        other = ids.clone()
        other[0, :5] = (other[0, :5] + 1) % 7
        assert torch.equal(network(other, told)[0, 5:], packed[0, 5:])
        state, stepped = network.new_state(2, told), []
        for start, stop in ((0, 4), (4, 5), (5, 6), (6, 11)):
            stepped.append(network.step(ids[:, start:stop], state))
    assert close(torch.cat(stepped, dim=1), packed, 1e-5)


@pytest.mark.parametrize(
    "mixer", [Convolution(), Segments(), StateSpace(heads=2), Parallel()], ids=lambda m: str(m)[:9]
)
def test_what_cannot_keep_to_it_is_refused(mixer: object) -> None:
    line = Geometry.line(5, CAUSAL)
    for told in ({"pairs": torch.eye(5).bool()}, {"prefix": 2}):
        geometry = Geometry(line.coords, line.order, CAUSAL, **told)  # type: ignore[arg-type]
        for config in (Transformer(16, 1, mixer=mixer), Transformer(16, 2, layers=Layers(alternate=(mixer,)))):  # type: ignore[arg-type]
            network = config.build(7, Sequence(5), CAUSAL)
            with pytest.raises(UserError, match=f"mixer {type(mixer).__name__} does not heed"):
                network(torch.zeros(1, 5, dtype=torch.long), geometry)


def test_registers_keep_a_prefix() -> None:
    """They once lost it without a word."""
    torch.manual_seed(0)
    config = Transformer(16, 2, embedding=Embedding(registers=2))
    network = shaken(config.build(7, Sequence(6), CAUSAL)).eval()
    line, ids = Geometry.line(6, CAUSAL), torch.randint(0, 7, (1, 6))
    told = Geometry(line.coords, line.order, CAUSAL, prefix=3)
    other = ids.clone()
    other[0, 2] = (ids[0, 2] + 1) % 7
    with torch.no_grad():
        assert not torch.equal(network(ids, told)[0, 0], network(other, told)[0, 0])
        assert torch.equal(network(ids, told)[0, 0], network(torch.cat([ids[:, :3], other[:, :3]], 1), told)[0, 0])
