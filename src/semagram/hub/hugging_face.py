"""Hugging Face checkpoints as models of ours: ``config.json`` and safetensors in, a predictor out.

    load("folder")            a TrainedModel: generate, score, compress, audit (also through semagram.load)
    load_network("folder")    the network alone, of any family: encoder-decoders and image classifiers too

transformers is not needed. A folder is what ``save_pretrained`` wrote, or a snapshot of the hub; a name ``owner/model``
is fetched from there. The slot before the first token shows the begin-of-text id's row (a masked model's reserved id
shows its mask). So ``network(ids, geometry)`` gives at slot i what theirs gives at position i. Tested against
transformers at random weights: logits within 1e-4, greedy texts token for token.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semagram.config import from_json
from semagram.errors import UserError, nearest
from semagram.experiment import Experiment
from semagram.hub.export import OURS
from semagram.hub.families import FAMILIES
from semagram.hub.settings import Settings
from semagram.hub.tensors import Tensors
from semagram.hub.tokens import mask_of, tokenizer_of
from semagram.hub.weights import fill
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models.tagged import network_of
from semagram.models.transformer import Transformer
from semagram.objectives import Masked, NextToken
from semagram.predictors import RankByRank, Unmasking
from semagram.text.pretrained import Pretrained
from semagram.text.tokenizers import tokenizer_from_json
from semagram.trained import CONFIG, TrainedModel, read_json

FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "*tokenizer*.json", "vocab.*", "merges.txt")
"""What is fetched from the hub."""


@dataclass(frozen=True)
class Loaded:
    """A network with its configuration."""

    family: str
    """The ``model_type``."""
    config: Any
    """Ours: a ``Transformer``, an ``EncoderDecoder`` or a ``Classifier``."""
    network: nn.Module
    """In eval mode."""
    visibility: Visibility
    """What its outputs may depend on."""
    capacity: int
    """Tokens of the longest text."""
    vocabulary_size: int
    """v of the text that it writes; 0: none."""


def load_network(name: str | Path) -> Loaded:
    """The network in a folder or of a hub's ``owner/model``.

    Raises ``UserError`` for an unknown family, a setting that is not supported, and tensors that do not fit.
    """
    folder = found(name)
    values = read_json(folder / CONFIG)
    family = str(values.get("model_type"))
    if family not in FAMILIES:
        raise UserError(
            f"{folder} holds a {family} model; families that can be read: {', '.join(sorted(FAMILIES))}."
            f"{nearest(family, FAMILIES)}"
        )
    if values.get("mask_token_id") is None and (mask := mask_of(folder)) is not None:
        values["mask_token_id"] = mask
    settings, tensors = Settings(values), Tensors.read(folder)
    read = FAMILIES[family](settings, tensors)
    tensors.done()
    if isinstance(read.config, Transformer):
        network: Any = read.config.build(read.vocabulary_size, Sequence(read.capacity), read.visibility)
    else:
        network = read.config.build(*([read.vocabulary_size] if read.vocabulary_size else []))
    fill(network, read.state, str(folder))
    return Loaded(family, read.config, network.eval(), read.visibility, read.capacity, read.vocabulary_size)


def load(name: str | Path, *, device: str = "cpu") -> TrainedModel:
    """The model in a folder, or of a hub's ``owner/model``, with its tokenizer; ``UserError`` as ``load_network``, and
    for models that do not write a text by themselves."""
    folder = found(name)
    if read_json(folder / CONFIG).get("model_type") == "semagram":
        return _exported(folder, device)
    loaded = load_network(folder)
    if not isinstance(loaded.config, Transformer):
        raise UserError(
            f"{folder} holds a {loaded.family} model, which does not write a text by itself: "
            f"use semagram.hub.hugging_face.load_network."
        )
    full = loaded.visibility is Visibility.FULL
    experiment = Experiment(
        name=folder.name,
        tokenizer=Pretrained(str(folder)),
        layout=Sequence(loaded.capacity),
        model=loaded.config,
        objective=Masked() if full else NextToken(),
        writing=Unmasking() if full else RankByRank(),
    )
    model = TrainedModel(experiment, tokenizer_of(folder, loaded.vocabulary_size), loaded.network.to(device))
    model.folder = folder
    return model


def _exported(folder: Path, device: str) -> TrainedModel:
    """A model of ours that was exported."""
    values = read_json(folder / CONFIG)
    experiment = from_json(Experiment, values.get("semagram", {}), str(folder / CONFIG))
    tokenizer = tokenizer_from_json(read_json(folder / OURS))
    visibility = experiment.objective.visibility
    network = network_of(experiment.model, tokenizer.vocabulary_size, experiment.layout, visibility)
    tensors = Tensors.read(folder)
    tensors.unprefixed("network.")
    fill(network, {name: tensors.take(name) for name in list(tensors.left)}, str(folder))
    model = TrainedModel(experiment, tokenizer, network.to(device))
    model.folder = folder
    return model


@torch.no_grad()
def logits(model: TrainedModel | Loaded, ids: Tensor, keep: Tensor | None = None) -> Tensor:
    """What theirs calls logits: ids ``(b, n)`` -> ``(b, n, v)``; ``keep (b, n)`` bool is their attention mask.

    Of a causal model, position i is about token i + 1. Raises ``UserError`` for networks of other inputs than ids.
    """
    network: Any = model.network
    if not hasattr(network, "visibility"):
        raise UserError(f"logits is for language models of one text; call the {type(network).__name__} itself.")
    return network(ids, Geometry.line(ids.shape[1], network.visibility, keep, like=ids))


def found(name: str | Path, files: tuple[str, ...] = FILES) -> Path:
    """The folder; one that is not there is looked for on the hub. ``UserError`` when it is in neither place."""
    folder = Path(name)
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder} has no {CONFIG}, so it is no Hugging Face model.")
        return folder
    if str(name).count("/") > 1 or not str(name).strip("/."):
        raise UserError(f"{name} is not a folder, and no name owner/model of the Hugging Face hub.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), allow_patterns=list(files)))
    except Exception as error:  # the package raises of many kinds, often with several lines
        reason = " ".join(str(error).split())
        raise UserError(f"{name} is not a folder, and cannot be fetched from the hub: {reason[:300]}") from None
