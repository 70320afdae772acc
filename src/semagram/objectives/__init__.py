"""WHAT is asked: from clean ids to inputs, targets and weights, and what the loss means."""

from semagram.objectives.bert import Bert
from semagram.objectives.centred import Centred
from semagram.objectives.coherent import Coherent
from semagram.objectives.contract import Example, LossKind, auxiliary_of, weighted_nats
from semagram.objectives.masked import Masked
from semagram.objectives.next_token import NextToken
from semagram.objectives.prefix import PrefixLM

Objective = NextToken | Masked | Bert | PrefixLM | Centred | Coherent

__all__ = [
    "Bert",
    "Centred",
    "Coherent",
    "Example",
    "LossKind",
    "Masked",
    "NextToken",
    "Objective",
    "PrefixLM",
    "auxiliary_of",
    "weighted_nats",
]
