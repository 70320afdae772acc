"""The model: the wiring from ids to logits.

``config.build(vocabulary_size, layout, visibility)`` gives a ``Network``. It takes inputs ``(b, n)`` in presented
order (see ``Geometry``), where an id is 0..v-1 or the reserved id v ("nothing known here": mask, begin of text),
and returns logits ``(b, n, v)``: one for each id that can be emitted. Parameters do not depend on the layout's size.

Some parts ask something of training beside the objective (the balance of experts). After a forward pass in training
``network.auxiliary_losses()`` gives these losses by name, each a scalar already multiplied by its coefficient, and
forgets them: training adds their sum to the objective's loss; what is *reported* is the objective's loss alone. Most
networks have none, and a network without the method has none. A part joins in by keeping a ``Carried``
(``feedforward/auxiliary.py``).

The wiring from vectors to vectors, without ids, is ``Stack`` (``models/stack.py``): encoder-decoders, images and
continuous inputs build upon it.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility


class NetworkState(Protocol):
    """What a causal network remembers of the slots it has read."""

    length: int


class Network(Protocol):
    """A module from ids to logits; every model config's ``build`` returns one."""

    vocabulary_size: int
    visibility: Visibility

    def __call__(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """All slots at once: ``(b, n) -> (b, n, v)``."""
        ...

    def new_state(self, batch: int, geometry: Geometry) -> NetworkState:
        """An empty state for ``batch`` canvases of this geometry (CAUSAL only)."""
        ...

    def step(self, inputs: Tensor, state: NetworkState) -> Tensor:
        """The coming ``g`` slots: ``(b, g) -> (b, g, v)``."""
        ...

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """Losses of parts since they were last asked for, by name; scalars, to be added to the objective's."""
        ...
