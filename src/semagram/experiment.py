"""The experiment: everything that decides a run, as one frozen value. A recipe is a Python module with one of these.

Equal experiments on equal text give equal bits. Parts that do not fit each other are refused when the experiment is
built: what the objective trains for must be what the writing needs, and what the network can keep to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from semagram.errors import UserError
from semagram.layouts import Layout, Sequence, Streams
from semagram.layouts.streams import kind_of_score
from semagram.mixers.contract import reads_pairs
from semagram.models import Hybrid, Model, Transformer
from semagram.models.tagged import refusal
from semagram.objectives import NextToken, Objective, PrefixLM
from semagram.predictors import RankByRank, Writing
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.text.tokenizers import Characters, TokenizerConfig
from semagram.training.settings import Training


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a run."""

    name: str = "baseline"
    """What the run is called in tables."""
    text: tuple[str, ...] = ("pydocs",)
    """Where the text comes from: files, folders, globs, - for standard input, or named corpora."""
    tokenizer: TokenizerConfig = field(default_factory=Characters)
    """How text becomes ids."""
    layout: Layout = field(default_factory=Sequence)
    """Where tokens stand."""
    model: Model | BoostedTrees = field(default_factory=Transformer)
    """The network; or trees, which no gradients train."""
    objective: Objective = field(default_factory=NextToken)
    """What is asked of it."""
    writing: Writing = field(default_factory=RankByRank)
    """In which order it writes."""
    training: Training = field(default_factory=Training)
    """How it is trained."""
    seed: int = 0
    """Of initial weights, batches and dropout."""

    def __post_init__(self) -> None:
        if isinstance(self.model, BoostedTrees):
            self._check_trees()
        asked, written = self.objective.visibility, self.writing.visibility
        if asked is not written:
            raise UserError(
                f"objective {type(self.objective).__name__} trains for {asked.name} visibility, but writing "
                f"{type(self.writing).__name__} needs {written.name}: "
                f"use NextToken with RankByRank, Masked or Bert with Unmasking, or Centred with CellularAutomaton."
            )
        if asked not in self.model.visibilities():
            able = ", ".join(sorted(v.name for v in self.model.visibilities())) or "nothing"
            network: Any = self.model
            for name in ("network", "generator"):
                network = getattr(network, name, network)
            mixer = f" with mixer {type(network.mixer).__name__}" if hasattr(network, "mixer") else ""
            raise UserError(
                f"objective {type(self.objective).__name__} needs {asked.name} visibility, but a "
                f"{type(self.model).__name__}{mixer} can keep to {able} only: "
                f"change {'model.mixer' if mixer else 'the model'} or the objective."
            )
        if isinstance(self.layout, Streams) and self.layout.tags:
            self._check_axes(self.layout)
        if isinstance(self.objective, PrefixLM):
            parts: Any = getattr(self.model, "network", self.model)
            mixers = parts.layers.mixers(parts.mixer) if isinstance(parts, Transformer) else ()
            deaf = next((type(mixer).__name__ for mixer in mixers if not reads_pairs(mixer)), None)
            if isinstance(self.model, Hybrid) or deaf is not None or not mixers:
                what = type(self.model).__name__ + (f" with mixer {deaf}" if deaf else "")
                raise UserError(f"objective PrefixLM needs attention, which alone heeds a prefix; this is a {what}.")
        if isinstance(self.model, Hybrid) and not isinstance(self.layout, Sequence):
            raise UserError(f"a Hybrid's n-grams read a line, so the layout must be a Sequence: {self.layout}.")
        if self.training.halved and not (isinstance(self.layout, Sequence) and self.layout.length % 2 == 0):
            raise UserError(
                f"training.halved cuts lines in two, so the layout must be a Sequence of even length: {self.layout}."
            )

    def _check_axes(self, layout: Streams) -> None:
        """What axes of tags need; an Oracle's name says so."""
        if (
            not isinstance(self.objective, NextToken)
            or self.objective.forget
            or not isinstance(self.writing, RankByRank)
        ):
            raise UserError(
                f"axes of tags need the objective NextToken (without forget) and the writing RankByRank, got "
                f"{self.objective} and {self.writing}."
            )
        if layout.written and self.objective.smoothing:
            raise UserError("what may follow a tag is fixed, so objective.smoothing must be 0 with Joint axes.")
        if (reason := refusal(self.model, layout)) is not None:
            raise UserError(reason)
        if kind_of_score(layout) == "oracle-conditional" and not self.name.endswith("-oracle"):
            object.__setattr__(self, "name", f"{self.name}-oracle")

    def _check_trees(self) -> None:
        """Trees are grown and not trained: what would not act on them must not be set."""
        if self.objective != NextToken():
            raise UserError(f"trees learn the next token and nothing beside it, so not {self.objective}.")
        if not isinstance(self.layout, Sequence):
            raise UserError(f"trees read a line, so the layout must be a Sequence: {self.layout}.")
        plain = Training(held_out=self.training.held_out)
        idle = [f.name for f in fields(Training) if getattr(self.training, f.name) != getattr(plain, f.name)]
        if idle:
            raise UserError(
                f"training.{idle[0]} does not act on trees, which no gradients train: set model.rounds, model.leaves "
                f"or model.rate; of training only held_out."
            )
