"""WIRING: from ids to logits, one file a kind.

``Model`` are the networks of texts, which experiments choose from. The others need a source, or read and write
something else than ids; they are built and trained by hand (docs/models.md).
"""

from semagram.models.classifier import Classifier
from semagram.models.continuous import Continuous
from semagram.models.decoder import Decoder
from semagram.models.electra import Electra
from semagram.models.encoder import Encoder
from semagram.models.encoder_decoder import EncoderDecoder
from semagram.models.encodings import Encoding
from semagram.models.funnel import Funnel
from semagram.models.hierarchical import Hierarchical
from semagram.models.hierarchical_level import Level
from semagram.models.hourglass import Hourglass, Stage
from semagram.models.hybrid import Hybrid
from semagram.models.multi_token import MultiToken
from semagram.models.multistream import MultiStream
from semagram.models.page import Merged, Page, Repeated, Whole
from semagram.models.perceiver import CrossStack, Perceiver
from semagram.models.stack import Blocks
from semagram.models.transformer import Transformer
from semagram.models.vectors import VectorEncoder
from semagram.models.vision import Vision
from semagram.models.window import Window

Model = Transformer | Hybrid | MultiToken | Electra | Hierarchical | Hourglass | Window | Page

ByHand = Decoder | EncoderDecoder | Classifier | CrossStack | Continuous | MultiStream
"""Models beside those of texts."""

__all__ = [
    "Blocks",
    "ByHand",
    "Classifier",
    "Continuous",
    "CrossStack",
    "Decoder",
    "Electra",
    "Encoder",
    "EncoderDecoder",
    "Encoding",
    "Funnel",
    "Hierarchical",
    "Hourglass",
    "Hybrid",
    "Level",
    "Merged",
    "Model",
    "MultiStream",
    "MultiToken",
    "Page",
    "Perceiver",
    "Repeated",
    "Stage",
    "Transformer",
    "VectorEncoder",
    "Vision",
    "Whole",
    "Window",
]
