"""The laws over axes of tags: every protocol, way to combine and trunk, from the text on.

The network under the laws is the whole of it: ids -> text -> tags -> logits (``predictors.labelled``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from laws import company, distribution, keeping, no_peeking, stepping
from laws.broken import Broken
from laws.cases import Case, shaken
from laws.planted.axes import FAULTS, SOUND, TEXT, TOKENIZER, Lying, predictor_of
from semagram.errors import UserError
from semagram.layouts import (
    Axis,
    Causal,
    Completed,
    Concat,
    Crossed,
    Given,
    Joint,
    Oracle,
    Streams,
    Sum,
    Target,
    Visibility,
)
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, SparseConvolution, StateSpace
from semagram.models import Hierarchical, Level, Transformer
from semagram.models.tagged import TaggedNetwork, network_of
from semagram.predictors.contract import read_step_by_step
from semagram.predictors.labelled import Labelled, labelled
from semagram.text import Characters
from semagram.text.interleaved import InterleavedTokenizer
from semagram.text.labels import CharacterClass, PartOfSpeech, PositionInWord
from semagram.training.tags import tag_sheet
from semagram.verbs.auditing.pipeline import text_reaches_no_earlier_answer
from semagram.verbs.auditing.report import Suspicion

LETTERS = Characters().train("a B.")  # letters, a space, a sign: words begin and end in random ids
WIDTH = 16
ORACLE = Oracle(allow_oracle=True)
CLASSES = Axis("kind", CharacterClass(), Causal(), role="both", dropout=0.3)
SHOWN = (Axis("pos", PositionInWord(), Completed(), delay=1), CLASSES)
TRUNKS = {
    "transformer": Transformer(width=WIDTH, depth=2, mixer=Attention(heads=2)),
    "mamba": Transformer(width=WIDTH, depth=1, mixer=StateSpace(heads=2, expand=1.0, state=4, kernel=3)),
    "sparse convolution": Transformer(width=WIDTH, depth=1, mixer=SparseConvolution(kernel=2, levels=2)),
    "hierarchical": Hierarchical(
        width=WIDTH, depth=2, levels=(Level(width=WIDTH), Level(factor=4, stride=2, width=WIDTH))
    ),
}
COMBINES = {"sum": Sum(), "concat": Concat(5), "crossed": Crossed(heads=2)}
PROTOCOLS = {
    "target": (Axis("pos", PositionInWord(), Target()),),
    "completed": (Axis("pos", PositionInWord(), Completed()),),
    "joint": (Axis("kind", CharacterClass(), Joint()), Axis("pos", PositionInWord(), Joint())),
    "joint, text first": (Axis("kind", CharacterClass(), Joint("text first")),),
    "joint, a word": (Axis("pos", PartOfSpeech(), Joint(every="word")),),
    "given": (Axis("kind", CharacterClass(), Given()),),
    "oracle": (Axis("kind", CharacterClass(), ORACLE, role="both"),),
}


@dataclass(frozen=True)
class Tagged(Case):
    """A case whose network is the pipeline from ids on."""

    tokenizer: Any = LETTERS

    def fresh(self) -> Any:
        network = network_of(self.model, self.vocabulary, self.layout, self.visibility)
        return labelled(network, self.layout, self.tokenizer)


def case(trunk: Any, axes: tuple[Axis, ...], combine: Any = None) -> Tagged:
    layout = Streams(6, tags=axes, combine=combine or Sum())
    tokenizer: Any = LETTERS
    if layout.written:
        protocol: Any = axes[0].protocol
        tokenizer = InterleavedTokenizer(
            LETTERS, tuple((a.name, a.labeller) for a in axes), protocol.order, protocol.every
        )
    return Tagged(trunk, layout, Visibility.CAUSAL, tokenizer.vocabulary_size, tokenizer)


PAIRED = [
    *(("transformer", how) for how in COMBINES),
    ("mamba", "sum"),
    ("mamba", "crossed"),
    ("sparse convolution", "sum"),
    ("sparse convolution", "crossed"),
    ("hierarchical", "sum"),
    ("hierarchical", "concat"),
]


def cases() -> dict[str, Tagged]:
    found = {f"{trunk}, {how}": case(TRUNKS[trunk], SHOWN, COMBINES[how]) for trunk, how in PAIRED}
    return {**found, **{name: case(TRUNKS["transformer"], axes) for name, axes in PROTOCOLS.items()}}


CASES = cases()


class ByOwnInput(torch.nn.Module):
    """A tagged network whose tags are a function of each slot's own input: for the law of padding."""

    def __init__(self, network: TaggedNetwork) -> None:
        super().__init__()
        self.network, self.visibility, self.vocabulary_size = network, network.visibility, network.vocabulary_size

    def tags(self, inputs: torch.Tensor) -> torch.Tensor:
        sizes = [*self.network.sizes, *(size for _, size, _ in self.network.asked)]
        return torch.stack([inputs * 7 % size for size in sizes], dim=-1) if sizes else inputs[..., None][..., :0]

    def forward(self, inputs: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        return self.network(inputs, geometry, self.tags(inputs))

    def new_state(self, batch: int, geometry: Geometry) -> Any:
        return self.network.new_state(batch, geometry)

    def step(self, inputs: torch.Tensor, state: Any) -> torch.Tensor:
        return self.network.step(inputs, state, self.tags(inputs))


@pytest.mark.parametrize("name", CASES)
def test_the_laws_hold_from_the_text_on(name: str, count) -> None:
    subject = CASES[name]
    network = subject.network()
    no_peeking.check(network, subject)
    stepping.check(network, subject)
    with torch.no_grad():
        log_probs = torch.log_softmax(network(subject.inputs(), subject.geometry()), dim=-1)
    distribution.check(log_probs, subject.vocabulary)
    plain = ByOwnInput(network.network)
    company.check(plain, subject)
    keeping.check_copied(plain, subject)
    count("protocols, combinations and trunks of axes")


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("given",)])
def test_every_parameter_learns(name: str) -> None:
    subject = CASES[name]
    torch.manual_seed(0)
    network = subject.fresh().network.train()
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.0)
    sizes = [*network.sizes, *(size for _, size, _ in network.asked)]
    for step in range(5):
        ids = subject.ids(step, batch=8)
        tags = torch.stack([torch.randint(0, s, ids.shape) for s in sizes], dim=-1) if sizes else None
        inputs = torch.cat([torch.full_like(ids[:, :1], subject.vocabulary), ids[:, :-1]], dim=1)
        logits = network(inputs, subject.geometry(), tags)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
        sum(network.auxiliary_losses().values(), loss).backward()
        optimiser.step()
        optimiser.zero_grad()
    still = [key for key, value in network.named_parameters() if torch.equal(value, before[key])]
    assert not still, f"{still} did not move"


