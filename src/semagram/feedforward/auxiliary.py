"""Auxiliary losses: what a part asks of training beside the objective (the balance of experts, say).

A part that has one keeps a ``Carried`` and puts its losses there in each forward pass *in training*; the network's
``auxiliary_losses()`` takes them all out again, summed by name. A loss comes multiplied by its coefficient: whoever
trains adds the sum to the objective's loss. Nothing is put in evaluation, nothing is saved, nothing is copied.
"""

from __future__ import annotations

from torch import Tensor, nn


class Carried:
    """The losses of one part since they were last taken; a copy of the part begins with none."""

    def __init__(self) -> None:
        self._losses: dict[str, Tensor] = {}

    def put(self, name: str, loss: Tensor) -> None:
        """Keep a scalar loss; the last of a name counts, so that a pass whose losses nobody took is forgotten."""
        self._losses[name] = loss

    def take(self) -> dict[str, Tensor]:
        """The losses, and forget them (they hold the graph of a whole pass)."""
        taken, self._losses = self._losses, {}
        return taken

    def __deepcopy__(self, memo: object) -> Carried:
        return Carried()

    def __getstate__(self) -> dict[str, object]:
        return {"_losses": {}}


def take_auxiliary_losses(network: nn.Module) -> dict[str, Tensor]:
    """All that the parts of ``network`` carry, summed by name, each a scalar; they are forgotten by it."""
    total: dict[str, Tensor] = {}
    for module in network.modules():
        carried = getattr(module, "carried", None)
        if isinstance(carried, Carried):
            for name, loss in carried.take().items():
                total[name] = total[name] + loss if name in total else loss
    return total
