"""Distillation into code: what a trained model, or the text itself, tells apart, as a small Python function.

The seed's third source of tags: "distilled from the Transformer as a code". Positions of a text are clustered by
k-means (Lloyd 1982, seeded as by Arthur and Vassilvitskii 2007), either by what a trained model holds after reading up
to there (its last hidden vector; for models without one its prediction, as square roots of probabilities), or, without
a model, by what follows the last ``order`` characters in the text. A small tree on the last ``context`` characters then
learns the clusters, and is written as Python code that anybody can read, mend, and name as an axis:
``Function("labels.py:label", causal_by_promise=True)``. The tags depend on characters up to their own alone.

Tested: the code labels as the tree does, is causal under ``peek_rate``, and finds the classes of a text made of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from semagram.errors import UserError
from semagram.lab.context_tree import BEFORE, Node, code_of, contexts_of, grow

if TYPE_CHECKING:
    from semagram.trained import TrainedModel


@dataclass(frozen=True)
class Distillation:
    """How to distil."""

    tags: int = 8
    """Clusters, and tags beside "none"."""
    context: int = 4
    """Characters that the code looks at."""
    leaves: int = 32
    """Leaves of the tree at most."""
    characters: int = 50_000
    """Of the text that are read at most."""
    order: int = 2
    """Characters whose successors are clustered, where no model is given."""
    seed: int = 0
    """Of the clusters' beginnings."""

    def __post_init__(self) -> None:
        if self.tags < 2 or self.leaves < 2:
            raise UserError(f"a distillation needs at least 2 tags and 2 leaves, got {self.tags} and {self.leaves}.")
        if self.context < 1 or self.order < 1:
            raise UserError(f"context and order must be at least 1, got {self.context} and {self.order}.")
        if self.characters < 100:
            raise UserError(f"a distillation needs at least 100 characters, got {self.characters}.")


@dataclass(frozen=True)
class Distilled:
    """The code and what it is worth."""

    code: str
    """A Python file."""
    leaves: int
    """Of the tree."""
    agreement: float
    """Share of held-out positions where the code gives the cluster."""
    majority: float
    """Share that the most frequent cluster alone would get right."""
    told: float
    """Bits that a tag tells of the next character, on the held-out part (mutual information, plug-in)."""


