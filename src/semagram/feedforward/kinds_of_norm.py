"""The union of norms, apart from the package so that feedforwards with a norm inside can name it."""

from semagram.feedforward.norms import LayerNorm, RMSNorm
from semagram.feedforward.other_norms import AdaptiveLayerNorm, AdaptiveRMSNorm, DynamicErf, DynamicTanh, ScaleNorm

PlainNorm = RMSNorm | LayerNorm | ScaleNorm | DynamicTanh | DynamicErf
"""Those that need no condition."""
Norm = RMSNorm | LayerNorm | ScaleNorm | DynamicTanh | DynamicErf | AdaptiveRMSNorm | AdaptiveLayerNorm
