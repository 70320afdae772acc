"""What a hybrid network is given beside its inputs: n-gram models counted on the training text before training.

Training uses rows that were cross-fitted (see ``experts``), scoring those of models of the whole training text. Both
follow from (model, training ids) to the bit, so a resumed run counts again and saves nothing but the ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.models import Hybrid, Model
from semagram.predictors.count_sheets import Counted
from semagram.predictors.experts import CrossFitted, Experts, Upon

PRIOR = "prior.safetensors"
"""The file of a run folder that the experts are made from again."""


@dataclass(frozen=True)
class Prior:
    """The n-gram models of a training text; counted when they are first needed."""

    model: Hybrid
    vocabulary_size: int
    ids: NDArray[np.unsignedinteger]

    @cached_property
    def _counted(self) -> Counted:
        return Counted.of(self.ids, self.vocabulary_size, self.model.orders)

    @cached_property
    def _upon(self) -> Upon | None:
        if not self.model.matches:
            return None
        return Upon.learn(self._counted, self.model.matches, self.model.main_order)

    @cached_property
    def experts(self) -> Experts:
        """Of the whole text."""
        return Experts(self._counted, self._upon)

    @cached_property
    def cross_fitted(self) -> CrossFitted:
        """Of the text without each block."""
        if len(self.ids) < self.model.folds:
            raise UserError(
                f"the training text has {len(self.ids)} tokens, too few for {self.model.folds} model.folds."
            )
        return CrossFitted(self._counted, self.model.folds, self._upon)


def prior_of(model: Model, vocabulary_size: int, ids: NDArray[np.unsignedinteger]) -> Prior | None:
    """The prior that ``model`` needs, counted on the training ids; none where it needs none."""
    return Prior(model, vocabulary_size, ids) if isinstance(model, Hybrid) else None


def save_experts(experts: Experts, path: Path) -> None:
    """Write them; ``load_experts`` gives the same, to the bit."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    from semagram.training.files import replace_whole

    arrays = {name: np.ascontiguousarray(array) for name, array in experts.arrays().items()}
    replace_whole(path, lambda temporary: save_file(arrays, temporary), (SafetensorError,))


def load_experts(path: Path) -> Experts:
    """Read and count again; ``UserError`` for a file that is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return Experts.from_arrays(load_file(path))
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or missing: {error}.") from None
