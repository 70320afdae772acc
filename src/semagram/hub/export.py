"""A model of ours as a Hugging Face folder: ``AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)``.

The folder holds the weights, the experiment (in ``config.json``), a ``modeling_semagram.py`` of two lines that imports
``hub/remote.py`` from the installed package, and the tokenizer twice: for ``AutoTokenizer`` and, exactly, for
``semagram.load``, which opens such a folder too. Made without transformers. Only texts on a line, written from left to
right, fit their contract.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semagram.config import dumps
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.models import Transformer
from semagram.text.bpe import BPETokenizer
from semagram.text.byte_tokens import ByteTokenizer
from semagram.text.characters import CharacterTokenizer
from semagram.text.pretrained import PretrainedTokenizer
from semagram.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tokenizers

    from semagram.trained import TrainedModel

BEGIN = "<|begin|>"
"""The reserved id's name; it also ends and pads, as in GPT-2, but is never emitted."""
OURS = "semagram_tokenizer.json"
CODE = '''"""A semagram model inside transformers; needs the package semagram."""

from semagram.hub.remote import SemagramConfig, SemagramForCausalLM
'''


def export(model: TrainedModel, folder: str | Path) -> Path:
    """Write ``model`` into ``folder`` (made if missing, and must be empty); returns it.

    Raises ``UserError`` for a model that is not a causal Transformer on a line.
    """
    from safetensors.torch import save_file

    experiment, folder = model.experiment, Path(folder)
    if not isinstance(experiment.model, Transformer) or model.experts is not None:
        raise UserError(f"only a Transformer can be exported, not a {type(experiment.model).__name__}.")
    if not isinstance(experiment.layout, Sequence) or experiment.objective.visibility is not Visibility.CAUSAL:
        raise UserError("only a model that writes a line from left to right (Sequence, NextToken) can be exported.")
    if getattr(model.network, "condition_width", None) is not None:
        raise UserError("a model with a condition cannot be exported: nobody there would give it one.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not an empty folder: name another.")
    folder.mkdir(parents=True, exist_ok=True)
    begin = model.tokenizer.vocabulary_size
    config: dict[str, Any] = {
        "model_type": "semagram",
        "architectures": ["SemagramForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_semagram.SemagramConfig",
            "AutoModelForCausalLM": "modeling_semagram.SemagramForCausalLM",
        },
        "vocab_size": begin + 1,
        "hidden_size": experiment.model.width,
        "num_hidden_layers": experiment.model.depth,
        "max_position_embeddings": experiment.layout.length,
        "bos_token_id": begin,
        "eos_token_id": begin,
        "pad_token_id": begin,
        "tie_word_embeddings": False,
        "use_cache": False,
        "dtype": "float32",
        "semagram": json.loads(dumps(experiment)),
    }
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id", "use_cache")}
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", generation)
    (folder / "modeling_semagram.py").write_text(CODE, encoding="utf-8")
    tensors = {f"network.{k}": v.detach().cpu().contiguous().clone() for k, v in model.network.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write(folder / OURS, model.tokenizer.to_json())
    _tokenizer(folder, model.tokenizer, experiment.layout.length)
    return folder


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _tokenizer(folder: Path, tokenizer: Tokenizer, length: int) -> None:
    """``tokenizer.json`` with the same ids and the begin token, and what ``AutoTokenizer`` asks for."""
    from tokenizers import AddedToken

    engine = engine_of(tokenizer)
    told: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length - 1}
    if engine.get_vocab_size(with_added_tokens=True) == tokenizer.vocabulary_size:
        # Where a foreign tokenizer leaves ids unused the new token would get one of those: then there is none.
        engine.add_special_tokens([AddedToken(BEGIN, special=True, normalized=False)])
        told |= dict.fromkeys(("bos_token", "eos_token", "pad_token"), BEGIN)
    told["clean_up_tokenization_spaces"] = False
    engine.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", told)


def engine_of(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """The same tokenizer, with the same ids, in the library ``tokenizers``; ``UserError`` for a kind that it lacks."""
    from tokenizers import Regex, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Engine

    if isinstance(tokenizer, PretrainedTokenizer):
        return Engine.from_str(tokenizer.engine.to_str())
    if isinstance(tokenizer, BPETokenizer):
        return tokenizer.engine
    if isinstance(tokenizer, ByteTokenizer):
        return BPETokenizer(()).engine
    if isinstance(tokenizer, CharacterTokenizer):
        vocabulary = {piece.decode(): number for number, piece in enumerate(tokenizer.token_bytes)}
        engine = Engine(models.WordLevel(vocabulary, unk_token=BEGIN))
        engine.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # type: ignore[assignment]
        engine.decoder = decoders.Fuse()  # type: ignore[assignment]
        return engine
    raise UserError(f"a {type(tokenizer).__name__} cannot be written as a tokenizer.json.")
