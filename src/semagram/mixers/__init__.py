"""HOW positions exchange information: modules from (b, n, d) to (b, n, d) that see no more than allowed."""

from semagram.mixers.attention import Attention
from semagram.mixers.convolution import Convolution
from semagram.mixers.rotary import NoPositions, Rotary
from semagram.mixers.selective_scan import SelectiveScan
from semagram.mixers.sparse_convolution import SparseConvolution
from semagram.mixers.state_space import StateSpace
from semagram.mixers.tail_focus import TailFocus
from semagram.mixers.token_shift import TokenShift
from semagram.mixers.tree import Tree

Mixer = (
    Attention
    | Convolution
    | TokenShift
    | StateSpace
    | SelectiveScan
    | TailFocus
    | Tree
    | SparseConvolution
)  # fmt: skip

__all__ = [
    "Attention",
    "Convolution",
    "Mixer",
    "NoPositions",
    "Rotary",
    "SelectiveScan",
    "SparseConvolution",
    "StateSpace",
    "TailFocus",
    "TokenShift",
    "Tree",
]
