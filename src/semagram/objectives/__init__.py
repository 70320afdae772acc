"""WHAT is asked: from clean ids to inputs, targets and weights, and what the loss means."""

from semagram.objectives.bert import Bert
from semagram.objectives.contract import Example, LossKind, auxiliary_of, weighted_nats
from semagram.objectives.masked import Masked
from semagram.objectives.next_token import NextToken
from semagram.objectives.prefix import PrefixLM

Objective = NextToken | Masked | Bert | PrefixLM

__all__ = [
    "Bert",
    "Example",
    "LossKind",
    "Masked",
    "NextToken",
    "Objective",
    "PrefixLM",
    "auxiliary_of",
    "weighted_nats",
]
