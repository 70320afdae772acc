"""A hybrid network with its n-gram models: together a plain causal network, and so a plain causal predictor.

``Informed`` gives the network the rows of fitted ``Experts`` that belong to its inputs. It answers the ``Network``
contract (the n-grams' contexts are part of its state), so that whatever reads, steps, scores or codes with a causal
network does so with a hybrid too. The n-grams read from the beginning of the canvas, as the network does: at its first
cells they know what stands there and nothing more. Tested: stepping equals the parallel pass, rows do not know
their company.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from semagram.layouts import Layout
from semagram.layouts.geometry import Geometry
from semagram.models.hybrid import HybridNetwork
from semagram.models.transformer import TransformerState
from semagram.predictors.causal import CausalPredictor
from semagram.predictors.experts import Experts

_NUMBERS_AT_ONCE = 2**24
"""Log-probabilities of experts held at a time: 64 MB."""


@dataclass
class InformedState:
    """The network's state and the n-grams' contexts, ``(b, c)``."""

    inner: TransformerState
    contexts: np.ndarray

    @property
    def length(self) -> int:
        """Slots read."""
        return self.inner.length


class Informed(nn.Module):
    """A ``HybridNetwork`` that gets its rows by itself; a ``Network``."""

    def __init__(self, network: HybridNetwork, experts: Experts) -> None:
        """Both of one vocabulary; ``ValueError`` otherwise."""
        super().__init__()
        if experts.vocabulary_size != network.vocabulary_size:
            raise ValueError(
                f"the n-grams know {experts.vocabulary_size} ids, but the network {network.vocabulary_size}."
            )
        if experts.count != network.head_gates.out_features:
            raise ValueError(f"there are {experts.count} experts, but {network.head_gates.out_features} gates.")
        self.network = network
        self.experts = experts
        self.vocabulary_size = network.vocabulary_size
        self.visibility = network.visibility

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``; raises ``ValueError`` for padded canvases, whose rows would hold padding."""
        if geometry.keep is not None:
            raise ValueError("n-grams read whole lines; give each batch rows of one length, without padding.")
        rows, _ = self._rows(self.experts.empty_contexts(inputs.shape[0]), inputs)
        return self.network(inputs, geometry, rows)

    def new_state(self, batch: int, geometry: Geometry) -> InformedState:
        """Nothing read yet."""
        return InformedState(self.network.new_state(batch, geometry), self.experts.empty_contexts(batch))

    def step(self, inputs: Tensor, state: InformedState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``; many are read in pieces, to bound the rows' memory."""
        batch, count = inputs.shape
        most = max(1, _NUMBERS_AT_ONCE // (batch * self.experts.count * self.vocabulary_size))
        answers = []
        for begin in range(0, count, most):
            part = inputs[:, begin : begin + most]
            rows, state.contexts = self._rows(state.contexts, part)
            answers.append(self.network.step(part, state.inner, rows))
        return answers[0] if len(answers) == 1 else torch.cat(answers, dim=1)

    def _rows(self, contexts: np.ndarray, inputs: Tensor) -> tuple[Tensor, np.ndarray]:
        """Rows ``(b, g, K, v)`` after each of ``inputs (b, g)``, and the contexts after the last."""
        batch, count = inputs.shape
        after = self.experts.walk(contexts, inputs.cpu().numpy())
        rows = self.experts.rows(after.reshape(batch * count, -1))
        return torch.from_numpy(rows).unflatten(0, (batch, count)).to(inputs.device), after[:, -1]


def hybrid_predictor(network: HybridNetwork, experts: Experts, layout: Layout) -> CausalPredictor:
    """The predictor that writes canvases of up to ``layout`` from left to right."""
    return CausalPredictor(Informed(network, experts), layout)  # type: ignore[arg-type]
