"""HOW positions exchange information: modules from (b, n, d) to (b, n, d) that see no more than allowed."""

from semagram.mixers.alike import Alike
from semagram.mixers.attention import Attention
from semagram.mixers.attention_parts.adaptive_span import AdaptiveSpan
from semagram.mixers.attention_parts.alibi import ALiBi
from semagram.mixers.attention_parts.biases import Bias
from semagram.mixers.attention_parts.bucketed_bias import BucketedBias
from semagram.mixers.attention_parts.dynamic_bias import DynamicBias
from semagram.mixers.attention_parts.forgetting import Forgetting
from semagram.mixers.attention_parts.output_gate import OutputGate
from semagram.mixers.attention_parts.reach import Everything, Reach, Window
from semagram.mixers.attention_parts.sinks import LearnedSink, Memory, Sink, ZeroSink
from semagram.mixers.attention_parts.talking import TalkingHeads
from semagram.mixers.attention_parts.untied_bias import UntiedBias
from semagram.mixers.attention_parts.value_residual import ValueResidual
from semagram.mixers.attention_parts.weights import Entmax15, Sigmoid, Softmax, Sparsemax, TopK, Weights
from semagram.mixers.context import Context
from semagram.mixers.convolution import Convolution
from semagram.mixers.cross_attention import CrossAttention
from semagram.mixers.landmarks import Landmarks
from semagram.mixers.latent_attention import LatentAttention
from semagram.mixers.mixed_rotary import MixedRotary
from semagram.mixers.neighbourhood import Neighbourhood
from semagram.mixers.parallel import Parallel
from semagram.mixers.rotary import NoPositions, Rotary
from semagram.mixers.rotary_scaling import Interpolation, Llama3, NTKAware, Scaling, YaRN
from semagram.mixers.routed import Routed
from semagram.mixers.segments import Segments
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
    | Segments
    | LatentAttention
    | StateSpace
    | SelectiveScan
    | TailFocus
    | Tree
    | SparseConvolution
    | Neighbourhood
    | Landmarks
    | Parallel
    | Routed
    | Alike
)

__all__ = [
    "ALiBi",
    "AdaptiveSpan",
    "Alike",
    "Attention",
    "Bias",
    "BucketedBias",
    "Context",
    "Convolution",
    "CrossAttention",
    "DynamicBias",
    "Entmax15",
    "Everything",
    "Forgetting",
    "Interpolation",
    "Landmarks",
    "LatentAttention",
    "LearnedSink",
    "Llama3",
    "Memory",
    "MixedRotary",
    "Mixer",
    "NTKAware",
    "Neighbourhood",
    "NoPositions",
    "OutputGate",
    "Parallel",
    "Reach",
    "Rotary",
    "Routed",
    "Scaling",
    "Segments",
    "SelectiveScan",
    "Sigmoid",
    "Sink",
    "Softmax",
    "SparseConvolution",
    "Sparsemax",
    "StateSpace",
    "TailFocus",
    "TalkingHeads",
    "TokenShift",
    "TopK",
    "Tree",
    "UntiedBias",
    "ValueResidual",
    "Weights",
    "Window",
    "YaRN",
    "ZeroSink",
]
