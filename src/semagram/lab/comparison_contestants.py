"""Who takes part in a comparison, and how the words of the command line name them.

A recipe (trained once a seed), a run folder (scored as it is), or one of the two that count instead of learning. What
a contestant is, as plain data, is also what decides whether a result that lies on the disk is still its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semagram.config import to_json
from semagram.errors import UserError, nearest
from semagram.experiment import Experiment
from semagram.lab import recipes
from semagram.lab.axis_controls import controls
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.predictors.ngram import NgramConfig
from semagram.predictors.suffix import SuffixConfig
from semagram.trained import CONFIG, WEIGHTS, load


@dataclass(frozen=True)
class FromRecipe:
    """Trained once a seed."""

    name: str
    experiment: Experiment

    def identity(self) -> dict[str, Any]:
        """What decides its results, as plain data."""
        return {"recipe": to_json(self.experiment)}


@dataclass(frozen=True)
class FromRun:
    """Trained already; scored only."""

    name: str
    folder: Path
    experiment: Experiment

    def identity(self) -> dict[str, Any]:
        """What decides its results, as plain data."""
        weights = hashlib.sha256((self.folder / WEIGHTS).read_bytes()).hexdigest()
        return {"run": to_json(self.experiment), "weights": weights}


@dataclass(frozen=True)
class Counting:
    """A model that counts instead of learning by gradients; the same for every seed."""

    name: str = "ngram"
    config: NgramConfig | SuffixConfig | BoostedTrees = field(default_factory=NgramConfig)

    def identity(self) -> dict[str, Any]:
        """What decides its results, as plain data."""
        return {"counting": to_json(self.config)}


@dataclass(frozen=True)
class FromMembers:
    """Several networks that answer as one; each is trained with an equal share of the budget, once a seed."""

    name: str
    experiments: tuple[Experiment, ...]

    @property
    def experiment(self) -> Experiment:
        """The first member's: whose text, held-out share and budget are those of all."""
        return self.experiments[0]

    def identity(self) -> dict[str, Any]:
        """What decides its results, as plain data."""
        return {"members": [to_json(e) for e in self.experiments]}


Contestant = FromRecipe | FromMembers | FromRun | Counting


def find(words: Sequence[str]) -> list[Contestant]:
    """The contestants that ``words`` name, the controls of their axes, and the n-gram, which is always there.

    ``UserError`` for a word that names none, one that comes twice, and a run that is not finished.
    """
    if not words:
        raise UserError(f"name one contestant at least: {_allowed()}.")
    for word in words:
        if list(words).count(word) > 1:
            raise UserError(f"the contestant {word!r} is named twice.")
    found = [_one(word) for word in words]
    names = [c.name for c in found]
    if len(set(names)) < len(names):
        found = [_one(word, word if names.count(name) > 1 else None) for word, name in zip(words, names, strict=True)]
        names = [c.name for c in found]
    twice = [word for word, name in zip(words, names, strict=True) if names.count(name) > 1]
    if twice:
        raise UserError(f"{' and '.join(twice)} are the same contestant, {names[words.index(twice[0])]!r}: name one.")
    found = [one for contestant in found for one in (contestant, *_controls(contestant))]
    return found if Counting() in found else [*found, Counting()]


def _controls(contestant: Contestant) -> list[FromRecipe]:
    """Of a recipe with axes of tags: the same without them, and with checksums and noise in their place."""
    if not isinstance(contestant, FromRecipe):
        return []
    return [FromRecipe(f"{contestant.name} {name}", e) for name, e in controls(contestant.experiment).items()]


def folder_name(name: str) -> str:
    """A contestant's name as a folder's, different for different names."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "contestant"
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _one(word: str, name: str | None = None) -> Contestant:
    if word.startswith("family:"):
        from semagram.lab.families import families

        known = {family.name: family.contestant for family in families()}
        wanted = word.removeprefix("family:")
        if wanted not in known:
            raise UserError(f"there is no family {wanted!r}; there are {', '.join(known)}.{nearest(wanted, known)}")
        return known[wanted]
    if word == "suffix":
        return Counting(word, SuffixConfig())
    if word == "lightgbm":
        return Counting(word, BoostedTrees())
    if word == "ngram" or word.startswith("ngram:"):
        order = word.removeprefix("ngram").removeprefix(":")
        if not (order.isdecimal() or word == "ngram"):
            raise UserError(f"an n-gram is written ngram or ngram:ORDER, like ngram:4; got {word!r}.")
        return Counting("ngram" if order in ("", "6") else word, NgramConfig(int(order)) if order else NgramConfig())
    path = Path(word)
    if path.is_dir() and word not in recipes.names():
        if not (path / CONFIG).is_file():
            raise UserError(f"{word} is a folder, but not a run: it has no {CONFIG}.")
        return FromRun(name or path.resolve().name, path, load(path).experiment)
    if not word.endswith(".py") and word not in recipes.names():
        raise UserError(f"there is no contestant {word!r}: name {_allowed()}.{nearest(word, _known())}")
    recipe = recipes.find(word)
    if isinstance(recipe.experiment.model, BoostedTrees):
        return Counting(name or recipe.name, recipe.experiment.model)  # the same for every seed
    return FromRecipe(name or recipe.name, recipe.experiment)


def _known() -> list[str]:
    return [*recipes.names(), "ngram", "suffix", "lightgbm"]


def _allowed() -> str:
    counting = "ngram, ngram:ORDER, suffix, lightgbm"
    return f"a recipe ({', '.join(recipes.names())}), a FILE.py, a run folder, {counting} or family:NAME"
