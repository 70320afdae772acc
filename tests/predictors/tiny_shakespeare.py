"""Tiny Shakespeare as ids, nanoGPT's split; skips the test where the file is not there."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest


def path() -> Path | None:
    folders = [Path(__file__).parents[3] / "shared" / "data"]
    if "SEMAGRAM_DATA" in os.environ:
        folders.insert(0, Path(os.environ["SEMAGRAM_DATA"]))
    return next((f / "tinyshakespeare.txt" for f in folders if (f / "tinyshakespeare.txt").is_file()), None)


needs_it = pytest.mark.skipif(path() is None, reason="tinyshakespeare.txt is not in $SEMAGRAM_DATA or shared/data")


@cache
def split() -> tuple[np.ndarray, np.ndarray, int]:
    """Train ids (first 90 %), validation ids, vocabulary size."""
    found = path()
    assert found is not None
    points = np.frombuffer(found.read_text(encoding="utf-8").encode("utf-32-le"), dtype=np.uint32)
    symbols, ids = np.unique(points, return_inverse=True)
    cut = int(0.9 * ids.size)
    return ids[:cut], ids[cut:], symbols.size
