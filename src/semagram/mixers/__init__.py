"""HOW positions exchange information: modules from (b, n, d) to (b, n, d) that see no more than allowed."""

from semagram.mixers.attention import Attention, Bias
from semagram.mixers.attention_parts.alibi import ALiBi
from semagram.mixers.attention_parts.bucketed_bias import BucketedBias
from semagram.mixers.attention_parts.dynamic_bias import DynamicBias
from semagram.mixers.attention_parts.forgetting import Forgetting
from semagram.mixers.attention_parts.gate import Gate
from semagram.mixers.attention_parts.reach import Everything, Reach, Window
from semagram.mixers.attention_parts.sinks import LearnedSink, Memory, Sink, ZeroSink
from semagram.mixers.attention_parts.weights import Entmax15, Sigmoid, Softmax, Sparsemax, TopK, Weights
from semagram.mixers.convolution import Convolution
from semagram.mixers.latent_attention import LatentAttention
from semagram.mixers.rotary import NoPositions, Rotary
from semagram.mixers.rotary_scaling import Interpolation, Llama3, NTKAware, Scaling, YaRN
from semagram.mixers.token_shift import TokenShift

Mixer = Attention | Convolution | TokenShift | LatentAttention

__all__ = [
    "ALiBi",
    "Attention",
    "Bias",
    "BucketedBias",
    "Convolution",
    "DynamicBias",
    "Entmax15",
    "Everything",
    "Forgetting",
    "Gate",
    "Interpolation",
    "LatentAttention",
    "LearnedSink",
    "Llama3",
    "Memory",
    "Mixer",
    "NTKAware",
    "NoPositions",
    "Reach",
    "Rotary",
    "Scaling",
    "Sigmoid",
    "Sink",
    "Softmax",
    "Sparsemax",
    "TokenShift",
    "TopK",
    "Weights",
    "Window",
    "YaRN",
    "ZeroSink",
]
