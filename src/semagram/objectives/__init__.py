"""WHAT is asked: from clean ids to inputs, targets and weights, and what the loss means."""

from semagram.objectives.centred import Centred
from semagram.objectives.contract import Example, LossKind, weighted_nats
from semagram.objectives.masked import Masked
from semagram.objectives.next_token import NextToken

Objective = (
    NextToken
    | Masked
    | Centred
)  # fmt: skip

__all__ = ["Centred", "Example", "LossKind", "Masked", "NextToken", "Objective", "weighted_nats"]
