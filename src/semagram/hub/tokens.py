"""The tokenizer of a Hugging Face folder: ``tokenizer.json``, or the vocabularies that came before it."""

from __future__ import annotations

from pathlib import Path

from semagram.errors import UserError
from semagram.text.pretrained import PretrainedTokenizer
from semagram.trained import read_json

MASKS = ("[MASK]", "<mask>")


def tokenizer_of(folder: Path, vocabulary_size: int) -> PretrainedTokenizer:
    """The tokenizer with ``vocabulary_size`` ids, as many as the model knows; ``UserError`` when there is none."""
    text = _text(folder)
    if text is None:
        raise UserError(
            f"{folder} has no tokenizer.json, so no text can be read; "
            f"semagram.hub.hugging_face.load_network gives the network alone."
        )
    return PretrainedTokenizer(text, vocabulary_size)


def mask_of(folder: Path) -> int | None:
    """The id of the mask token, or None."""
    text = _text(folder)
    if text is None:
        return None
    from tokenizers import Tokenizer as Engine

    engine = Engine.from_str(text)
    names = list(MASKS)
    if (folder / "tokenizer_config.json").is_file():
        given = read_json(folder / "tokenizer_config.json").get("mask_token")
        given = given.get("content") if isinstance(given, dict) else given
        names = [given, *names] if isinstance(given, str) else names
    return next((found for name in names if (found := engine.token_to_id(name)) is not None), None)


def _text(folder: Path) -> str | None:
    """The JSON of the engine."""
    if (folder / "tokenizer.json").is_file():
        return (folder / "tokenizer.json").read_text("utf-8")
    from tokenizers import Tokenizer as Engine
    from tokenizers import decoders, models, pre_tokenizers

    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        engine = Engine(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        engine.decoder = decoders.ByteLevel()
        return engine.to_str()
    return None
