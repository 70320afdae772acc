"""WHAT is asked: from clean ids to inputs, targets and weights, and what the loss means."""

from semagram.objectives.bert import Bert
from semagram.objectives.contract import Example, LossKind, auxiliary_of, weighted_nats
from semagram.objectives.masked import Masked
from semagram.objectives.next_token import NextToken

Objective = NextToken | Masked | Bert

__all__ = ["Bert", "Example", "LossKind", "Masked", "NextToken", "Objective", "auxiliary_of", "weighted_nats"]
