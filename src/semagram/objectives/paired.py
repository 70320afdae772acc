"""Next token given a source: the example of an encoder-decoder. Exact, and padding does not count.

    loss = - sum_i keep_i ln p(t_i | t_1 .. t_{i-1}, source) / sum_i keep_i   nats a target token

Slot i is shown target i - 1; the first is shown the reserved id, so the first token is asked for too.
"""

from __future__ import annotations

from torch import Tensor

from semagram.objectives.contract import Example
from semagram.objectives.next_token import shifted


def paired(targets: Tensor, mask_id: int, keep: Tensor | None = None) -> Example:
    """``targets (b, n)`` ids, of which ``keep (b, n)`` counts (None: all) -> what the decoder is shown and asked.

    What stands in padding may be any number; it is never shown.
    """
    if keep is None:
        return Example(shifted(targets, mask_id), targets, None, float(targets.numel()))
    clean = targets.masked_fill(~keep, 0)
    return Example(shifted(clean, mask_id), clean, keep.float(), float(keep.sum()))
