"""Several token streams in and out: at each step a token of every stream (letter and tag, pitch and duration, ...).

    x_i = norm(sum_s E_s[token_s,i]),   logits_s = H_s stack(x) + 0

A step's tokens are predicted together, independent of each other given the steps before, so the sum of the streams'
losses is an exact negative log-likelihood of all of them. (Streams that should see each other within a step stand one
after the other: layout ``Streams``.) The reserved id of a stream of v_s ids is v_s. Tested against x-transformers'
``MultiInputTransformerWrapper``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.models.demands import checked_keep, conditioned
from semagram.models.stack import Blocks, StackState


@dataclass(frozen=True)
class MultiStream:
    """A token of every stream at each step."""

    streams: tuple[tuple[str, int], ...] = (("main", 256), ("tag", 16))
    """Name and vocabulary of each stream."""
    blocks: Blocks = field(default_factory=Blocks)
    """Width, depth and what the blocks are made of."""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.streams]
        if not names or len(set(names)) != len(names) or any(size < 1 for _, size in self.streams):
            raise UserError(f"streams need names, each once, and vocabularies of at least 1; got {self.streams}.")
        if (part := conditioned(self.blocks)) is not None:
            raise UserError(f"a MultiStream is given no condition, and {part} needs one; use it in a Transformer.")
        if any(not name.isidentifier() for name in names):
            raise UserError(f"a stream's name must be a word of letters, digits and _, got {names}.")

    def visibilities(self) -> frozenset[Visibility]:
        """Those of its blocks."""
        return self.blocks.visibilities()

    def build(self, visibility: Visibility = Visibility.CAUSAL) -> MultiStreamNetwork:
        """The network; raises ``UserError`` when its blocks cannot keep to the visibility."""
        if visibility not in self.visibilities():
            raise UserError(f"a MultiStream with mixer {type(self.blocks.mixer).__name__} cannot be {visibility.name}.")
        return MultiStreamNetwork(self, visibility)


class MultiStreamNetwork(nn.Module):
    """See ``MultiStream``; inputs and outputs are dicts by stream."""

    def __init__(self, config: MultiStream, visibility: Visibility) -> None:
        super().__init__()
        self.vocabularies = dict(config.streams)
        self.visibility = visibility
        width = config.blocks.width
        self.embedding = nn.ModuleDict({name: nn.Embedding(size + 1, width) for name, size in config.streams})
        self.embedding_norm = config.blocks.norm.build(width)
        self.dropout = nn.Dropout(config.blocks.dropout)
        self.stack = config.blocks.build()
        self.head = nn.ModuleDict({name: nn.Linear(width, size, bias=False) for name, size in config.streams})
        for head in self.head.values():
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(self, inputs: Mapping[str, Tensor], keep: Tensor | None = None) -> dict[str, Tensor]:
        """Ids ``(b, n)`` of every stream, of which ``keep (b, n)`` counts -> logits ``(b, n, v_s)`` of every stream."""
        x = self._embedded(inputs)
        geometry = Geometry.line(x.shape[1], self.visibility, checked_keep(keep, *x.shape[:2]), like=x)
        return self._logits(self.stack(self.dropout(x), geometry))

    def nats(self, targets: Mapping[str, Tensor], keep: Tensor | None = None) -> dict[str, Tensor]:
        """Mean nats a step of each stream, each step from those before it; their sum is the NLL. CAUSAL only."""
        if self.visibility is not Visibility.CAUSAL:
            raise UserError(f"nats are of a CAUSAL network; this one is {self.visibility.name}.")
        logits = self({name: self._shifted(name, ids) for name, ids in targets.items()}, keep)
        counted = torch.ones_like(next(iter(targets.values()))) if keep is None else keep
        found = {}
        for name, ids in targets.items():
            clean = ids if keep is None else ids.masked_fill(~keep, 0)
            each = F.cross_entropy(logits[name].flatten(0, 1), clean.flatten(), reduction="none")
            found[name] = (each * counted.flatten()).sum() / counted.sum()
        return found

    def new_state(self, batch: int, capacity: int) -> StackState:
        """Room for ``capacity`` steps a row; raises ``ValueError`` unless CAUSAL."""
        return self.stack.new_state(batch, Geometry.line(capacity, self.visibility, like=next(self.parameters())))

    def step(self, inputs: Mapping[str, Tensor], state: StackState) -> dict[str, Tensor]:
        """The coming ``g`` steps of every stream."""
        return self._logits(self.stack.step(self._embedded(inputs), state))

    def _shifted(self, name: str, ids: Tensor) -> Tensor:
        first = torch.full_like(ids[:, :1], self.vocabularies[name])
        return torch.cat([first, ids[:, :-1]], dim=1)

    def _embedded(self, inputs: Mapping[str, Tensor]) -> Tensor:
        if set(inputs) != set(self.vocabularies):
            raise UserError(f"inputs must have the streams {list(self.vocabularies)}, got {list(inputs)}.")
        total: Tensor | None = None
        for name, table in self.embedding.items():  # in the order of the config, whatever that of the inputs
            part = table(inputs[name])
            total = part if total is None else total + part
        assert total is not None
        return self.embedding_norm(total)

    def _logits(self, hidden: Tensor) -> dict[str, Tensor]:
        return {name: head(hidden) for name, head in self.head.items()}