@pytest.mark.parametrize("name", FAULTS)
def test_a_tag_that_knows_of_letters_to_come_is_caught(name: str, count) -> None:
    with pytest.raises(Suspicion, match="looks ahead"):
        text_reaches_no_earlier_answer(FAULTS[name](), TEXT, 40, places=39)
    count("planted faults between text and tags")


@pytest.mark.parametrize("name", SOUND)
def test_tags_of_what_is_past_are_not(name: str) -> None:
    assert "stay equal" in text_reaches_no_earlier_answer(SOUND[name](), TEXT, 40, places=39)


def test_a_labeller_that_peeks_is_refused_by_its_word_and_by_its_deeds() -> None:
    with pytest.raises(UserError, match="reads letters to come, so it cannot be Causal"):
        Axis("pos", PartOfSpeech(), Causal())
    layout = Streams(8, tags=(Axis("pos", Lying(PartOfSpeech()), Causal()),))
    with pytest.raises(UserError, match="change when what follows is cut off"):
        tag_sheet(layout, TOKENIZER.encode(TEXT).astype(np.uint8), TOKENIZER)
    with pytest.raises(UserError, match="allow_oracle=True"):
        Oracle()


def test_training_and_reading_show_the_same_tags() -> None:
    """The sheet of the training text, windows placed in it, stepping, rewinding, exchanging rows: one set of tags."""
    predictor = predictor_of(
        Axis("pos", PartOfSpeech(), Completed()), Axis("kind", CharacterClass(), Causal(), delay=2)
    )
    ids = TOKENIZER.encode(TEXT)
    sheet = tag_sheet(predictor.network.network.layout, ids.astype(np.uint8), TOKENIZER)
    assert sheet is not None
    seen: list[np.ndarray] = []
    network = predictor.network.network
    network.register_forward_pre_hook(lambda _, args: seen.append(args[2].numpy()) if len(args) > 2 else None)
    starts, n = np.array([17, 33]), 20
    placed = predictor.placed([ids[:17], ids[:33]], starts)
    rows = torch.from_numpy(np.stack([ids[s : s + n] for s in starts]))
    inputs = torch.cat([torch.full((2, 1), TOKENIZER.mask_id), rows[:, :-1]], dim=1)
    placed.network(inputs, Geometry.of(placed.canvas(n).positions(), Visibility.CAUSAL))
    assert np.array_equal(seen[0], sheet.rows(starts, n))
    layout = placed.canvas(n)
    whole = placed.open(layout, 2).read(rows)
    assert torch.allclose(read_step_by_step(placed.open(layout, 2), rows), whole, atol=1e-5)
    state = placed.open(layout, 2)
    mark = state.mark()
    state.read((rows[:, :7] + 1) % TOKENIZER.vocabulary_size)
    state.rewind(mark)
    read_step_by_step(state, rows[:, :9])
    state.select(torch.tensor([0, 0]))
    again = read_step_by_step(state, rows[:1, 9:].expand(2, -1))
    assert torch.allclose(again, whole[:1, 9:].expand(2, -1, -1), atol=1e-5)


def test_the_checker_of_this_file_can_fail() -> None:
    """A network whose tags are those of the slot's own target breaks the law on networks too."""
    subject = CASES["transformer, sum"]

    class Ahead(Labelled):
        def forward(self, inputs: torch.Tensor, geometry: Geometry) -> torch.Tensor:
            return super().forward(torch.cat([inputs[:, :1], inputs[:, 1:].roll(-1, dims=1)], dim=1), geometry)

    sound = shaken(subject.fresh()).eval()
    wrong = Ahead(sound.network, sound.pieces).eval()
    with pytest.raises(Broken):
        no_peeking.check(wrong, subject)
