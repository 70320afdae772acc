"""Decoding in a process that knows nothing: what makes a coded size a fact.

A file may decode where it was made and nowhere else (a cache, a seed, a number of threads that was still set). So the
model is saved, another Python starts, loads it, decodes, and prints the SHA-256 of the text. The models of
a comparison that only count are saved as their arrays, trained ones as run folders.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from semagram.errors import UserError
from semagram.predictors.boosted_trees import BoostedTreesPredictor
from semagram.predictors.ngram import NgramPredictor
from semagram.predictors.suffix import SuffixPredictor
from semagram.text import Tokenizer
from semagram.text.tokenizers import tokenizer_from_json
from semagram.trained import TrainedModel, load
from semagram.verbs.decompress import decompress_text

Counting = NgramPredictor | SuffixPredictor | BoostedTreesPredictor
KINDS: dict[str, type[Counting]] = {
    kind.__name__: kind for kind in (NgramPredictor, SuffixPredictor, BoostedTreesPredictor)
}
_CODED, _RUN, _TOKENIZER, _ARRAYS = "text.semagram", "run", "tokenizer.json", "arrays.safetensors"


def identity_of(predictor: Counting, tokenizer: Tokenizer) -> str:
    """SHA-256 of a counting model and its vocabulary."""
    digest = hashlib.sha256(tokenizer.fingerprint.encode())
    for name, array in sorted(predictor.arrays().items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def check_trained(model: TrainedModel, data: bytes, text: str) -> None:
    """Raise ``UserError`` unless another process decodes ``data`` to ``text``."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / _RUN)
        _check(Path(folder), data, text)


def check_counting(predictor: Counting, tokenizer: Tokenizer, data: bytes, text: str) -> None:
    """The same for a model that counts."""
    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory() as folder:
        arrays = {name: np.ascontiguousarray(array) for name, array in predictor.arrays().items()}
        save_file(arrays, Path(folder) / _ARRAYS, metadata={"kind": type(predictor).__name__})
        (Path(folder) / _TOKENIZER).write_text(json.dumps(tokenizer.to_json()), encoding="utf-8")
        _check(Path(folder), data, text)


def _check(folder: Path, data: bytes, text: str) -> None:
    (folder / _CODED).write_bytes(data)
    command = [sys.executable, "-m", "semagram.lab.elsewhere", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise UserError(f"its compressed file could not be decoded in another process: {said[-1]}")
    if done.stdout.strip() != _digest(text):
        raise UserError("its compressed file did not decode to the held-out text: the score is not true.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _decoded(folder: Path) -> str:
    """What the other process does."""
    data = (folder / _CODED).read_bytes()
    if (folder / _RUN).exists():
        return load(folder / _RUN).decompress(data)
    from safetensors import safe_open

    with safe_open(folder / _ARRAYS, "numpy") as file:
        kind, arrays = file.metadata()["kind"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    predictor = KINDS[kind].from_arrays(arrays)
    tokenizer = tokenizer_from_json(json.loads((folder / _TOKENIZER).read_text(encoding="utf-8")))
    return decompress_text(predictor, tokenizer, data, identity_of(predictor, tokenizer))


if __name__ == "__main__":
    print(_digest(_decoded(Path(sys.argv[1]))))
