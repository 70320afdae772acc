"""What decides the last bit of a float, held still while coding.

A decoder must find the encoder's probabilities again to the bit. Thread count and matrix precision are set for the
time of coding and put back afterwards; the torch build and the processor can only be compared, so they are written
down.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def held_still(threads: int) -> Iterator[None]:
    """Run with ``threads`` of torch, full float32 precision and no gradients; afterwards all is as it was."""
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    # Setting the count also forbids the matrix library to choose another, so it is done even when it is equal.
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_float32_matmul_precision(before[1])


def facts() -> str:
    """Torch's build and the kind of processor, e.g. ``2.13.0+cpu x86_64 AVX512``."""
    return f"{torch.__version__} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def mark() -> bytes:
    """One byte of the SHA-256 of ``facts()``: enough to warn, since the text's digest decides."""
    return hashlib.sha256(facts().encode()).digest()[:1]
