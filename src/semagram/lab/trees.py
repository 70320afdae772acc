"""Trees as a run: grown in one go, kept in a folder that every command takes, as a network is.

LightGBM grows all trees of a model at once and says nothing in between, so there is no checkpoint: a run that was
killed begins again. The held-out text is scored as ``score`` reads it.
"""

from __future__ import annotations

import time
from pathlib import Path

from semagram.experiment import Experiment
from semagram.predictors.boosted_trees import BoostedTrees, TreesHeld
from semagram.training import checkpoint as checkpoints
from semagram.training.records import RunFolder
from semagram.training.state import Result
from semagram.training.tokenised import TokenisedText
from semagram.verbs.score import score


def grow(experiment: Experiment, text: TokenisedText, folder: Path, *, resume: bool = False) -> Result:
    """Grow ``experiment.model``, a ``BoostedTrees``, on ``text`` and leave everything in ``folder``.

    ``UserError`` for a folder that holds a run (without ``resume``) or another experiment's, and without lightgbm.
    """
    assert isinstance(experiment.model, BoostedTrees)
    place = RunFolder(folder, experiment, resume)
    began, processor_began = time.perf_counter(), time.process_time()
    predictor = experiment.model.fit(text.train, text.tokenizer.vocabulary_size)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - processor_began
    place.begin(experiment, text.tokenizer, "cpu")
    found = score(predictor, text.held_out) if len(text.held_out) else None
    held = TreesHeld(predictor.arrays()).eval()
    result = Result(
        run=folder,
        network=held,
        tokenizer=text.tokenizer,
        ended="budget",
        step=experiment.model.rounds,
        weights_step=experiment.model.rounds,
        tokens=len(text.train),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        train_nats=None,
        held_out_nats=None if found is None else found.nats_per_token,
        held_out_bits_per_character=None if found is None else found.bits_per_character(text.held_out_characters),
        loss_kind="nll",
    )
    checkpoints.save_weights(place.model, held)
    place.finish(result.to_json())
    return result
