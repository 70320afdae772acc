"""WHAT is asked: from clean ids to inputs, targets and weights, and what the loss means."""

from semagram.objectives.coherent import Coherent
from semagram.objectives.contract import Example, LossKind, weighted_nats
from semagram.objectives.masked import Masked
from semagram.objectives.next_token import NextToken

Objective = NextToken | Masked | Coherent

__all__ = ["Coherent", "Example", "LossKind", "Masked", "NextToken", "Objective", "weighted_nats"]
