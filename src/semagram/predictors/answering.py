"""How a network is asked: without gradients and without dropout, whatever mode training has left it in.

A score taken in the middle of training must not depend on dropout's coin, and must leave the mode as it was. Ids are
checked before they are written, since an id out of range is otherwise an index error deep in the network, or worse:
the reserved id is a legal *input*.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from semagram.models.contract import Network


@contextmanager
def answering(network: Network) -> Iterator[None]:
    """No gradients, evaluation mode; the modes of all modules are restored at the end."""
    module = cast(nn.Module, network)
    in_training = [part for part in module.modules() if part.training] if module.training else []
    for part in in_training:
        part.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for part in in_training:
            part.training = True


def checked(ids: Tensor, batch: int, left: int, vocabulary_size: int) -> Tensor:
    """``ids (b, m)`` as they are; ``ValueError`` for another batch, more than ``left`` cells, or ids not in 0..v-1."""
    if ids.dim() != 2 or ids.shape[0] != batch:
        raise ValueError(f"ids must be (b, m) with b = {batch}, got {tuple(ids.shape)}.")
    if ids.shape[1] > left:
        raise ValueError(f"the canvas takes {left} more ids a row here, got {ids.shape[1]}.")
    if ids.numel():
        least, most = (int(bound) for bound in ids.aminmax())
        if not 0 <= least <= most < vocabulary_size:
            raise ValueError(f"ids must be in 0..{vocabulary_size - 1}, got {least}..{most}.")
    return ids