def distil_text(text: str, settings: Distillation) -> Distilled:
    """From clusters of contexts: which endings of a text are followed by alike characters."""
    text = _enough(text, settings)
    contexts = contexts_of(text, np.arange(len(text) - 1), settings.order)
    _, codes = np.unique(contexts, axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    _, follows = np.unique(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4"), return_inverse=True)
    size = int(follows.max()) + 1
    counts = np.bincount(codes * size + follows[1:], minlength=(int(codes.max()) + 1) * size).reshape(-1, size)
    weights = counts.sum(axis=1)
    # Square roots of shares: their distances are Hellinger's, in which rare characters count for something.
    clusters = kmeans(np.sqrt(counts / weights[:, None]), settings.tags, settings.seed, weights.astype(float))
    about = f"Clusters of the contexts of {settings.order} characters by what follows them."
    return _distilled(text, np.arange(len(text) - 1), clusters[codes], settings, about)


def distil_model(model: TrainedModel, text: str, settings: Distillation) -> Distilled:
    """From clusters of what a model holds. ``UserError`` unless it reads characters from left to right."""
    text = _enough(text, settings)
    places, states = states_of(model, text)
    spread = states.std(axis=0)
    clusters = kmeans((states - states.mean(axis=0)) / np.where(spread > 0, spread, 1.0), settings.tags, settings.seed)
    about = f"Clusters of what the model {model.experiment.name!r} ({type(model.experiment.model).__name__}) holds."
    return _distilled(text, places, clusters, settings, about)


def states_of(model: TrainedModel, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Places (N,) in the text and what the model holds after reading up to each of them, (N, d).

    Read in windows of the model's length that overlap by half; the second half of each is used.
    """
    import torch

    from semagram.layouts import Sequence, Visibility
    from semagram.layouts.geometry import Geometry

    ids = model.encode(text)
    if len(ids) != len(text) or not isinstance(model.experiment.layout, Sequence) or not model.predictor.fixed_order:
        raise UserError("only a model that reads characters, one after the other, can be distilled into code.")
    length = min(model.predictor.context or 256, len(ids) - 1)
    starts = np.arange(0, len(ids) - length, max(length // 2, 1))
    used = np.arange(length // 2, length)
    hidden: Callable[..., Any] | None = getattr(model.network, "hidden", None)
    if model.experts is not None or model.experiment.objective.visibility != Visibility.CAUSAL:
        hidden = None
    found = []
    with torch.no_grad():
        for start in starts.tolist():
            window = torch.from_numpy(ids[start : start + length + 1])[None]
            if hidden is not None:
                begin = torch.full((1, 1), model.tokenizer.vocabulary_size)
                states = hidden(torch.cat([begin, window[:, :-1]], 1), Geometry.line(length + 1, Visibility.CAUSAL))
            else:
                state = model.predictor.open(model.predictor.canvas(length + 1), 1)
                states = (state.read(window) / 2).exp()  # pyright: ignore[reportAttributeAccessIssue]
            # Slot j was asked for id j and has read those before it: it holds what is known after place j - 1.
            found.append(states[0, used + 1].float().numpy())
    return (starts[:, None] + used).reshape(-1), np.concatenate(found)


def kmeans(points: np.ndarray, k: int, seed: int, weights: np.ndarray | None = None, rounds: int = 25) -> np.ndarray:
    """The cluster of each of ``points (N, d)``, (N,), 0..k-1; the largest comes first. ``UserError`` if N < k."""
    if len(points) < k:
        raise UserError(f"{len(points)} different contexts cannot make {k} clusters: ask for fewer tags.")
    random = np.random.default_rng(seed)
    weights = np.ones(len(points)) if weights is None else weights
    centres = points[random.choice(len(points), p=weights / weights.sum())][None]
    while len(centres) < k:
        far = weights * np.maximum(_distances(points, centres).min(axis=1), 1e-12)
        centres = np.concatenate([centres, points[random.choice(len(points), p=far / far.sum())][None]])
    nearest = _distances(points, centres).argmin(axis=1)
    for _ in range(rounds):
        for c in range(k):
            mine = nearest == c
            if mine.any():
                centres[c] = np.average(points[mine], axis=0, weights=weights[mine])
        before, nearest = nearest, _distances(points, centres).argmin(axis=1)
        if (before == nearest).all():
            break
    rank = np.argsort(np.argsort(-np.bincount(nearest, weights, minlength=k), kind="stable"), kind="stable")
    return rank[nearest]


def _distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared, up to what is the same for all centres of a point; not below 0."""
    whole = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
    return np.maximum(whole, 0.0)


def _enough(text: str, settings: Distillation) -> str:
    if len(text) < 100:
        raise UserError(f"a distillation needs a text of at least 100 characters, got {len(text)}.")
    if BEFORE in text:
        raise UserError("the text holds a character of code 0, which the code takes for the place before the text.")
    return text[: settings.characters]


def _distilled(text: str, places: np.ndarray, classes: np.ndarray, settings: Distillation, about: str) -> Distilled:
    """The tree of the first four fifths, judged by the last."""
    cut = int(0.8 * len(places))
    contexts = contexts_of(text, places, settings.context)
    tree = grow(contexts[:cut], classes[:cut], leaves=settings.leaves)
    said = np.array([tree.answer("".join(map(chr, row[::-1]))) for row in contexts[cut:]])
    agreement, majority = float((said == classes[cut:]).mean()), float(np.bincount(classes[cut:]).max() / len(said))
    told = _information(said, [text[p + 1] if p + 1 < len(text) else "" for p in places[cut:].tolist()])
    names = ("none", *(f"cluster {i}{_shown(tree, i - 1)}" for i in range(1, settings.tags + 1)))
    note = (
        f"{about}\n\nWritten by semagram distil: a tree of {tree.leaves()} leaves on the last {settings.context} "
        f"characters. On text that it did not learn\nfrom it gives the cluster in {100 * agreement:.1f} % of places "
        f"(the most frequent alone: {100 * majority:.1f} %), and tells {told:.2f} bits of the next character.\n"
    )
    code = code_of(tree, names, settings.context, note)
    return Distilled(code, tree.leaves(), agreement, majority, told)


def _shown(tree: Node, tag: int) -> str:
    """Of a cluster, what the newest character is in its first leaf, if that was asked for: a name for readers."""
    waiting = [(tree, "")]
    while waiting:
        node, newest = waiting.pop(0)
        if node.yes is None or node.no is None:
            if node.tag == tag and newest:
                return f" (after {newest!r})"
            continue
        asked = node.characters[:8] if node.distance == 0 else newest
        waiting += [(node.yes, asked), (node.no, newest)]
    return ""


def _information(tags: np.ndarray, follows: list[str]) -> float:
    """Bits that ``tags (N,)`` tell of what follows, by counting."""
    _, codes = np.unique(follows, return_inverse=True)
    joint = np.bincount(tags * (codes.max() + 1) + codes).astype(float)
    both = -sum(p * np.log2(p) for p in joint[joint > 0] / joint.sum())
    alone = sum(-sum(p * np.log2(p) for p in c[c > 0] / c.sum()) for c in (np.bincount(tags), np.bincount(codes)))
    return float(max(alone - both, 0.0))
