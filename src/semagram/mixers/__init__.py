"""HOW positions exchange information: modules from (b, n, d) to (b, n, d) that see no more than allowed."""

from semagram.mixers.attention import Attention
from semagram.mixers.context import Context
from semagram.mixers.convolution import Convolution
from semagram.mixers.cross_attention import CrossAttention
from semagram.mixers.rotary import NoPositions, Rotary
from semagram.mixers.segments import Segments
from semagram.mixers.token_shift import TokenShift

Mixer = Attention | Convolution | TokenShift | Segments

__all__ = [
    "Attention",
    "Context",
    "Convolution",
    "CrossAttention",
    "Mixer",
    "NoPositions",
    "Rotary",
    "Segments",
    "TokenShift",
]
