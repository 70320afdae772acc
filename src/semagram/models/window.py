"""A network of a fixed window: the tokens around a cell are looked up, one table for each place, summed, and read by
layers of functions (or of rectifiers). All cells at once, each from its own window.

    x = sum_p E_p[token at place p],      x <- P(domain(x)) for each hidden layer,      logits = P_head(domain(x))

The first layer of the seed's character networks (a piecewise layer with one segment a character) *is* such a look-up:
see ``test_an_embedding_is_a_piecewise_constant_layer``. With no hidden layer it is a sum of tables and one readout,
which learns a short book nearly by heart; with ``links=None`` a plain rectifier network behind the same look-up; with
``pooled`` a bag of letters, blind to their order.

CAUSAL: the window is the last ``context`` tokens in order of writing. OTHERS: all cells within ``context`` of the
cell along every axis, except itself: a stencil, for ``Centred`` and the cellular automaton. What lies outside the
canvas carries the reserved id. Tested against one window at a time, written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import twice
from semagram.feedforward.basis import Basis, Continuous
from semagram.feedforward.domain import ByRMS, Domain
from semagram.feedforward.piecewise import START, check_inner
from semagram.feedforward.piecewise_linear import PiecewiseLinear
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry, Tables


@dataclass(frozen=True)
class Window:
    """Layers of functions over a fixed window of tokens."""

    context: int = 16
    """Tokens read: the last so many (CAUSAL), or those within so many steps of the cell (OTHERS)."""
    width: int = 200
    """Features after the look-up and of every hidden layer."""
    hidden: int = 1
    """Hidden layers."""
    links: Basis | None = field(default_factory=Continuous)
    """The functions of hidden layers and readout; none: linear maps, rectified in between."""
    domain: Domain = field(default_factory=ByRMS)
    """How what a layer reads is normalised."""
    pooled: bool = False
    """One table for all places, and their mean: a bag of letters."""

    def __post_init__(self) -> None:
        if self.context < 1 or self.width < 1 or self.hidden < 0:
            raise UserError(
                f"model.context and model.width must be at least 1 and model.hidden at least 0, got {self.context}, "
                f"{self.width} and {self.hidden}."
            )
        if self.links is not None:
            check_inner(self.links)

    def visibilities(self) -> frozenset[Visibility]:
        """A window behind the cell, or around it without the cell."""
        return frozenset({Visibility.CAUSAL, Visibility.OTHERS})

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> WindowNetwork:
        """The network; raises ``UserError`` for FULL."""
        if visibility not in self.visibilities():
            raise UserError(f"a Window cannot be {visibility.name}, only CAUSAL or OTHERS.")
        axes = layout.axes
        places = self.context if visibility is Visibility.CAUSAL else (2 * self.context + 1) ** axes - 1
        return WindowNetwork(self, vocabulary_size, visibility, places)


class WindowState:
    """The last ``context - 1`` inputs, ``(b, context - 1)``; the reserved id before the beginning."""

    def __init__(self, recent: Tensor) -> None:
        self.recent = recent
        self.length = 0


class WindowNetwork(nn.Module):
    """See ``Window``; a ``Network``."""

    def __init__(self, config: Window, vocabulary_size: int, visibility: Visibility, places: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.visibility = visibility
        self.context, self.places, self.pooled, self.domain = config.context, places, config.pooled, config.domain
        self.rectified = config.links is None
        tables = 1 if config.pooled else places
        self.embedding = nn.Embedding(tables * (vocabulary_size + 1), config.width)
        nn.init.normal_(self.embedding.weight, std=tables**-0.5)

        def layer(outputs: int) -> nn.Module:
            if config.links is None:
                return nn.Linear(config.width, outputs, bias=False)
            return PiecewiseLinear(config.width, outputs, config.links, START)

        self.layers = nn.ModuleList(layer(config.width) for _ in range(config.hidden))
        self.head = layer(vocabulary_size)
        nn.init.zeros_(self.head.weight)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``; padding counts as outside the canvas."""
        if geometry.keep is not None:
            inputs = inputs.masked_fill(~geometry.keep, self.vocabulary_size)
        if self.visibility is Visibility.CAUSAL:
            return self._read(
                F.pad(inputs, (self.context - 1, 0), value=self.vocabulary_size).unfold(1, self.context, 1)
            )
        (places,) = geometry.table(("window", self.context), lambda coords: neighbours(coords, self.context))
        return self._read(F.pad(inputs, (0, 1), value=self.vocabulary_size)[:, places])

    def new_state(self, batch: int, geometry: Geometry) -> WindowState:
        """An empty state; raises ``ValueError`` unless CAUSAL, and for a canvas with padding."""
        if self.visibility is not Visibility.CAUSAL:
            raise ValueError(f"only a CAUSAL network can be stepped; this one is {self.visibility.name}.")
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        shape = (batch, self.context - 1)
        return WindowState(torch.full(shape, self.vocabulary_size, device=self.embedding.weight.device))

    def step(self, inputs: Tensor, state: WindowState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        joined = torch.cat([state.recent, inputs], dim=1)
        state.recent = joined[:, joined.shape[1] - (self.context - 1) :]
        state.length += inputs.shape[1]
        return self._read(joined.unfold(1, self.context, 1))

    def _read(self, windows: Tensor) -> Tensor:
        """Ids ``(b, n, places)`` -> logits ``(b, n, v)``."""
        if not self.pooled:
            windows = windows + torch.arange(self.places, device=windows.device) * (self.vocabulary_size + 1)
        mode = "mean" if self.pooled else "sum"
        if twice.asked():  # embedding_bag has no second derivative
            x = self.embedding(windows.flatten(0, 1))
            x = x.mean(dim=1) if self.pooled else x.sum(dim=1)
        else:
            x = F.embedding_bag(windows.flatten(0, 1), self.embedding.weight, mode=mode)
        for layer in self.layers:
            x = layer(self.domain(x))
            if self.rectified:
                x = F.relu(x)
        return self.head(self.domain(x)).unflatten(0, windows.shape[:2])


def neighbours(coords: Tensor, reach: int) -> Tables:
    """``coords (n, a)`` -> ``(n, (2 reach + 1)^a - 1)``: the cells around each cell, n where there is none."""
    n, axes = coords.shape
    offsets = [o for o in product(range(-reach, reach + 1), repeat=axes) if any(o)]
    low = coords.amin(0) - reach
    span = coords.amax(0) + reach + 1 - low
    weight = torch.stack([span[axis + 1 :].prod() for axis in range(axes)])
    keys, order = ((coords - low) * weight).sum(-1).sort()
    steps = torch.tensor(offsets, device=coords.device).view(-1, axes)
    wanted = ((coords - low)[:, None] * weight).sum(-1) + (steps * weight).sum(-1)
    place = torch.searchsorted(keys, wanted).clamp_(max=n - 1)
    return (torch.where(keys[place] == wanted, order[place], n),)
