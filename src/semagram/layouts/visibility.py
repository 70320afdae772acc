"""What an output may depend on.

| visibility | an output may depend on | trained by | written by |
|---|---|---|---|
| CAUSAL | cells of an earlier rank only | next token | rank by rank, with a state |
| FULL | every visible cell; hidden ones carry the mask id | masked, any order | parallel unmasking |
| OTHERS | every cell but its own | centred | cellular automaton |

This file knows nothing of tensors, so that configurations can name a visibility without importing torch.
"""

from enum import Enum


class Visibility(Enum):
    """Which cells of the canvas an output may depend on (see the module's table)."""

    CAUSAL = "causal"
    FULL = "full"
    OTHERS = "others"
