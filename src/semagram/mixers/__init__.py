"""HOW positions exchange information: modules from (b, n, d) to (b, n, d) that see no more than allowed."""

from semagram.mixers.attention import Attention
from semagram.mixers.convolution import Convolution
from semagram.mixers.landmarks import Landmarks
from semagram.mixers.mixed_rotary import MixedRotary
from semagram.mixers.neighbourhood import Neighbourhood
from semagram.mixers.rotary import NoPositions, Rotary
from semagram.mixers.token_shift import TokenShift

Mixer = Attention | Convolution | TokenShift | Neighbourhood | Landmarks

__all__ = [
    "Attention",
    "Convolution",
    "Landmarks",
    "MixedRotary",
    "Mixer",
    "Neighbourhood",
    "NoPositions",
    "Rotary",
    "TokenShift",
]
