"""HOW positions exchange information: modules from (b, n, d) to (b, n, d) that see no more than allowed."""

from semagram.mixers.attention import Attention
from semagram.mixers.convolution import Convolution
from semagram.mixers.rotary import NoPositions, Rotary
from semagram.mixers.selective_scan import SelectiveScan
from semagram.mixers.state_space import StateSpace
from semagram.mixers.token_shift import TokenShift

Mixer = (
    Attention
    | Convolution
    | TokenShift
    | StateSpace
    | SelectiveScan
)  # fmt: skip

__all__ = [
    "Attention",
    "Convolution",
    "Mixer",
    "NoPositions",
    "Rotary",
    "SelectiveScan",
    "StateSpace",
    "TokenShift",
]
