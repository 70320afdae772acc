"""Layers of functions that grow while they are trained: more points (p), more segments (h), the function unchanged.

The model says what is reached at the end; ``Growth`` what it begins with and when it becomes more. At the moment of
growth W_new = T W_old (``piecewise_refinement``), the optimiser's means go with it, and no output moves but by
rounding: a stage must be able to say all that the one before it said, or the experiment is refused before it begins. A
run that ends early grows to its full size at its end. KAN calls it grid extension (arXiv 2404.19756).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis
from semagram.feedforward.piecewise_linear import PiecewiseLinear
from semagram.feedforward.piecewise_refinement import carried_tensor, refine, transfer
from semagram.training.stages import Growth


class Growing:
    """The layers of a network that grow. ``stage`` is where they are; built at the last, the model's own.

    Without ``growth`` there are none, and one stage.
    """

    def __init__(self, network: nn.Module, growth: Growth | None, processes: int = 1) -> None:
        """``UserError`` where nothing can grow, a stage cannot be carried over into the next without error, or several
        processes share the parameters."""
        self.stage = self.last = 0
        self._growth = growth
        self._layers: dict[str, tuple[PiecewiseLinear, Basis]] = {}
        if growth is None:
            return
        if processes > 1:
            raise UserError("training.grow is for one process: several would go on exchanging the smaller parameters.")
        self._layers = {
            name: (module, module.config)
            for name, module in network.named_modules()
            if isinstance(module, PiecewiseLinear)
        }
        if not self._layers:
            raise UserError("training.grow is for layers of functions, and this model has none.")
        self.stage = self.last = len(growth.at)
        for final in {final for _, final in self._layers.values()}:
            for stage in range(self.last):
                transfer(growth.basis(final, stage), growth.basis(final, stage + 1))

    def due(self, stage: int, step: int, total: int | None) -> int:
        """The stage of step ``step``, after ``stage``; see ``Growth.stage``."""
        return stage if self._growth is None else max(stage, self._growth.stage(step, total))

    def to(self, stage: int) -> dict[str, tuple[Tensor, int]]:
        """Give every layer the basis of ``stage``; by weight's name the T that was applied, and the layer's inputs.

        Down, as at the beginning, where layers are straight lines, the nearest function is taken.
        """
        done: dict[str, tuple[Tensor, int]] = {}
        if self._growth is not None and stage != self.stage:
            for name, (layer, final) in self._layers.items():
                old, new = layer.config, self._growth.basis(final, stage)
                matrix = transfer(old, new, exact=stage > self.stage)
                refine(layer, old, new, exact=stage > self.stage)
                done[f"{name}.weight"] = matrix.to(layer.weight.device), layer.inputs
        self.stage = stage
        return done


def carried_state(state: Mapping[str, Tensor], matrices: Mapping[str, tuple[Tensor, int]]) -> dict[str, Tensor]:
    """A stepper's state (see ``Stepper.state``) with what belongs to refined weights refined as they were."""
    carried = {}
    for key, value in state.items():
        weight, _, what = key.removeprefix("adam.").rpartition(".")
        if weight in matrices and value.dim() == 2:
            matrix, inputs = matrices[weight]
            value = carried_tensor(value, matrix, inputs, what)
        carried[key] = value
    return carried
