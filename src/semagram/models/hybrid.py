"""The hybrid: a small transformer that decides, cell by cell, how far to believe n-gram models of several orders.

    log p(w) = log softmax( z(w) + sum_k g_k log p_k(w) ),     g = gates(h),     k over the experts

z are the transformer's own logits and h what its head reads; the gates are one linear map of h that begins as "believe
``main_order`` fully, the others not at all", so that training starts from the n-gram's figure and can only learn
what it lacks. The main order's row is also added to the embedding (through a linear map): the network sees what the
n-gram expects before it says anything itself. A log-linear mixture with a learnt, input-dependent weight, as in
products of experts (Hinton 2002) and the gated cache of pointer models (Merity et al. 2016, arXiv 1609.07843).

The rows p_k come from outside (``semagram.predictors.experts``): cross-fitted in training, of the whole training
text afterwards. Without rows the network answers alone. Tested against the formula written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models.demands import refuse_conditioned
from semagram.models.transformer import Transformer, TransformerNetwork, TransformerState

_SHIFT, _SCALE, _SPREAD = 6.0, 0.12, 3.3
"""What the network sees of a row: ((row + 6) * 0.12) @ W, W's entries of deviation 3.3 / sqrt(v). A small input and
large weights: under Adam that learns a third as fast as the embeddings do, which is best here."""
_GATE = 0.5
"""Gates are this times what their map gives, so that they learn half as fast as the head."""


@dataclass(frozen=True)
class Hybrid:
    """A transformer beside fitted n-gram models, one of each order; it gates and reads them."""

    network: Transformer = field(default_factory=Transformer)
    """The transformer; a small one is enough."""
    orders: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    """Tokens that each n-gram model sees, ascending."""
    main_order: int = 6
    """The one of them that is believed at the beginning and shown to the network."""
    matches: tuple[int, ...] = ()
    """Tokens of context of long matches looked up in the training text, ascending, say 7 9 12 16 22: upon the main
    order's row they make the suffix model's, which is then believed and shown in its place. None: n-grams alone."""
    folds: int = 10
    """Blocks of the training text; the rows of each are from the counts of the others."""

    def __post_init__(self) -> None:
        refuse_conditioned(self)
        if not self.orders or self.orders[0] < 0 or list(self.orders) != sorted(set(self.orders)):
            raise UserError(f"model.orders must be whole numbers of at least 0, ascending; got {self.orders}.")
        if self.main_order not in self.orders:
            raise UserError(f"model.main_order must be one of model.orders {self.orders}, got {self.main_order}.")
        if any(length < 1 for length in self.matches) or list(self.matches) != sorted(set(self.matches)):
            raise UserError(f"model.matches must be ascending numbers from 1 up, got {self.matches}.")
        if self.folds < 2:
            raise UserError(f"model.folds must be at least 2, got {self.folds}.")

    @property
    def experts(self) -> int:
        """K: rows that the network is given at every cell."""
        return len(self.orders) + bool(self.matches)

    def visibilities(self) -> frozenset[Visibility]:
        """CAUSAL, if the transformer can: n-grams read from left to right."""
        return self.network.visibilities() & {Visibility.CAUSAL}

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> HybridNetwork:
        """The network; raises ``UserError`` unless CAUSAL."""
        if visibility not in self.visibilities():
            raise UserError(f"a Hybrid with mixer {type(self.network.mixer).__name__} cannot be {visibility.name}.")
        return HybridNetwork(self, self.network.build(vocabulary_size, layout, visibility))


class HybridNetwork(nn.Module):
    """See ``Hybrid``; a ``Network`` that also takes rows ``prior (b, n, K, v)``: log-probabilities, an order each."""

    def __init__(self, config: Hybrid, trunk: TransformerNetwork) -> None:
        super().__init__()
        self.vocabulary_size = trunk.vocabulary_size
        self.visibility = trunk.visibility
        self.main = len(config.orders) if config.matches else config.orders.index(config.main_order)
        self.trunk = trunk
        width = config.network.width
        # Their names tell the optimiser what they are: a part of the head, and an embedding (of a row of numbers).
        self.head_gates = nn.Linear(width, config.experts)
        self.embedding_of_row = nn.Linear(trunk.vocabulary_size, width, bias=False)
        nn.init.zeros_(self.head_gates.weight)
        nn.init.zeros_(self.head_gates.bias)
        with torch.no_grad():
            self.head_gates.bias[self.main] = 1.0 / _GATE
        nn.init.normal_(self.embedding_of_row.weight, std=_SPREAD * trunk.vocabulary_size**-0.5)

    def forward(self, inputs: Tensor, geometry: Geometry, prior: Tensor | None = None) -> Tensor:
        """``(b, n) -> (b, n, v)``. ``prior``: the n-grams' rows, ``(b, n, K, v)``; none: the network alone."""
        if prior is None:
            return self.trunk(inputs, geometry)
        return self._mixed(self.trunk.hidden(inputs, geometry, self._seen(prior)), prior)

    def new_state(self, batch: int, geometry: Geometry) -> TransformerState:
        """The transformer's; raises ``ValueError`` as it does."""
        return self.trunk.new_state(batch, geometry)

    def step(self, inputs: Tensor, state: TransformerState, prior: Tensor | None = None) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``; ``prior`` ``(b, g, K, v)``."""
        if prior is None:
            return self.trunk.step(inputs, state)
        return self._mixed(self.trunk.step_hidden(inputs, state, self._seen(prior)), prior)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """The transformer's."""
        return self.trunk.auxiliary_losses()

    def _seen(self, prior: Tensor) -> Tensor:
        """The main order's row as an embedding: ``(b, n, K, v) -> (b, n, d)``."""
        return self.embedding_of_row((prior[:, :, self.main] + _SHIFT) * _SCALE)

    def _mixed(self, hidden: Tensor, prior: Tensor) -> Tensor:
        """Own logits and gated rows: ``(b, n, d)``, ``(b, n, K, v) -> (b, n, v)``."""
        gates = self.head_gates(hidden) * _GATE
        return self.trunk.logits(hidden) + (gates[..., None, :] @ prior).squeeze(-2)
