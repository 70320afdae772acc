"""A centred network as a cellular automaton: every cell becomes what its neighbours say it should be, again and again.

One step asks for all cells at once, each given all others as they stand, and writes all of them (synchronous) or a
random share (asynchronous). With a share near 0 and temperature 1 this is Gibbs sampling of a pseudo-likelihood, a
Markov chain that settles; all cells at once is a stencil iteration that may also flicker between two pages.

It is no ``Predictor`` that scores: the probabilities of cells given all others do not multiply to the probability of a
text, so ``open`` refuses, with that reason. Tested against one window and one cell at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout, Sequence
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.models.contract import Network
from semagram.predictors.answering import answering
from semagram.predictors.contract import DecodingState

NO_LIKELIHOOD = (
    "a centred model knows each cell given all the others, and such probabilities do not multiply to the probability "
    "of a text: it cannot generate from left to right, score, compress or be audited. Write with 'semagram automaton', "
    "or train with NextToken or Masked for a model that can."
)


@dataclass(frozen=True)
class CellularAutomaton:
    """How a centred model writes: all cells, again and again."""

    steps: int = 10
    """Times that the page is gone over."""
    share: float = 1.0
    """Of the cells that are written in a step, drawn anew each time; 1: all of them (synchronous)."""
    temperature: float = 0.0
    """Of the draw; 0: always the likeliest."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise UserError(f"writing.steps must be at least 0, got {self.steps}.")
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"writing.share must be above 0 and at most 1, got {self.share}.")
        if not self.temperature >= 0.0:
            raise UserError(f"writing.temperature must be at least 0, got {self.temperature}.")

    @property
    def visibility(self) -> Visibility:
        """What the network must have been trained for."""
        return Visibility.OTHERS


@dataclass(frozen=True)
class AutomatonPredictor:
    """Rewrites pages with an OTHERS network; ``layout`` is the canvas that it was trained on."""

    network: Network
    layout: Layout
    writing: CellularAutomaton

    def __post_init__(self) -> None:
        if self.network.visibility is not Visibility.OTHERS:
            raise ValueError(f"a cellular automaton needs an OTHERS network, got {self.network.visibility.name}.")

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.network.vocabulary_size

    @property
    def context(self) -> int | None:
        """None: a stencil goes over a line of any length."""
        return None if isinstance(self.layout, Sequence) else self.layout.count

    @property
    def fixed_order(self) -> bool:
        """There is no order."""
        return False

    def canvas(self, length: int) -> Layout:
        """Refused: there is nothing to open."""
        raise UserError(NO_LIKELIHOOD)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> DecodingState:
        """Refused: there is no likelihood."""
        raise UserError(NO_LIKELIHOOD)

    def page(self, length: int) -> Layout:
        """The canvas for ``length`` cells: a line of any length; other layouts exactly. ``UserError`` otherwise."""
        if isinstance(self.layout, Sequence) and length >= 1:
            return replace(self.layout, length=length)
        if length != self.layout.count:
            raise UserError(f"the model's page {self.layout} takes {self.layout.count} tokens, got {length}.")
        return self.layout

    def log_probs(self, page: Tensor) -> Tensor:
        """Of each cell given all the others: ``(b, n)`` ids -> ``(b, n, v)``."""
        device = next(self.network.parameters()).device  # type: ignore[attr-defined]
        geometry = Geometry.of(self.page(page.shape[1]).positions(), Visibility.OTHERS).to(device)
        with answering(self.network):
            return torch.log_softmax(self.network(page.to(device), geometry).float(), dim=-1).to(page.device)

    def after_step(self, page: Tensor, generator: torch.Generator) -> Tensor:
        """The page ``(b, n)`` after one step."""
        log_probs = self.log_probs(page)
        if self.writing.temperature == 0.0:
            written = log_probs.argmax(dim=-1)
        else:
            weights = torch.softmax(log_probs / self.writing.temperature, dim=-1)
            written = torch.multinomial(weights.flatten(0, 1), 1, generator=generator).view(page.shape)
        if self.writing.share == 1.0:
            return written
        chosen = torch.rand(page.shape, generator=generator) < self.writing.share
        return torch.where(chosen, written, page)

    def pages(self, page: Tensor, seed: int = 0) -> list[Tensor]:
        """The page ``(b, n)`` and what it is after each step; ends early when a greedy synchronous page stands still.

        Raises ``UserError`` for a length that the layout does not take and ids out of range.
        """
        self.page(page.shape[1])
        if page.numel() and not 0 <= int(page.min()) <= int(page.max()) < self.vocabulary_size:
            raise UserError(f"ids must be in 0..{self.vocabulary_size - 1}, got {int(page.min())}..{int(page.max())}.")
        generator = torch.Generator().manual_seed(seed)
        found = [page]
        settled = self.writing.share == 1.0 and self.writing.temperature == 0.0
        for _ in range(self.writing.steps):
            found.append(self.after_step(found[-1], generator))
            if settled and torch.equal(found[-1], found[-2]):
                break
        return found
