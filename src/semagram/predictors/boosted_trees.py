"""Gradient-boosted trees over the last few tokens (LightGBM, Ke et al. 2017): a contestant without gradients or counts.

Each of the last ``context`` tokens is a categorical feature, the next token the class. Only classes that occur are
boosted; the others share ``floor`` evenly with them, so that every token can be coded:
p = (1 - floor) p_trees + floor / v. LightGBM's probabilities are taken as they are (the seed softmaxed them again).
Needs the package lightgbm (``pip install 'semagram[lightgbm]'``). Tested as every predictor is, and on a text whose
rule the trees must find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, from_numpy, nn

from semagram.errors import UserError
from semagram.layouts import Layout, Sequence, Visibility
from semagram.predictors.left_to_right import LeftToRightState


@dataclass(frozen=True)
class BoostedTrees:
    """Boosted decision trees on a window of tokens."""

    context: int = 8
    """Tokens before it that a token is predicted from."""
    rounds: int = 30
    """Trees for each class."""
    leaves: int = 15
    """Leaves of a tree at most."""
    rate: float = 0.2
    """What a new tree counts."""
    floor: float = 0.001
    """Probability that is spread evenly over all tokens."""

    def __post_init__(self) -> None:
        if self.context < 1 or self.rounds < 1:
            raise UserError(f"trees need a context and rounds of at least 1, got {self.context} and {self.rounds}.")
        if self.leaves < 2:
            raise UserError(f"trees need at least 2 leaves, got {self.leaves}.")
        if not self.rate > 0:
            raise UserError(f"the rate of trees must be above 0, got {self.rate}.")
        if not 0.0 < self.floor < 1.0:
            raise UserError(f"the floor of trees must be between 0 and 1, got {self.floor}.")

    def visibilities(self) -> frozenset[Visibility]:
        """They read in order."""
        return frozenset({Visibility.CAUSAL})

    def fit(self, ids: np.ndarray, vocabulary_size: int) -> BoostedTreesPredictor:
        """Learn the training text ``ids (n,)``, n >= 1, values 0..v-1; ``UserError`` without the package."""
        if len(ids) < 1:
            raise UserError("the training text is empty.")
        classes, labels = np.unique(ids, return_inverse=True)
        model = _Trees(vocabulary_size, self.context, classes.astype(np.int64), self.floor, None)
        windows = model.walk(model.empty_contexts(1), ids[None])
        if len(classes) > 1:
            lightgbm = package()
            # A small text must not be too small for trees: LightGBM's own least sizes are meant for tables.
            data = lightgbm.Dataset(
                windows[0, :-1], labels, categorical_feature=list(range(self.context)),
                params={"verbose": -1, "min_data_in_bin": 1},
            )  # fmt: skip
            settings = {
                "objective": "multiclass", "num_class": len(classes), "num_leaves": self.leaves,
                "learning_rate": self.rate, "num_threads": 1, "deterministic": True, "seed": 0, "verbose": -1,
                "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1.0, "max_cat_to_onehot": 4,
            }  # fmt: skip
            model.booster = lightgbm.train(settings, data, num_boost_round=self.rounds)
        return BoostedTreesPredictor(model)


def package() -> Any:
    """The module lightgbm; ``UserError`` saying how to get it."""
    try:
        import lightgbm  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("boosted trees need the package lightgbm: pip install 'semagram[lightgbm]'.") from None
    return lightgbm


class TreesHeld(nn.Module):
    """What a run folder holds of trees, ``arrays`` as buffers, in the place of a network; nothing in it is trained by
    gradients. ``predictor()`` answers."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, from_numpy(array.copy()))

    def predictor(self) -> BoostedTreesPredictor:
        """The trees."""
        return BoostedTreesPredictor.from_arrays({name: t.cpu().numpy() for name, t in self.named_buffers()})


class _Trees:
    """A ``ContextModel``. Contexts ``(b, c)`` are the last c ids, oldest first; v where there was nothing yet.

    ``booster`` is None where a single class occurs.
    """

    def __init__(self, vocabulary_size: int, context: int, classes: np.ndarray, floor: float, booster: Any) -> None:
        self.vocabulary_size, self.context = vocabulary_size, context
        self.classes, self.floor, self.booster = classes, floor, booster

    def empty_contexts(self, batch: int) -> np.ndarray:
        """``(batch, c)``."""
        return np.full((batch, self.context), self.vocabulary_size, dtype=np.int64)

    def advance(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """One more symbol a row."""
        return np.concatenate([contexts[:, 1:], symbols[:, None]], axis=1)

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``(b, c)`` and ``(b, m)`` -> ``(b, m + 1, c)``."""
        joined = np.concatenate([contexts, ids.astype(np.int64)], axis=1)
        return np.lib.stride_tricks.sliding_window_view(joined, self.context, axis=1).copy()

    def rows(self, contexts: np.ndarray) -> np.ndarray:
        """``(b, c)`` -> ``(b, v)`` float32 natural-log probabilities."""
        found = np.full((len(contexts), self.vocabulary_size), self.floor / self.vocabulary_size)
        told = np.ones((len(contexts), 1)) if self.booster is None else self.booster.predict(contexts, num_threads=1)
        told = told / told.sum(axis=1, keepdims=True)
        found[:, self.classes] += (1.0 - self.floor) * told
        return np.log(found).astype(np.float32)


class BoostedTreesPredictor:
    """Trees on a canvas; answers the ``Predictor`` contract. Build it with ``BoostedTrees(...).fit(...)``."""

    def __init__(self, model: _Trees) -> None:
        self.model = model

    @property
    def vocabulary_size(self) -> int:
        """v: ids 0..v-1 can be emitted."""
        return self.model.vocabulary_size

    @property
    def context(self) -> None:
        """No limit: a canvas may be as long as the text."""
        return None

    @property
    def fixed_order(self) -> bool:
        """Cells are written in the order of their ranks."""
        return True

    def canvas(self, length: int) -> Sequence:
        """A line of ``length`` cells."""
        return Sequence(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> LeftToRightState:
        """Start ``batch`` canvases; ``given`` ``(b, n)`` may fix the same leading cells of every row."""
        return LeftToRightState(self.model, layout, batch, given)

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save, for safetensors."""
        text = "" if self.model.booster is None else self.model.booster.model_to_string()
        return {
            "classes": self.model.classes,
            "sizes": np.array([self.model.vocabulary_size, self.model.context], dtype=np.int64),
            "floor": np.array([self.model.floor]),
            "trees": np.frombuffer(text.encode(), dtype=np.uint8).copy(),
        }

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> BoostedTreesPredictor:
        """The predictor that ``arrays`` came from."""
        text = arrays["trees"].tobytes().decode()
        booster = package().Booster(model_str=text) if text else None
        v, context = arrays["sizes"].tolist()
        return BoostedTreesPredictor(_Trees(v, context, arrays["classes"], float(arrays["floor"][0]), booster))
