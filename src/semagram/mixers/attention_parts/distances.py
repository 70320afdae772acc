"""How far a query stands from a key: what biases by distance read.

``distance[..., i, j, axis] = coordinate of query i - coordinate of key j``; positive where the key stands before.
On layouts of several axes a bias works on each axis with the same parameters, and the results are summed: parameters
depend neither on the size of a layout nor on its kind.
"""

from __future__ import annotations

from torch import Tensor


def distances(queries: Tensor, keys: Tensor) -> Tensor:
    """Coordinates ``(..., q, a)`` and ``(..., k, a)`` -> ``(..., q, k, a)`` int64."""
    return queries.unsqueeze(-2) - keys.unsqueeze(-3)
