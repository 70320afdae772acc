"""Files as others leave them: a ``tokenizer.json`` that knows all bytes, and words of a few letters if wanted."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path


@cache
def tokenizer_file(tokens: int) -> str:
    """A byte-level tokenizer of so many tokens, written once."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=tokens, initial_alphabet=alphabet, show_progress=False)
    engine.train_from_iterator(["the cat and the hat and the cat"] * 3, trainer)
    path = Path(tempfile.mkdtemp(prefix="tokenizer-")) / "tokenizer.json"
    engine.save(str(path))
    return str(path)
