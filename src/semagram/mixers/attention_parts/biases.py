"""What may be added to the scores: the union that configurations name."""

from semagram.mixers.attention_parts.adaptive_span import AdaptiveSpan
from semagram.mixers.attention_parts.alibi import ALiBi
from semagram.mixers.attention_parts.bucketed_bias import BucketedBias
from semagram.mixers.attention_parts.dynamic_bias import DynamicBias
from semagram.mixers.attention_parts.untied_bias import UntiedBias

Bias = ALiBi | BucketedBias | DynamicBias | UntiedBias | AdaptiveSpan
