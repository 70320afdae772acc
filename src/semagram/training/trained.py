"""A trained network from a run folder, for everyone who comes after training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from semagram.config import from_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.text import Tokenizer, tokenizer_from_json
from semagram.training.checkpoint import load_weights


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run folder holds: the experiment, the tokenizer, and the network in evaluation mode."""

    experiment: Experiment
    tokenizer: Tokenizer
    network: nn.Module


def load_trained(run: Path) -> Trained:
    """Read config.json, tokenizer.json and model.safetensors; ``UserError`` names what is missing or damaged."""
    experiment = from_json(Experiment, _json(run / "config.json", run), "config.json")
    tokenizer = tokenizer_from_json(_json(run / "tokenizer.json", run))
    path = run / "model.safetensors"
    if not path.exists():
        raise UserError(f"{run} has no model.safetensors: the run has not ended yet. Go on with it by --resume.")
    network = experiment.model.build(tokenizer.vocabulary_size, experiment.layout, experiment.objective.visibility)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged and cannot be read ({error}).") from error
    load_weights(network, weights)
    return Trained(experiment, tokenizer, network.eval())


def _json(path: Path, run: Path) -> dict[str, object]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{run} is not a run folder: it has no {path.name}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged and cannot be read ({error}).") from error
