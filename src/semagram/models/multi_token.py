"""Multi-token prediction: further heads on one trunk that predict the tokens after the next.

Head 0 is the transformer's own and gives the distribution: score, file size and samples are its alone. Head j (1 ..
``ahead``) predicts, from the same slot, the token j places after the one that is asked:
``logits_j = head(h + W_j silu(h))``, a residual map each and the trunk's own head (Gloeckle et al. 2024, arXiv
2404.19737; the form of the heads is Medusa's, 2401.10774). In training their mean cross-entropy times ``weight`` is an
auxiliary loss, ``multi_token``. Their targets are the inputs further right, so the very last token of a canvas is
no target of theirs. Afterwards they draft for their own trunk: ``verbs.drafts.HeadsDraft`` (self-speculation).
Tested against the formula written out, and head 0 against the bare transformer, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried, take_auxiliary_losses
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models.demands import refuse_conditioned
from semagram.models.transformer import Transformer, TransformerNetwork


@dataclass(frozen=True)
class MultiToken:
    """A causal transformer that also learns to predict some tokens after the next."""

    network: Transformer = field(default_factory=Transformer)
    """The transformer whose first head is scored."""
    ahead: int = 3
    """Further tokens, each with a head of its own."""
    weight: float = 0.3
    """Of their mean loss beside the first head's."""

    def __post_init__(self) -> None:
        refuse_conditioned(self)
        if self.ahead < 1:
            raise UserError(f"model.ahead must be at least 1, got {self.ahead}.")
        if not 0.0 < self.weight <= 100.0:
            raise UserError(f"model.weight must be above 0 and at most 100, got {self.weight}.")

    def visibilities(self) -> frozenset[Visibility]:
        """CAUSAL, if the transformer can: "the tokens after the next" need an order."""
        return self.network.visibilities() & {Visibility.CAUSAL}

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> MultiTokenNetwork:
        """The network; raises ``UserError`` unless CAUSAL."""
        if visibility not in self.visibilities():
            mixer = type(self.network.mixer).__name__
            raise UserError(f"a MultiToken with mixer {mixer} cannot be {visibility.name}.")
        return MultiTokenNetwork(self, self.network.build(vocabulary_size, layout, visibility))


class MultiTokenState:
    """The trunk's state, and what the heads read of the last slot, ``(b, d)`` (None before the first)."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.hidden: Tensor | None = None

    @property
    def length(self) -> int:
        """Slots read."""
        return self.inner.length


class MultiTokenNetwork(nn.Module):
    """See ``MultiToken``; a ``Network``."""

    def __init__(self, config: MultiToken, trunk: TransformerNetwork) -> None:
        super().__init__()
        self.vocabulary_size = trunk.vocabulary_size
        self.visibility = trunk.visibility
        self.weight = config.weight
        self.trunk = trunk
        width = config.network.width
        self.further = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(config.ahead))
        for each in self.further:
            nn.init.zeros_(each.weight)  # type: ignore[arg-type]
        self.carried = Carried()

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``, of head 0; in training the other heads' loss is carried."""
        hidden = self.trunk.hidden(inputs, geometry)
        if self.training:
            self.carried.put("multi_token", self.weight * self._loss(hidden, inputs, geometry))
        return self.trunk.logits(hidden)

    def further_logits(self, hidden: Tensor) -> list[Tensor]:
        """Of heads 1 .. ahead, each ``(..., d) -> (..., v)``."""
        return [self.trunk.logits(hidden + each(F.silu(hidden))) for each in self.further]

    def new_state(self, batch: int, geometry: Geometry) -> MultiTokenState:
        """Nothing read yet."""
        return MultiTokenState(self.trunk.new_state(batch, geometry))

    def step(self, inputs: Tensor, state: MultiTokenState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        hidden = self.trunk.step_hidden(inputs, state.inner)
        state.hidden = hidden[:, -1]
        return self.trunk.logits(hidden)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract of models."""
        return take_auxiliary_losses(self)

    def _loss(self, hidden: Tensor, inputs: Tensor, geometry: Geometry) -> Tensor:
        """Mean over heads of their mean nats; what slot i is asked stands in the input of slot i + 1."""
        total, heads = hidden.sum() * 0.0, 0
        for j, each in enumerate(self.further, start=1):
            targets = inputs[:, 1 + j :]
            if targets.shape[1] == 0:
                continue
            read = hidden[:, : targets.shape[1]]
            logits = self.trunk.logits(read + each(F.silu(read)))
            nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
            if geometry.keep is None:
                total = total + nats.mean()
            else:
                kept = geometry.keep[:, : targets.shape[1]] & geometry.keep[:, 1 + j :]
                total = total + (nats * kept).sum() / kept.sum().clamp(min=1)
            heads += 1
        return total / max(heads, 1)
