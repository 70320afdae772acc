"""A trained model: network, tokenizer and experiment together; the object that users hold.

It generates, scores, compresses and can be saved, loaded and shared. Its folder holds ``config.json`` (the
experiment), ``tokenizer.json`` and ``model.safetensors``; a run folder is such a folder with its records beside.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from semagram.config import dumps, fingerprint, from_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Streams
from semagram.layouts.streams import kind_of_score
from semagram.models import Hybrid
from semagram.models.contract import Network
from semagram.models.hybrid import HybridNetwork
from semagram.models.tagged import network_of
from semagram.predictors import predictor_of
from semagram.predictors.boosted_trees import BoostedTrees, TreesHeld
from semagram.predictors.contract import Predictor
from semagram.predictors.experts import Experts
from semagram.predictors.hybrid import Informed
from semagram.predictors.labelled import LabelledPredictor, labelled, labelled_predictor
from semagram.text.tokenizer import Tokenizer
from semagram.text.tokenizers import tokenizer_from_json
from semagram.training.prior import PRIOR, load_experts, save_experts
from semagram.verbs.write_text import write_text

if TYPE_CHECKING:
    from semagram.verbs.audit import AuditReport
    from semagram.verbs.filled_text import FilledText, Filling
    from semagram.verbs.score import Score

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


class TrainedModel:
    """A network with its tokenizer and the experiment it came from."""

    def __init__(
        self, experiment: Experiment, tokenizer: Tokenizer, network: torch.nn.Module, experts: Experts | None = None
    ) -> None:
        self.experiment = experiment
        self.tokenizer = tokenizer
        self.network = network.eval()
        self.experts = experts
        """The n-gram models that a hybrid network answers with."""
        self.folder: Path | None = None
        """Where it was loaded from."""
        self._predictor: Predictor | None = None

    @property
    def predictor(self) -> Predictor:
        """The model under the predictor contract; the four verbs need no more."""
        if self._predictor is None:
            self._predictor = self._made_predictor()
        return self._predictor

    def _made_predictor(self) -> Predictor:
        if isinstance(self.network, TreesHeld):
            return self.network.predictor()
        network: Network = self.network  # type: ignore[assignment]
        if self.experts is not None:
            assert isinstance(self.network, HybridNetwork)
            network = Informed(self.network, self.experts)  # type: ignore[assignment]
        layout = self.experiment.layout
        if isinstance(layout, Streams) and layout.tags:
            return labelled_predictor(labelled(network, layout, self.tokenizer), layout)
        return predictor_of(network, layout, self.experiment.writing)

    @property
    def parameters(self) -> int:
        """Trained numbers."""
        return sum(p.numel() for p in self.network.parameters())

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) over experiment, tokenizer and weights: what a compressed file says it was made with."""
        digest = hashlib.sha256((fingerprint(self.experiment) + self.tokenizer.fingerprint).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        for name, array in sorted(self.experts.arrays().items() if self.experts is not None else ()):
            digest.update(name.encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    generate = write_text
    """Continue a prompt; see ``verbs.write_text`` for all that can be asked."""

    def fill(self, text: str, filling: Filling | None = None) -> FilledText:
        """Write what is missing in ``text``: by default as many tokens as it has characters in each ``___``."""
        from semagram.verbs.filled_text import Filling, fill_text

        return fill_text(self.predictor, self.tokenizer, text, filling or Filling())

    def score(self, text: str) -> Score:
        """Nats and bits of ``text``, read in the same windows that ``compress`` reads."""
        from semagram.verbs.score import score

        return score(self._reading(text), self.encode(text))

    @property
    def kind_of_score(self) -> str:
        """``nll``; or, where tags of the whole text are told, on what it is conditional. The two are not compared."""
        return kind_of_score(self.experiment.layout)

    def _reading(self, text: str) -> Predictor:
        """The predictor for a text that is there: told what Given and Oracle axes say of it."""
        predictor = self.predictor
        if self.kind_of_score == "nll" or not isinstance(predictor, LabelledPredictor):
            return predictor
        return predictor.knowing(self.encode(text))

    def compress(self, text: str, *, self_contained: bool = False) -> bytes:
        """A file that ``decompress`` turns into ``text`` again; 8 x its length / characters is an honest score.

        ``self_contained`` puts the model itself into the file, so that nothing else is needed to decode it.
        """
        from semagram.verbs.compress import compress_text

        if self.kind_of_score != "nll":
            raise UserError(
                f"this model's score is {self.kind_of_score}: a decoder would have to know the tags before the text. "
                f"Axes that are Causal, Completed, Target or Joint can be compressed with."
            )
        parts = None
        if self_contained:
            with tempfile.TemporaryDirectory() as folder:
                self.save(folder)
                parts = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
        return compress_text(self.predictor, self.tokenizer, text, self.identity, parts=parts)

    def decompress(self, data: bytes, *, warn: Callable[[str], object] = warnings.warn) -> str:
        """The text of a file that ``compress`` wrote with this very model; raises ``UserError`` otherwise."""
        from semagram.verbs.decompress import decompress_text

        return decompress_text(self.predictor, self.tokenizer, data, self.identity, warn=warn)

    def audit(self, text: str, *, training: str | None = None) -> AuditReport:
        """Look for leaks and dishonest numbers on ``text``, from the text on (see ``semagram.audit``).

        ``training`` is what the model was trained on, to look for held-out passages in it.
        """
        from semagram.verbs.audit import audit

        def reload() -> Predictor:
            with tempfile.TemporaryDirectory() as folder:
                return load(self.save(folder)).predictor

        name = f"{self.experiment.name} ({type(self.experiment.model).__name__})"
        # Of a text that is changed the labellers say something else: that is made anew, so that it is seen.
        told = self.kind_of_score != "nll"
        prepare = (lambda changed: (self._reading(changed), self.encode(changed))) if told else None
        return audit(self.predictor, text, self.tokenizer, training=training, prepare=prepare, reload=reload, name=name)

    def encode(self, text: str) -> np.ndarray:
        """Ids ``(m,)``; raises ``UserError`` for an empty text or one the vocabulary cannot spell."""
        if not text:
            raise UserError("the text is empty: there is nothing to read.")
        return self.tokenizer.encode(text)

    def save(self, folder: str | Path) -> Path:
        """Write config, tokenizer and weights into ``folder`` (made if missing)."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(dumps(self.experiment), encoding="utf-8")
        (folder / TOKENIZER).write_text(json.dumps(self.tokenizer.to_json(), ensure_ascii=False), encoding="utf-8")
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        if self.experts is not None:
            save_experts(self.experts, folder / PRIOR)
        return folder

    def save_pretrained(self, folder: str | Path) -> Path:
        """``save`` under the name that Hugging Face users expect."""
        return self.save(folder)

    def export(self, folder: str | Path) -> Path:
        """Write a folder for ``AutoModelForCausalLM`` and ``AutoTokenizer`` of transformers (see ``hub/export.py``)."""
        from semagram.hub.export import export

        return export(self, folder)

    @classmethod
    def from_pretrained(cls, name: str | Path) -> TrainedModel:
        """From a folder, or from a repository ``owner/name`` on the Hugging Face hub (needs a network)."""
        if Path(name).exists():
            return load(name)
        from semagram.hub.hugging_face import FILES, found

        return load(found(name, (*FILES, PRIOR)))

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Upload to the Hugging Face hub as ``owner/name``; returns the address. Needs a network and a login."""
        from huggingface_hub import HfApi

        api = HfApi()
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            card = f"---\nlibrary_name: semagram\n---\n\n# {name}\n\nTrained with semagram: `{self.experiment.name}`.\n"
            (Path(folder) / "README.md").write_text(card, encoding="utf-8")
            address = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(repo_id=name, folder_path=folder)
        return str(address)


def load(folder: str | Path, *, device: str = "cpu") -> TrainedModel:
    """The trained model in ``folder`` (a run, what ``save`` wrote, or a Hugging Face model); ``UserError`` when it is
    none."""
    folder = Path(folder)
    if (folder / CONFIG).is_file() and "model_type" in read_json(folder / CONFIG):
        from semagram.hub.hugging_face import load as load_hugging_face

        return load_hugging_face(folder, device=device)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; a run is the folder that 'semagram train --out' made.")
    missing = [name for name in (CONFIG, TOKENIZER, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        hint = " The run has not finished: go on with 'semagram train --resume'." if missing == [WEIGHTS] else ""
        raise UserError(f"{folder} is not a trained model: it has no {' and no '.join(missing)}.{hint}")
    experiment = from_json(Experiment, read_json(folder / CONFIG), str(folder / CONFIG))
    tokenizer = tokenizer_from_json(read_json(folder / TOKENIZER))
    if isinstance(experiment.model, BoostedTrees):
        network = TreesHeld({name: tensor.numpy() for name, tensor in read_weights(folder / WEIGHTS).items()})
    else:
        visibility = experiment.objective.visibility
        network = network_of(experiment.model, tokenizer.vocabulary_size, experiment.layout, visibility)
        load_weights(network, folder / WEIGHTS)
    experts = load_experts(folder / PRIOR) if isinstance(experiment.model, Hybrid) else None
    model = TrainedModel(experiment, tokenizer, network.to(device), experts)
    model.folder = folder
    return model


def read_json(path: Path) -> dict:
    """The JSON object in ``path``; raises ``UserError`` when it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is damaged: {error}.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is damaged: it holds {type(data).__name__}, not an object.")
    return data


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; raises ``UserError`` for a damaged one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file: {error}.") from None


def load_weights(network: torch.nn.Module, path: Path) -> None:
    """Fill ``network`` from a safetensors file; raises ``UserError`` naming what does not fit."""
    tensors = read_weights(path)
    wanted = network.state_dict()
    problems = [f"no {name}" for name in wanted if name not in tensors]
    problems += [f"an unknown {name}" for name in tensors if name not in wanted]
    problems += [
        f"{name} of shape {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise UserError(
            f"{path} does not fit the config and tokenizer beside it: it has {'; '.join(problems[:3])}{more}."
        )
    network.load_state_dict(tensors)
