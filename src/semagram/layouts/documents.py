"""Several documents in one row: which slot belongs to which, and that none sees another (packed sequences).

Short documents packed into full rows waste no work on padding. ``pairs_of`` gives what ``Geometry`` wants to know of
pairs; attention and the token shift then keep to it, to the bit (tested: a packed document is answered as if it stood
alone, wherever positions are relative), and mixers that cannot are refused. Not to be confused with padding.
"""

from __future__ import annotations

import torch
from torch import Tensor


def numbered(ids: Tensor, separator: int) -> Tensor:
    """``(b, n)`` ids in order of writing -> ``(b, n)`` int64, the number of the document that each slot *reads*.

    Slot i is shown token i - 1, so a document begins with the slot that is shown the separator before it.
    """
    ends = torch.nn.functional.pad((ids == separator).long()[:, :-1], (1, 0))
    return ends.cumsum(dim=1)


def pairs_of(documents: Tensor) -> Tensor:
    """``(b, n)`` numbers of documents -> bool ``(b, n, n)``: the two slots are of one document."""
    return documents[:, :, None] == documents[:, None, :]
